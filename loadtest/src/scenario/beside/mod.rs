//! What may happen beside a load: one thing a scenario is about, with figures of its own. Each knows only the clients' side
//! of the servers, and the processes it is to watch.

mod backlog;
mod connect;
mod feed;
mod heartbeat;
mod idle;
mod people;
mod presence;
mod scene;
mod slow;
mod typing;

pub(crate) use backlog::Backlog;
pub(crate) use connect::Connect;
pub(crate) use heartbeat::Heartbeat;
pub(crate) use idle::Idle;
pub(crate) use presence::Presence;
pub(crate) use scene::Scene;
pub(crate) use slow::Slow;
pub(crate) use typing::Typing;

use super::figures::Figures;
use super::file::Scenario;
use crate::Invalid;
use crate::accounts::User;

/// Makes what takes a while, before the load begins: the people who are to come.
pub(crate) async fn prepare(scenario: &Scenario, scene: Scene<'_>) -> Result<Vec<User>, Invalid> {
    match &scenario.connect {
        Some(connect) => connect.people(scene).await,
        None => Ok(Vec::new()),
    }
}

/// Does what a scenario wants done beside its load, if anything.
pub(crate) async fn beside(scenario: &Scenario, scene: Scene<'_>) -> Result<Figures, Invalid> {
    if let Some(idle) = &scenario.idle {
        return idle.run(scene).await;
    }
    if let Some(connect) = &scenario.connect {
        return connect.run(scene).await;
    }
    if let Some(heartbeat) = &scenario.heartbeat {
        return heartbeat.run(scene).await;
    }
    if let Some(presence) = &scenario.presence {
        return presence.run(scene).await;
    }
    if let Some(typing) = &scenario.typing {
        return typing.run(scene).await;
    }
    if let Some(slow) = &scenario.slow {
        return slow.run(scene).await;
    }
    if let Some(backlog) = &scenario.backlog {
        return backlog.run(scene).await;
    }
    Ok(Figures::new())
}
