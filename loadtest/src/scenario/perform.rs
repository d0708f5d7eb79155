//! A scenario on servers of its own: starts them, runs it in the way it asks for, and stops them. Knows neither files nor
//! how its outcome is written down.

use std::path::Path;
use std::time::Duration;

use super::file::Scenario;
use super::outcome::Outcome;
use super::run::once;
use super::server::Server;
use super::{capacity, figures, floor};
use crate::matrix::{Cluster, Program};
use crate::{Invalid, Verdict, carried_out};

/// How long a gateway may drain.
const DRAIN_GRACE: Duration = Duration::from_secs(6);

/// Starts the servers, runs, and stops them.
pub(crate) async fn perform(
    scenario: &Scenario,
    server: Server,
    hobnob: Option<&Path>,
) -> Result<Outcome, Invalid> {
    let Some(program) = server.program(hobnob)? else {
        return carried_out(floor::perform(scenario)).await;
    };
    let Some(versus) = scenario.versus else {
        return carried_out(on(scenario, server, &program)).await;
    };
    let other = Scenario {
        gateways: versus.gateways,
        ..scenario.clone()
    };
    let other = carried_out(on(&other, server, &program)).await?;
    // What is compared with must be sound itself.
    if other.verdict() != Verdict::Pass {
        return Ok(other);
    }
    let mut outcome = carried_out(on(scenario, server, &program)).await?;
    figures::versus(&mut outcome.figures, &other.figures);
    Ok(outcome)
}

async fn on(scenario: &Scenario, server: Server, program: &Program) -> Result<Outcome, Invalid> {
    let (gateways, members) = (scenario.gateways, scenario.mongodb_members);
    let mut cluster = Cluster::of(program, DRAIN_GRACE, gateways, members).await?;
    match scenario.capacity {
        Some(_) => capacity::find(scenario, server, &mut cluster).await,
        None => once(scenario, server, &mut cluster).await,
    }
}
