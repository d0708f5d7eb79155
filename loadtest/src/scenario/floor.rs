//! A scenario against the limit server: as many sockets, as many frames of the same size, nothing else. Only fan-out and
//! idle sessions have such a floor; that of durable messages is a bare insert.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use testbed::leash::{Leashed, free_port, scratch};
use testbed::until;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::cost::{Meter, Named, rate};
use super::figures::Figures;
use super::file::Scenario;
use super::outcome::Outcome;
use super::sampler::Sampler;
use crate::Invalid;
use crate::check::Load;
use crate::client::{Connection, Dial, Protocol};
use crate::gateways::Gateways;

/// Handshakes at once.
const AT_ONCE: usize = 50;
/// Connections from one source address.
const PER_SOURCE: usize = 5_000;
/// What a delivered message has besides its padding, in bytes: ids, names, time.
const ENVELOPE: usize = 240;
/// Before and after measuring.
const REST: Duration = Duration::from_secs(2);

/// Runs it.
pub(super) async fn perform(scenario: &Scenario) -> Result<Outcome, Invalid> {
    if let Some(idle) = scenario.idle {
        return idle_sessions(idle.sessions, idle.seconds).await;
    }
    match &scenario.load {
        Some(load) if scenario.apart => fan_out(load, scenario.window.is_some()).await,
        _ => Err(Invalid(
            "the limit knows fan-out in separate rooms, and idle sessions".to_owned(),
        )),
    }
}

async fn fan_out(load: &Load, is_saturated: bool) -> Result<Outcome, Invalid> {
    let pace = if is_saturated { 0.0 } else { load.rate };
    let numbers = [
        ("--rooms", load.rooms.to_string()),
        ("--members", load.members.to_string()),
        ("--rate", pace.to_string()),
        ("--bytes", (ENVELOPE + load.padding).to_string()),
        ("--seconds", (load.seconds + 10).to_string()),
    ];
    let limit = Limit::start(&numbers).await?;
    let received = Arc::new(AtomicU64::new(0));
    let mut reading = JoinSet::new();
    for mut connection in limit.connect(load.rooms * load.members).await? {
        let received = Arc::clone(&received);
        reading.spawn(async move {
            while connection.next().await.is_some() {
                received.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let is_read = async || received.load(Ordering::Relaxed) > 0;
    until("the limit writes", is_read).await;
    sleep(REST).await;
    let processes = limit.processes();
    let sampler = Sampler::start(processes.clone());
    let (meter, begin) = (Meter::start(&processes)?, Instant::now());
    let before = received.load(Ordering::Relaxed);
    sleep(Duration::from_secs(load.seconds)).await;
    let count = received.load(Ordering::Relaxed) - before;
    let (costs, time) = (meter.costs(count)?, begin.elapsed());
    let micros = costs.iter().map(|cost| cost.cpu_micros).sum();
    Ok(Outcome {
        figures: Figures::from([
            ("gatewayMicrosPerDelivery".to_owned(), micros),
            ("deliveriesPerSecond".to_owned(), rate(count, time)),
        ]),
        samples: sampler.stop(),
        costs,
        ..Outcome::default()
    })
}

async fn idle_sessions(sessions: usize, seconds: u64) -> Result<Outcome, Invalid> {
    // With members that never come it only holds what it has accepted.
    let numbers = [
        ("--rooms", "1".to_owned()),
        ("--members", (sessions + 1).to_string()),
    ];
    let limit = Limit::start(&numbers).await?;
    let processes = limit.processes();
    let before = Meter::start(&processes)?.resident_before();
    let connections = limit.connect(sessions).await?;
    sleep(REST).await;
    let during = Meter::start(&processes)?;
    let grown = during.resident_before().saturating_sub(before);
    sleep(Duration::from_secs(seconds)).await;
    let count = connections.len() as u64;
    let costs = during.costs(count * seconds.max(1))?;
    let micros = costs.iter().map(|cost| cost.cpu_micros).sum();
    let resident = u32::try_from(grown / count.max(1)).unwrap_or(u32::MAX);
    Ok(Outcome {
        figures: Figures::from([
            ("residentPerSession".to_owned(), f64::from(resident)),
            ("cpuMicrosPerSessionSecond".to_owned(), micros),
        ]),
        costs,
        ..Outcome::default()
    })
}

/// The server as a process of its own, so that what it costs can be told from what we cost.
struct Limit {
    process: Leashed,
    port: u16,
    /// Removed with it.
    _directory: tempfile::TempDir,
}

impl Limit {
    async fn start(numbers: &[(&str, String)]) -> Result<Self, Invalid> {
        let (port, directory) = (free_port(), scratch("limit"));
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("limit").args(["--port", &port.to_string()]);
        for (name, value) in numbers {
            command.args([name, value.as_str()]);
        }
        let process = Leashed::start(directory.path(), &command);
        let answers = async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
        };
        until("the limit listens", answers).await;
        Ok(Self {
            process,
            port,
            _directory: directory,
        })
    }

    fn processes(&self) -> Vec<Named> {
        vec![Named {
            name: "gateway".to_owned(),
            pid: self.process.pid(),
        }]
    }

    async fn connect(&self, count: usize) -> Result<Vec<Connection>, Invalid> {
        let open = |index: usize| {
            let mut dial = Dial::to(&Gateways::local([self.port]), 0);
            let block = u8::try_from(index / PER_SOURCE + 2).unwrap_or(u8::MAX);
            dial.source = Some([127, 0, 0, block].into());
            async move { Connection::handshake(&dial, Protocol::Native).await.ok() }
        };
        let opened = stream::iter((0..count).map(open)).buffer_unordered(AT_ONCE);
        let connections: Vec<_> = opened.filter_map(std::future::ready).collect().await;
        match connections.len() == count {
            true => Ok(connections),
            false => Err(Invalid(format!(
                "{} of {count} connected",
                connections.len()
            ))),
        }
    }
}
