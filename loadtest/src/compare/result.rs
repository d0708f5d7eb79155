//! What was measured of one scenario, as it is kept in `loadtest/results/`, and the ratios in it. Knows no run.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Verdict;
use crate::outcome::{Machine, Summary, commit, now};
use crate::scenario::{Figures, Server};

const VERSION: u32 = 1;

/// One scenario, several servers, several runs of each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Compared {
    version: u32,
    pub(super) scenario: String,
    simulates: String,
    pub(super) ended: String,
    pub(super) commit: String,
    pub(super) machine: Machine,
    /// In the order they were named.
    servers: Vec<String>,
    pub(super) runs: BTreeMap<String, Vec<Measurement>>,
}

/// One run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Measurement {
    pub(super) verdict: Verdict,
    pub(super) figures: Figures,
}

impl Measurement {
    pub(super) fn of(summary: &Summary) -> Self {
        Self {
            verdict: summary.verdict,
            figures: summary.figures.clone(),
        }
    }
}

/// The middle and the ends of some numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) largest: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(super) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let middle = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
        Some(Self {
            least: *sorted.first()?,
            median: f64::midpoint(*sorted.get(middle.0)?, *sorted.get(middle.1)?),
            largest: *sorted.last()?,
        })
    }
}

impl Compared {
    pub(super) fn new(scenario: &str, simulates: &str) -> Self {
        Self {
            version: VERSION,
            scenario: scenario.to_owned(),
            simulates: simulates.to_owned(),
            ended: now(),
            commit: commit(),
            machine: Machine::here(),
            servers: Vec::new(),
            runs: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, server: Server, measurement: Measurement) {
        let name = server.name().to_owned();
        if !self.servers.contains(&name) {
            self.servers.push(name.clone());
        }
        self.runs.entry(name).or_default().push(measurement);
        self.ended = now();
    }

    /// A figure of one server, over its runs.
    pub(super) fn spread(&self, server: &str, figure: &str) -> Option<Spread> {
        let runs = self.runs.get(server)?;
        Spread::of(
            runs.iter()
                .filter_map(|run| run.figures.get(figure).copied()),
        )
    }

    /// How many times the first server's figure another's is, run by run.
    pub(super) fn ratio(&self, first: &str, other: &str, figure: &str) -> Option<Spread> {
        let pairs = self.runs.get(first)?.iter().zip(self.runs.get(other)?);
        Spread::of(pairs.filter_map(|(first, other)| {
            let (first, other) = (first.figures.get(figure)?, other.figures.get(figure)?);
            (*first != 0.0).then(|| other / first)
        }))
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.scenario, self.simulates.trim())?;
        let Some((first, others)) = self.servers.split_first() else {
            return Ok(());
        };
        let Some(runs) = self.runs.get(first) else {
            return Ok(());
        };
        let names = runs.iter().flat_map(|run| run.figures.keys());
        for name in names.collect::<std::collections::BTreeSet<_>>() {
            write!(f, "  {name:32}")?;
            for server in &self.servers {
                if let Some(spread) = self.spread(server, name) {
                    write!(
                        f,
                        "  {server} {:.2} [{:.2}–{:.2}]",
                        spread.median, spread.least, spread.largest
                    )?;
                }
            }
            for other in others {
                if let Some(ratio) = self.ratio(first, other, name) {
                    write!(
                        f,
                        "  ×{:.2} [{:.2}–{:.2}]",
                        ratio.median, ratio.least, ratio.largest
                    )?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(value: f64) -> Measurement {
        Measurement {
            verdict: Verdict::Pass,
            figures: Figures::from([("x".to_owned(), value)]),
        }
    }

    #[test]
    fn ratios_are_taken_run_by_run() {
        let mut compared = Compared::new("s", "t");
        for (own, other) in [(1.0, 4.0), (2.0, 4.0), (1.0, 5.0)] {
            compared.add(Server::Hobnob, measured(own));
            compared.add(Server::NodeSocketio, measured(other));
        }
        let ratio = compared.ratio("hobnob", "node-socketio", "x").unwrap();
        assert_eq!((ratio.least, ratio.median, ratio.largest), (2.0, 4.0, 5.0));
        assert_eq!(compared.spread("hobnob", "x").unwrap().median, 1.0);
        assert!(compared.ratio("hobnob", "limit", "x").is_none());
        let even = Spread::of([1.0, 2.0]).unwrap();
        assert_eq!((even.least, even.median, even.largest), (1.0, 1.5, 2.0));
    }
}
