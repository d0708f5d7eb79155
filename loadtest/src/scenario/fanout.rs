//! Room fan-out: separate rooms whose members all listen, one message after the other at a steady rate. Simulates busy
//! team channels. Thresholds: nothing lost, repeated or reordered.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::cost::{Meter, Named, parse, rate};
use super::measured::Measured;
use crate::check::{Load, Plan, Report, Stage, open_loop};
use crate::gateways::Gateways;
use crate::measure::Lateness;
use crate::{Invalid, Verdict};

/// `hobnob-load fanout`.
#[derive(Debug, Clone, clap::Args)]
pub struct FanoutOptions {
    /// Where
    #[command(flatten)]
    pub gateways: Gateways,
    /// The load; the figures in the README have --rooms 10 --members 100 --rate 100 (--users and --direct have no effect)
    #[command(flatten)]
    pub load: Load,
    /// Processes to watch, NAME=PID; may be repeated
    #[arg(long = "pid", value_parser = parse)]
    pub pids: Vec<Named>,
    /// Where the report goes, as JSON
    #[arg(long)]
    pub json: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// When it could not be carried out.
pub async fn command(options: &FanoutOptions) -> Result<Verdict, Invalid> {
    let load = Load {
        direct: 0.0,
        ..options.load.clone()
    };
    let stage = Stage::prepare(&options.gateways, &load, plan(&load)).await?;
    let lateness = Lateness::new()?;
    let mut samplers = JoinSet::new();
    samplers.spawn(lateness.clone().watch());
    let (meter, begin) = (Meter::start(&options.pids)?, Instant::now());
    let overflowed = open_loop(&stage, &load, &lateness).await;
    let (count, time) = (
        stage.shared.counters.delivered.load(Ordering::Relaxed),
        begin.elapsed(),
    );
    let costs = meter.costs(count)?;
    samplers.abort_all();
    stage.settle(Duration::from_secs(load.settle)).await;
    let balance = stage.finish().await?;
    let generator = lateness.report(Duration::from_millis(load.late_ms), overflowed);
    let measured = Measured {
        report: Report::new("fanout", balance, generator),
        unit: "delivery",
        count,
        per_second: rate(count, time),
        costs,
    };
    measured.show(options.json.as_deref())?;
    Ok(measured.report.verdict)
}

/// Rooms that share nobody.
fn plan(load: &Load) -> Plan {
    let members = |room: usize| (room * load.members..(room + 1) * load.members).collect();
    Plan {
        users: load.rooms * load.members,
        rooms: (0..load.rooms).map(members).collect(),
        ..Plan::default()
    }
}
