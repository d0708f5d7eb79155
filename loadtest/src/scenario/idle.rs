//! Idle sessions: many connections that say nothing. Simulates an app that lies in pockets; measures the memory and the
//! CPU of one. Thresholds: no connection is lost. Knows no messages.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use rand::Rng;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::cost::{Cost, Meter, Named, parse};
use crate::accounts::{Accounts, User};
use crate::client::{Connection, Dial, Joining, Protocol};
use crate::gateways::Gateways;
use crate::{Invalid, Verdict};

/// Connections opened at once.
const AT_ONCE: usize = 50;
/// Connections from one source address; one has about 28,000 ports.
const PER_SOURCE: usize = 5_000;
/// After the last connection: time for what comes with it.
const REST: Duration = Duration::from_secs(5);

/// What the sessions speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Speaks {
    /// JSON frames on `/ws`.
    Ws,
    /// Socket.IO.
    Socketio,
}

/// `hobnob-load idle`.
#[derive(Debug, Clone, clap::Args)]
pub struct IdleOptions {
    /// Where
    #[command(flatten)]
    pub gateways: Gateways,
    /// How many sessions
    #[arg(long, default_value_t = 5_000)]
    pub sessions: usize,
    /// How many users they belong to; more than one session each means the cost of users is hardly in the figure
    #[arg(long, default_value_t = 500)]
    pub users: usize,
    /// How long they are held, in seconds
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
    /// What they speak
    #[arg(long, value_enum, default_value_t = Speaks::Ws)]
    pub protocol: Speaks,
    /// The gateways' processes, NAME=PID; may be repeated
    #[arg(long = "pid", value_parser = parse, required = true)]
    pub pids: Vec<Named>,
    /// Where the report goes, as JSON
    #[arg(long)]
    pub json: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IdleReport {
    pub(super) sessions: usize,
    pub(super) refused: usize,
    pub(super) lost: u64,
    pub(super) resident_per_session: u64,
    /// Of all watched processes, per session and second.
    pub(super) cpu_micros_per_second: f64,
    costs: Vec<Cost>,
}

/// Runs it.
///
/// # Errors
/// When it could not be carried out.
pub async fn command(options: &IdleOptions) -> Result<Verdict, Invalid> {
    let report = measure(options).await?;
    show(&report, options)
}

/// Opens the sessions, holds them, and says what they cost.
pub(super) async fn measure(options: &IdleOptions) -> Result<IdleReport, Invalid> {
    let accounts = Accounts::new(&options.gateways);
    let run = format!("idle-{:08x}", rand::rng().random::<u32>());
    let users = accounts.register(&run, options.users.max(1)).await?;
    let before = Meter::start(&options.pids)?;
    let mut connections = connect(options, &users).await;
    let lost = Arc::new(AtomicU64::new(0));
    let mut held = JoinSet::new();
    let count = connections.len();
    for connection in connections.drain(..) {
        held.spawn(hold(connection, Arc::clone(&lost)));
    }
    sleep(REST).await;
    let during = Meter::start(&options.pids)?;
    sleep(Duration::from_secs(options.seconds)).await;
    let costs = during.costs(count as u64 * options.seconds.max(1))?;
    let grown = during
        .resident_before()
        .saturating_sub(before.resident_before());
    let report = IdleReport {
        sessions: count,
        refused: options.sessions - count,
        lost: lost.load(Ordering::Relaxed),
        resident_per_session: grown / count.max(1) as u64,
        cpu_micros_per_second: costs.iter().map(|cost| cost.cpu_micros).sum(),
        costs,
    };
    held.abort_all();
    Ok(report)
}

/// Those who could be opened of the sessions wanted.
pub(super) async fn connect(options: &IdleOptions, users: &[User]) -> Vec<Connection> {
    let protocol = match options.protocol {
        Speaks::Ws => Protocol::Native,
        Speaks::Socketio => Protocol::SocketIo,
    };
    let since = BTreeMap::new();
    let open = |index: usize| {
        let mut dial = Dial::to(&options.gateways, index);
        dial.source = Some(source(index));
        let joining = Joining {
            user: &users[index % users.len()].id,
            token: &users[index % users.len()].token,
            since: &since,
            last: None,
            acknowledges: protocol == Protocol::Native,
        };
        async move {
            let opened = Connection::open(&dial, protocol, &joining, |_| {}).await;
            opened
                .inspect_err(|error| eprintln!("  session {index} was refused: {error:?}"))
                .ok()
        }
    };
    let opened = stream::iter((0..options.sessions).map(open)).buffer_unordered(AT_ONCE);
    opened.filter_map(std::future::ready).collect().await
}

/// 127.0.0.2 for the first few thousand, and so on.
fn source(index: usize) -> Ipv4Addr {
    let block = u8::try_from(index / PER_SOURCE + 2).unwrap_or(u8::MAX);
    Ipv4Addr::new(127, 0, 0, block)
}

/// Keeps it, and counts when it ends.
pub(super) async fn hold(mut connection: Connection, lost: Arc<AtomicU64>) {
    while let Some(text) = connection.next().await {
        let answered = connection
            .answer_ping(text.as_deref().unwrap_or_default())
            .await;
        if answered.is_err() {
            break;
        }
    }
    lost.fetch_add(1, Ordering::Relaxed);
}

fn show(report: &IdleReport, options: &IdleOptions) -> Result<Verdict, Invalid> {
    println!(
        "idle: {} sessions ({} refused, {} lost), {} bytes resident each, {:.2} µs of CPU a second each",
        report.sessions,
        report.refused,
        report.lost,
        report.resident_per_session,
        report.cpu_micros_per_second
    );
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(report)?)?;
    }
    Ok(match (report.refused, report.lost) {
        (0, 0) => Verdict::Pass,
        (0, _) => Verdict::Broken,
        _ => Verdict::Invalid,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_change_before_their_ports_run_out() {
        assert_eq!(source(0), Ipv4Addr::new(127, 0, 0, 2));
        assert_eq!(source(PER_SOURCE), Ipv4Addr::new(127, 0, 0, 3));
    }
}
