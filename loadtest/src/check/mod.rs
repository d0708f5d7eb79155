//! The delivery checker: sends at its own pace while the system is being broken, waits until it must have healed, and
//! closes the books. Knows neither how gateways are started nor how they are broken.

mod audit;
mod options;
mod plan;
mod progress;
mod report;
mod stage;

use std::time::Duration;

use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

pub use options::{CheckOptions, Fault, Load, Protocols};
pub(crate) use plan::{Deep, Plan};
pub use report::Report;
pub(crate) use stage::Stage;

use progress::Progress;

use crate::client::Phase;
use crate::gateways::Gateways;
use crate::measure::Lateness;
use crate::{Invalid, Verdict};

/// A closed loop shares the cores with what it measures and takes all it gets, so only a stall makes it void.
pub(crate) const STALL: Duration = Duration::from_secs(1);

/// Runs a check against running gateways, and prints and writes its report.
///
/// # Errors
/// When it could not be carried out.
pub async fn command(options: &CheckOptions) -> Result<Verdict, Invalid> {
    let faults = options.faults.clone();
    let report = run("check", &options.gateways, &options.load, |cutter| {
        scheduled(faults, cutter)
    })
    .await?;
    print!("{report}");
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(report.verdict)
}

/// Cuts all of a run's connections at once, without a word.
#[derive(Debug, Clone)]
pub struct Cutter(watch::Sender<Phase>);

impl Cutter {
    pub(crate) fn of(phase: &watch::Sender<Phase>) -> Self {
        Self(phase.clone())
    }

    /// Cuts them.
    pub fn cut(&self) {
        self.0.send_modify(|phase| phase.cuts += 1);
    }
}

/// Runs the load while `faults` runs beside it, from the first send on. Settling begins when both have ended.
///
/// # Errors
/// When the run could not be carried out, or a fault could not be made.
pub async fn run<F>(
    name: &str,
    gateways: &Gateways,
    load: &Load,
    faults: impl FnOnce(Cutter) -> F,
) -> Result<Report, Invalid>
where
    F: Future<Output = Result<(), Invalid>>,
{
    run_plan(name, gateways, load, Plan::of(load)?, faults).await
}

/// The same, with a plan of one's own; where that is a closed loop, everybody does as much as is answered.
pub(crate) async fn run_plan<F>(
    name: &str,
    gateways: &Gateways,
    load: &Load,
    plan: Plan,
    faults: impl FnOnce(Cutter) -> F,
) -> Result<Report, Invalid>
where
    F: Future<Output = Result<(), Invalid>>,
{
    let is_closed = plan.window.is_some();
    let stage = Stage::prepare(gateways, load, plan).await?;
    let progress = load.progress.then(|| Progress::show(&stage.shared));
    let lateness = Lateness::new()?;
    let mut samplers = JoinSet::new();
    samplers.spawn(lateness.clone().watch());
    let faults = faults(Cutter::of(&stage.phase));
    let talk = async {
        match is_closed {
            true => closed_loop(&stage, load).await,
            false => open_loop(&stage, load, &lateness).await,
        }
    };
    let (overflowed, broken) = tokio::join!(talk, faults);
    broken?;
    samplers.abort_all();
    stage.settle(Duration::from_secs(load.settle)).await;
    drop(progress);
    let balance = stage.finish().await?;
    let allowed = match is_closed {
        true => STALL,
        false => Duration::from_millis(load.late_ms),
    };
    let generator = lateness.report(allowed, overflowed);
    Ok(Report::new(name, balance, generator))
}

/// Lets everybody do as much as is answered. There is room for everything.
pub(crate) async fn closed_loop(stage: &Stage, load: &Load) -> u64 {
    stage.phase.send_modify(|phase| phase.sending = true);
    sleep(Duration::from_secs(load.seconds)).await;
    stage.phase.send_modify(|phase| phase.sending = false);
    0
}

/// Orders messages at a constant rate, whatever becomes of them. Returns for how many there was no room.
pub(crate) async fn open_loop(stage: &Stage, load: &Load, lateness: &Lateness) -> u64 {
    let begin = Instant::now();
    let end = begin + Duration::from_secs(load.seconds);
    let interval = Duration::from_secs_f64(1.0 / load.rate.max(0.001));
    let (mut overflowed, mut due) = (0, begin);
    for number in 0.. {
        if due >= end {
            break;
        }
        sleep_until(due).await;
        lateness.note(due);
        let intended = due.duration_since(stage.shared.start);
        overflowed += u64::from(!stage.order(number, load.direct, intended));
        due += interval;
    }
    overflowed
}

async fn scheduled(faults: Vec<Fault>, cutter: Cutter) -> Result<(), Invalid> {
    let begin = Instant::now();
    let at_their_time = faults.into_iter().map(|fault| {
        let cutter = cutter.clone();
        async move {
            sleep(fault.after.saturating_sub(begin.elapsed())).await;
            if fault.command == "cut" {
                cutter.cut();
                return Ok(());
            }
            let status = Command::new("sh")
                .arg("-c")
                .arg(&fault.command)
                .status()
                .await?;
            match status.success() {
                true => Ok(()),
                false => Err(Invalid(format!("`{}`: {status}", fault.command))),
            }
        }
    });
    futures_util::future::try_join_all(at_their_time)
        .await
        .map(drop)
}
