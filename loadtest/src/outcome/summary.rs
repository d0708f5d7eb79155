//! The summary of a run, as JSON. Knows its form; a reader of an older form can tell by the version.

use std::fmt;

use serde::Serialize;

use super::machine::{Machine, commit, now};
use crate::Verdict;
use crate::check::Report;
use crate::scenario::{Cost, Figures, Outcome, Scenario, Server};

/// Grows when the form changes.
const VERSION: u32 = 1;

/// Everything but the seconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    pub(crate) version: u32,
    pub(crate) scenario: String,
    pub(crate) simulates: String,
    pub(crate) server: &'static str,
    pub(crate) ended: String,
    pub(crate) commit: String,
    pub(crate) machine: Machine,
    pub(crate) verdict: Verdict,
    /// Why the run proves nothing good, when the generator fell behind.
    pub(crate) void: Option<String>,
    /// Thresholds, in words.
    pub(crate) missed: Vec<String>,
    pub(crate) figures: Figures,
    pub(crate) costs: Vec<Cost>,
    /// From when to when something was broken, in seconds from the first send.
    pub(crate) fault: Option<Fault>,
    /// The books, when there was a load.
    pub(crate) books: Option<Report>,
}

/// What was broken, and when.
#[derive(Debug, Serialize)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) from: f64,
    pub(crate) to: f64,
}

impl Summary {
    /// Of a run that has just ended. Takes the report out of the outcome.
    pub(crate) fn of(scenario: &Scenario, server: Server, outcome: &mut Outcome) -> Self {
        // The thresholds are the product's own; others are only measured.
        let missed = match server {
            Server::Hobnob => scenario.missed(&outcome.figures),
            _ => Vec::new(),
        };
        let verdict = match (outcome.verdict(), missed.is_empty()) {
            (Verdict::Pass, false) => Verdict::Broken,
            (verdict, _) => verdict,
        };
        let fault = outcome.fault.zip(scenario.fault);
        Self {
            version: VERSION,
            scenario: scenario.name.clone(),
            simulates: scenario.simulates.clone(),
            server: server.name(),
            ended: now(),
            commit: commit(),
            machine: Machine::here(),
            verdict,
            void: outcome.void(),
            missed,
            figures: outcome.figures.clone(),
            costs: outcome.costs.clone(),
            fault: fault.map(|((from, to), row)| Fault {
                name: row.fault(),
                from,
                to,
            }),
            books: outcome.report.take(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} against {}: {:?}",
            self.scenario, self.server, self.verdict
        )?;
        if let Some(books) = &self.books {
            books.fmt(f)?;
        }
        for (name, figure) in &self.figures {
            writeln!(f, "  {name}: {figure:.2}")?;
        }
        if let Some(void) = &self.void {
            writeln!(f, "  ? {void}")?;
        }
        let mut missed = self.missed.iter();
        missed.try_for_each(|missed| writeln!(f, "  ! {missed}"))
    }
}
