//! One run of a scenario on servers that are there. Knows neither files nor how its outcome is written down.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::bare;
use super::beside::{Scene, beside, prepare as prepare_people};
use super::cost::{Cost, Meter, Named, rate};
use super::figures::Figures;
use super::file::Scenario;
use super::outcome::Outcome;
use super::sampler::Sampler;
use super::server::Server;
use crate::Invalid;
use crate::check::{Cutter, Load, Report, STALL, Stage, closed_loop, open_loop};
use crate::gateways::Gateways;
use crate::ledger::Closed;
use crate::matrix::{BEFORE, Cluster, Props, clean_up, make, prepare};
use crate::measure::Lateness;
use crate::mix::Kind;

/// Figures that the gateways count, by the beginning of their lines in `/metrics`: how often one lost a place to another,
/// and what became of messages that one had another write.
const COUNTED: [(&str, &str); 4] = [
    ("appendConflicts", "hobnob_append_conflicts_total"),
    (
        "delegatedStored",
        "hobnob_appends_delegated_total{outcome=\"stored\"",
    ),
    (
        "delegatedDeclined",
        "hobnob_appends_delegated_total{outcome=\"declined\"",
    ),
    (
        "delegatedUnanswered",
        "hobnob_appends_delegated_total{outcome=\"unknown\"",
    ),
];

/// What one load came to.
struct Talked {
    overflowed: u64,
    acknowledged: u64,
    delivered: u64,
    /// Changes that were made, by kind.
    changed: [(Kind, u64); Kind::ALL.len()],
    time: Duration,
    /// When it was warm, and when it ended, from the start of the run.
    within: Range<Duration>,
    costs: Vec<Cost>,
}

/// One run on servers that are there.
pub(super) async fn once(
    scenario: &Scenario,
    server: Server,
    cluster: &mut Cluster,
) -> Result<Outcome, Invalid> {
    let admins = if server.has_metrics() {
        cluster.admins()
    } else {
        Vec::new()
    };
    let load = scenario.load.as_ref().map(|load| server.load(load));
    if server != Server::Hobnob && load.as_ref().is_some_and(|load| load.mix.has_changes()) {
        return Err(Invalid("a peer knows messages only".to_owned()));
    }
    let props = match scenario.fault {
        Some(fault) => prepare(fault, cluster).await,
        None => Props::default(),
    };
    let addresses = props.addresses(cluster);
    let (processes, mongodb) = (cluster.processes(), cluster.mongodb_uri());
    let stage = prepare_stage(scenario, load.as_ref(), &addresses).await?;
    let mut scene = Scene {
        gateways: &addresses,
        admins: &admins,
        processes: &processes,
        mongodb: &mongodb,
        redis: cluster.redis.port(),
        people: &[],
        begin: Instant::now(),
        stage: stage.as_ref(),
        seconds: load.as_ref().map_or(0, |load| load.seconds),
    };
    let people = prepare_people(scenario, scene).await?;
    scene.people = &people;
    let before = counted(scene).await?;
    let (lateness, sampler) = (Lateness::new()?, Sampler::start(processes.clone()));
    let watch = tokio::spawn(lateness.clone().watch());
    let begin = Instant::now();
    scene.begin = begin;
    let end = begin + Duration::from_secs(scene.seconds);
    let mut outcome = Outcome::default();
    let (talked, aside, fault, inserts) = tokio::join!(
        talk(
            scenario,
            stage.as_ref(),
            load.as_ref(),
            &lateness,
            &processes
        ),
        beside(scenario, scene),
        break_and_mend(scenario, cluster, stage.as_ref(), props, begin),
        bare_inserts(scenario, &mongodb, end),
    );
    watch.abort();
    (outcome.fault, outcome.samples) = (fault?, sampler.stop());
    outcome.figures.extend(aside?);
    outcome.figures.extend(inserts?);
    for (name, count) in counted(scene).await? {
        let since = count - before.get(&name).copied().unwrap_or_default();
        outcome.figures.insert(name, since);
    }
    outcome.generator = Some(lateness.report(STALL, 0));
    if let (Some(stage), Some(load), Some(talked)) = (stage, &load, talked?) {
        let origin = begin.duration_since(stage.shared.start);
        let generator = (lateness, origin);
        close(&mut outcome, scenario, stage, load, talked, generator).await?;
    }
    super::figures::generator(&mut outcome.figures, outcome.generator);
    Ok(outcome)
}

/// What the gateways have counted so far, as far as it is told.
async fn counted(scene: Scene<'_>) -> Result<Figures, Invalid> {
    let mut figures = Figures::new();
    for (name, counter) in COUNTED {
        figures.insert(name.to_owned(), scene.counter(counter).await?);
    }
    Ok(figures)
}

