//! The matrix as a table, as Markdown and as JSON. Knows no run.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::case::Case;
use super::mixed;
use super::outcome::Outcome;
use super::presence::Agreement;
use super::row::Row;
use crate::check::Report;
use crate::ledger::Elsewhere;
use crate::{Invalid, Verdict};

const HEAD: &str = "| fault | sent | acknowledged | lost | repeated | out of order | longest gap | presence right after | refused elsewhere (0), slowest answer (2 s) | verdict |\n\
    |---|--:|--:|--:|--:|--:|--:|--:|--:|---|\n";

/// Rows with their reports.
#[derive(Debug, Default, Serialize)]
pub(super) struct Table {
    rows: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    row: Row,
    /// In how many rooms there is a mixed load.
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms: Option<usize>,
    fault: String,
    /// That the fault really came about, where that can be doubted.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence: Option<Agreement>,
    verdict: Verdict,
    /// Why there is no report.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

impl Table {
    pub(super) fn add(&mut self, case: Case, outcome: Result<Outcome, Invalid>) {
        let mut entry = Entry {
            row: case.row,
            rooms: case.rooms,
            fault: case.fault(),
            evidence: None,
            report: None,
            presence: None,
            verdict: Verdict::Invalid,
            failed: None,
        };
        match outcome {
            Ok(outcome) => {
                entry.verdict = outcome.verdict(case.row);
                entry.report = Some(outcome.report);
                entry.evidence = outcome.evidence;
                entry.presence = outcome.presence;
            }
            Err(Invalid(why)) => entry.failed = Some(why),
        }
        self.rows.push(entry);
    }

    /// The worst of all.
    pub(super) fn verdict(&self) -> Verdict {
        let verdicts = || self.rows.iter().map(|entry| entry.verdict);
        match verdicts().find(|verdict| *verdict == Verdict::Broken) {
            Some(broken) => broken,
            None => verdicts().max().unwrap_or(Verdict::Invalid),
        }
    }

    pub(super) fn write(
        &self,
        json: Option<&Path>,
        markdown: Option<&Path>,
    ) -> Result<(), Invalid> {
        if let Some(path) = json {
            std::fs::write(path, serde_json::to_vec_pretty(self)?)?;
        }
        if let Some(path) = markdown {
            std::fs::write(path, self.to_string())?;
        }
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        self.rows.iter().try_for_each(|entry| entry.fmt(f))?;
        let notes: Vec<String> = self.rows.iter().filter_map(Entry::note).collect();
        match notes.is_empty() {
            true => Ok(()),
            false => writeln!(f, "\n{}", notes.join("\n")),
        }
    }
}

impl Entry {
    /// Why the row's repeats are permitted (P4), and what proves its fault.
    fn note(&self) -> Option<String> {
        let balance = self.report.as_ref().map(|report| &report.balance)?;
        let reasons = [
            (
                balance.repeated_after_reconnect,
                "came again after a reconnect, beyond the point the device resumed from: nothing proved them received (D28)",
            ),
            (
                balance.repeated_after_retry,
                "were the sender's own, shown by the answer to a repeated send and as the event of the first try (D29)",
            ),
            (
                balance.changed_again_after_retry,
                "changes were made once more by a repetition, since a change has no id that tells it from another",
            ),
        ];
        let repeats = reasons.iter().filter(|(count, _)| *count > 0);
        let repeats = repeats.map(|(count, reason)| format!("{count} {reason}"));
        let evidence = self.evidence.iter().cloned();
        let said: Vec<String> = evidence.chain(repeats).chain(self.hurt()).collect();
        let of = |rooms: usize| format!(" in {rooms}");
        let rooms = self.rooms.map(of).unwrap_or_default();
        (!said.is_empty()).then(|| format!("- {}{rooms}: {}.", self.row.name(), said.join("; ")))
    }
}

impl Entry {
    /// What the gateways to which nothing was done refused, or answered too late, or would not have let be.
    fn hurt(&self) -> Option<String> {
        let elsewhere = &self.report.as_ref()?.balance.elsewhere;
        if !self.row.is_mixed() || mixed::is_unhurt(elsewhere) {
            return None;
        }
        let refused = elsewhere.refused.iter();
        let refused = refused.map(|(kind, count)| format!("{kind} {count}"));
        Some(format!(
            "at the other gateways {} were refused ({}), and of {} one waited {:.1} s",
            elsewhere.refusals(),
            refused.collect::<Vec<_>>().join(", "),
            elsewhere.slowest.unwrap_or_default(),
            elsewhere.slowest_ms / 1000.0
        ))
    }

    fn elsewhere(&self, elsewhere: &Elsewhere) -> String {
        match self.row.is_mixed() {
            false => String::new(),
            true => format!(
                "{}, {:.1} s",
                elsewhere.refusals(),
                elsewhere.slowest_ms / 1000.0
            ),
        }
    }

    /// How long after the last fault everybody agreed who is there.
    fn presence(&self) -> String {
        match &self.presence {
            None => String::new(),
            Some(Agreement {
                after_ms: Some(after),
                ..
            }) => format!("{:.1} s", *after as f64 / 1000.0),
            Some(_) => "never".to_owned(),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Report { balance, .. }) = &self.report else {
            let why = self.failed.as_deref().unwrap_or_default();
            return writeln!(f, "| {} | | | | | | | | | invalid: {why} |", self.fault);
        };
        let permitted = match balance.repeated_as_permitted() {
            0 => String::new(),
            count => format!(" (+{count} permitted)"),
        };
        writeln!(
            f,
            "| {} | {} | {} | {} | {}{permitted} | {} | {:.1} s | {} | {} | {} |",
            self.fault,
            balance.all_sent(),
            balance.all_acknowledged(),
            balance.lost(),
            balance.repeated,
            balance.out_of_order,
            balance.longest_gap_ms / 1000.0,
            self.presence(),
            self.elsewhere(&balance.elsewhere),
            format!("{:?}", self.verdict).to_lowercase(),
        )
    }
}
