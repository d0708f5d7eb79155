//! Sessions that come: at a steady rate (a ramp), or all at once (a storm, as after a lost gateway). Each comes back until
//! it is live, as clients do; its time counts from when it should have come.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::Rng;
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::super::cost::Meter;
use super::super::file::Figures;
use super::{Scene, Speaks, figure, micros_per, open};
use crate::Invalid;
use crate::accounts::User;
use crate::client::{Connection, Dial, Protocol};
use crate::measure::Latencies;

/// Within this time a session that has not become live counts as refused.
const PATIENCE: Duration = Duration::from_secs(60);
/// Connections from one source address; one has about 28,000 ports.
const PER_SOURCE: usize = 5_000;

/// How they come.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Connect {
    /// How many.
    sessions: usize,
    /// Of how many users.
    users: usize,
    /// How many a second; all at once without.
    per_second: Option<f64>,
    /// Rooms that each user is a member of.
    #[serde(default)]
    conversations: usize,
    #[serde(default)]
    protocol: Speaks,
}

impl Connect {
    pub(super) async fn run(&self, scene: Scene<'_>) -> Result<Figures, Invalid> {
        let users = self.people(scene).await?;
        let retries = Arc::new(AtomicUsize::new(0));
        let (meter, begin) = (Meter::start(scene.processes)?, Instant::now());
        let mut coming = JoinSet::new();
        for index in 0..self.sessions {
            let mut dial = scene.dial(index);
            let block = u8::try_from(index / PER_SOURCE + 2).unwrap_or(u8::MAX);
            dial.source = Some([127, 0, 0, block].into());
            let (user, retries) = (users[index % users.len()].clone(), Arc::clone(&retries));
            let due = begin + self.delay(index);
            coming.spawn(come(dial, self.protocol.into(), user, due, retries));
        }
        let (mut live, mut latencies) = (Vec::new(), Latencies::new()?);
        while let Some(came) = coming.join_next().await {
            if let Ok(Some((connection, latency))) = came {
                live.push(connection);
                latencies.add(latency);
            }
        }
        let all_live = begin.elapsed();
        let mut figures = micros_per("Join", &meter, live.len() as u64)?;
        let times = latencies.percentiles();
        figures.extend([
            ("sessionsLive".to_owned(), figure(live.len())),
            (
                "sessionsRefused".to_owned(),
                figure(self.sessions - live.len()),
            ),
            (
                "connectRetries".to_owned(),
                figure(retries.load(Ordering::Relaxed)),
            ),
            ("connectP50Ms".to_owned(), times.p50),
            ("connectP99Ms".to_owned(), times.p99),
            ("allLiveMs".to_owned(), all_live.as_secs_f64() * 1000.0),
        ]);
        Ok(figures)
    }

    fn delay(&self, index: usize) -> Duration {
        let seconds = self
            .per_second
            .map_or(0.0, |rate| figure(index) / rate.max(0.001));
        Duration::from_secs_f64(seconds)
    }

    async fn people(&self, scene: Scene<'_>) -> Result<Vec<User>, Invalid> {
        let accounts = scene.accounts()?;
        let run = format!("connect-{:08x}", rand::rng().random::<u32>());
        let users = accounts.register(&run, self.users.max(1)).await?;
        let members: Vec<_> = users.iter().collect();
        for index in 0..self.conversations {
            accounts
                .room(members[0], &format!("{run} {index}"), &members)
                .await?;
        }
        Ok(users)
    }
}

async fn come(
    dial: Dial,
    protocol: Protocol,
    user: User,
    due: Instant,
    retries: Arc<AtomicUsize>,
) -> Option<(Connection, Duration)> {
    sleep_until(due).await;
    let coming = async {
        loop {
            if let Ok(connection) = open(&dial, protocol, &user, |_| {}).await {
                return connection;
            }
            retries.fetch_add(1, Ordering::Relaxed);
            let pause = rand::rng().random_range(200..2000);
            sleep(Duration::from_millis(pause)).await;
        }
    };
    let connection = timeout(PATIENCE, coming).await.ok()?;
    Some((connection, due.elapsed()))
}