/// Those who talk, if the scenario has any.
async fn prepare_stage(
    scenario: &Scenario,
    load: Option<&Load>,
    addresses: &Gateways,
) -> Result<Option<Stage>, Invalid> {
    match load {
        Some(load) => Ok(Some(
            Stage::prepare(addresses, load, scenario.plan(load)?).await?,
        )),
        None => Ok(None),
    }
}

/// What the server is compared with, if the scenario wants that.
async fn bare_inserts(
    scenario: &Scenario,
    mongodb: &str,
    end: Instant,
) -> Result<Figures, Invalid> {
    match scenario.bare_inserts {
        true => bare::inserts(mongodb, end).await,
        false => Ok(Figures::new()),
    }
}

/// Sends for the scenario's time, and reads the clocks at the end of it.
async fn talk(
    scenario: &Scenario,
    stage: Option<&Stage>,
    load: Option<&Load>,
    lateness: &Lateness,
    processes: &[Named],
) -> Result<Option<Talked>, Invalid> {
    let (Some(stage), Some(load)) = (stage, load) else {
        return Ok(None);
    };
    let (meter, begin) = (Meter::start(processes)?, Instant::now());
    let warm = stage.shared.start.elapsed() + Duration::from_secs(scenario.warm_up);
    let overflowed = match scenario.window {
        None => open_loop(stage, load, lateness).await,
        Some(_) => closed_loop(stage, load).await,
    };
    let counters = &stage.shared.counters;
    let changed = Kind::ALL.map(|kind| {
        let changed = &counters.changed[kind as usize];
        (kind, changed.load(Ordering::Relaxed))
    });
    let acknowledged = counters.acknowledged.load(Ordering::Relaxed);
    let (delivered, time) = (counters.delivered.load(Ordering::Relaxed), begin.elapsed());
    // What a process used that is gone cannot be read: a run with a fault has no costs.
    let costs = meter.costs(acknowledged);
    Ok(Some(Talked {
        overflowed,
        acknowledged,
        delivered,
        changed,
        time,
        within: warm..stage.shared.start.elapsed(),
        costs: if scenario.fault.is_some() {
            Vec::new()
        } else {
            costs?
        },
    }))
}

async fn break_and_mend(
    scenario: &Scenario,
    cluster: &mut Cluster,
    stage: Option<&Stage>,
    mut props: Props,
    begin: Instant,
) -> Result<Option<(f64, f64)>, Invalid> {
    let (Some(fault), Some(stage)) = (scenario.fault, stage) else {
        return Ok(None);
    };
    make(fault, cluster, &mut props, &Cutter::of(&stage.phase)).await?;
    let mended = begin.elapsed().as_secs_f64();
    clean_up(cluster, props).await;
    Ok(Some((BEFORE.as_secs_f64(), mended)))
}

async fn close(
    outcome: &mut Outcome,
    scenario: &Scenario,
    stage: Stage,
    load: &Load,
    talked: Talked,
    (lateness, origin): (Lateness, Duration),
) -> Result<(), Invalid> {
    stage.settle(Duration::from_secs(load.settle)).await;
    let Closed {
        balance,
        series,
        shares,
    } = stage.close(origin, talked.within).await?;
    let allowed = match scenario.window {
        None => Duration::from_millis(load.late_ms),
        Some(_) => STALL,
    };
    let generator = lateness.report(allowed, talked.overflowed);
    let report = Report::new(&scenario.name, balance, generator);
    outcome
        .figures
        .extend(super::figures::of(&report, &talked.costs, talked.delivered));
    outcome.figures.extend([
        (
            "messagesPerSecond".to_owned(),
            rate(talked.acknowledged, talked.time),
        ),
        (
            "deliveriesPerSecond".to_owned(),
            rate(talked.delivered, talked.time),
        ),
    ]);
    let changed = talked
        .changed
        .iter()
        .filter(|(kind, _)| load.mix.weight(*kind) > 0);
    for (kind, count) in changed.filter(|(kind, _)| *kind != Kind::Messages) {
        let per_second = rate(*count, talked.time);
        super::figures::changes(
            &mut outcome.figures,
            *kind,
            (*count, per_second),
            &talked.costs,
        );
    }
    if scenario.window.is_some() {
        super::figures::fairness(&mut outcome.figures, &shares);
    }
    super::figures::above_bare_inserts(&mut outcome.figures);
    super::figures::around_a_crowd(&mut outcome.figures, &series)?;
    outcome.generator = Some(report.generator);
    super::figures::memory(&mut outcome.figures, &outcome.samples);
    outcome.costs = talked.costs;
    (outcome.report, outcome.series) = (Some(report), Some(series));
    Ok(())
}
