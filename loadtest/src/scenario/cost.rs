//! What named processes used between two moments, per unit of work. Knows no work.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::Invalid;
use crate::measure::{Usage, usage};

/// A process to be watched: `NAME=PID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What it is called in the report; processes of one name are added up.
    pub name: String,
    /// Its id.
    pub pid: u32,
}

/// What all processes of one name used.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// Their name.
    pub name: String,
    /// CPU time per unit of work, in microseconds.
    pub cpu_micros: f64,
    /// CPU time in all, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory at the end, in bytes.
    pub resident: u64,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = Duration::from_micros(self.resident).as_secs_f64();
        write!(
            f,
            "{}: {:.1} s of CPU, {megabytes:.0} MB, {:.2} µs",
            self.name, self.cpu_seconds, self.cpu_micros
        )
    }
}

/// Reads `NAME=PID`.
pub(super) fn parse(text: &str) -> Result<Named, String> {
    let wrong = || format!("`{text}` is not NAME=PID");
    let (name, pid) = text.split_once('=').ok_or_else(wrong)?;
    Ok(Named {
        name: name.to_owned(),
        pid: pid.parse().map_err(|_| wrong())?,
    })
}

/// The watched processes, as they were at some moment.
#[derive(Debug)]
pub(crate) struct Meter<'a> {
    processes: &'a [Named],
    before: Vec<Usage>,
}

impl<'a> Meter<'a> {
    pub(super) fn start(processes: &'a [Named]) -> Result<Self, Invalid> {
        let before = processes.iter().map(|process| usage(process.pid));
        Ok(Self {
            processes,
            before: before.collect::<Result<_, _>>()?,
        })
    }

    /// Resident memory of all processes then, in bytes.
    pub(super) fn resident_before(&self) -> u64 {
        self.before.iter().map(|usage| usage.resident).sum()
    }

    /// What was used since, per unit of `count`.
    pub(super) fn costs(&self, count: u64) -> Result<Vec<Cost>, Invalid> {
        let mut costs: Vec<Cost> = Vec::new();
        for (process, before) in self.processes.iter().zip(&self.before) {
            let now = usage(process.pid)?;
            let used = now.cpu.saturating_sub(before.cpu);
            let index = costs.iter().position(|cost| cost.name == process.name);
            let index = index.unwrap_or_else(|| {
                costs.push(Cost {
                    name: process.name.clone(),
                    cpu_micros: 0.0,
                    cpu_seconds: 0.0,
                    resident: 0,
                });
                costs.len() - 1
            });
            let cost = &mut costs[index];
            cost.cpu_seconds += used.as_secs_f64();
            cost.cpu_micros += per(used, count);
            cost.resident += now.resident;
        }
        Ok(costs)
    }
}

/// What each kind of process uses anyway: CPU time a second, in seconds.
#[derive(Debug, Default)]
pub(super) struct Baseline(BTreeMap<String, f64>);

impl Baseline {
    /// Watches for so long, and nothing that is to be measured may happen meanwhile.
    pub(super) async fn over(processes: &[Named], time: Duration) -> Result<Self, Invalid> {
        let (meter, begin) = (Meter::start(processes)?, Instant::now());
        sleep(time).await;
        let seconds = begin.elapsed().as_secs_f64();
        let costs = meter.costs(1)?.into_iter();
        let used = costs.map(|cost| (cost.name, cost.cpu_seconds / seconds));
        Ok(Self(used.collect()))
    }

    /// By name of process.
    pub(super) fn rates(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, rate)| (name.as_str(), *rate))
    }

    /// What was used beyond it in a time, per unit of `count`, in microseconds.
    pub(super) fn micros_beyond(&self, cost: &Cost, time: Duration, count: u64) -> f64 {
        let anyway = self.0.get(&cost.name).copied().unwrap_or_default();
        let beyond = (cost.cpu_seconds - anyway * time.as_secs_f64()).max(0.0);
        per(Duration::from_secs_f64(beyond), count)
    }
}

/// Microseconds per unit; 0 when there was none.
#[expect(
    clippy::cast_precision_loss,
    reason = "a count of messages is far below 2^52"
)]
fn per(used: Duration, count: u64) -> f64 {
    if count == 0 {
        0.0
    } else {
        used.as_secs_f64() * 1e6 / count as f64
    }
}

/// Units a second.
#[expect(
    clippy::cast_precision_loss,
    reason = "a count of messages is far below 2^52"
)]
pub(super) fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_anyway_is_not_charged() {
        let baseline = Baseline(BTreeMap::from([("a".to_owned(), 0.1)]));
        let cost = |name: &str| Cost {
            name: name.to_owned(),
            cpu_micros: 0.0,
            cpu_seconds: 2.0,
            resident: 0,
        };
        let beyond = |name| baseline.micros_beyond(&cost(name), Duration::from_secs(10), 100);
        assert!((beyond("a") - 10_000.0).abs() < 1e-6);
        assert!((beyond("b") - 20_000.0).abs() < 1e-6);
    }

    #[test]
    fn processes_of_one_name_are_added_up() {
        let own = parse(&format!("me={}", std::process::id())).unwrap();
        let processes = [own.clone(), own];
        let meter = Meter::start(&processes).unwrap();
        let costs = meter.costs(10).unwrap();
        assert_eq!(costs.len(), 1);
        assert!(costs[0].resident >= meter.resident_before() / 2);
        assert!(parse("7").is_err());
    }
}
