//! Saturated direct messages: pairs of users who answer each other as fast as acknowledgements come (a closed loop).
//! Finds the throughput of durable sends. Thresholds: nothing lost, repeated or reordered.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::cost::{Meter, Named, parse, rate};
use super::measured::Measured;
use crate::check::{Load, Plan, Report, STALL, Stage, closed_loop};
use crate::gateways::Gateways;
use crate::measure::Lateness;
use crate::{Invalid, Verdict};

/// `hobnob-load direct`.
#[derive(Debug, Clone, clap::Args)]
pub struct DirectOptions {
    /// Where
    #[command(flatten)]
    pub gateways: Gateways,
    /// Messages each user has under way at once
    #[arg(long, default_value_t = 1)]
    pub window: usize,
    /// The users, the time and the protocol (--rooms, --members, --rate and --direct have no effect)
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
pub async fn command(options: &DirectOptions) -> Result<Verdict, Invalid> {
    let load = &options.load;
    let plan = Plan {
        users: load.users & !1,
        directs: (0..load.users / 2)
            .map(|pair| (2 * pair, 2 * pair + 1))
            .collect(),
        window: Some(options.window),
        ..Plan::default()
    };
    let stage = Stage::prepare(&options.gateways, load, plan).await?;
    let lateness = Lateness::new()?;
    let watch = tokio::spawn(lateness.clone().watch());
    let (meter, begin) = (Meter::start(&options.pids)?, Instant::now());
    closed_loop(&stage, load).await;
    let (count, time) = (
        stage.shared.counters.acknowledged.load(Ordering::Relaxed),
        begin.elapsed(),
    );
    let costs = meter.costs(count)?;
    watch.abort();
    stage.settle(Duration::from_secs(load.settle)).await;
    let balance = stage.finish().await?;
    let measured = Measured {
        report: Report::new("direct", balance, lateness.report(STALL, 0)),
        unit: "message",
        count,
        per_second: rate(count, time),
        costs,
    };
    measured.show(options.json.as_deref())?;
    Ok(measured.report.verdict)
}
