//! The matrix as a table, as Markdown and as JSON. Knows no run.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::outcome::Outcome;
use super::presence::Agreement;
use super::row::Row;
use crate::check::Report;
use crate::{Invalid, Verdict};

const HEAD: &str = "| fault | sent | acknowledged | lost | repeated | out of order | longest gap | presence right after | verdict |\n\
    |---|--:|--:|--:|--:|--:|--:|--:|---|\n";

/// Rows with their reports.
#[derive(Debug, Default, Serialize)]
pub(super) struct Table {
    rows: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    row: Row,
    fault: &'static str,
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
    pub(super) fn add(&mut self, row: Row, outcome: Result<Outcome, Invalid>) {
        let mut entry = Entry {
            row,
            fault: row.fault(),
            evidence: None,
            report: None,
            presence: None,
            verdict: Verdict::Invalid,
            failed: None,
        };
        match outcome {
            Ok(outcome) => {
                entry.verdict = outcome.verdict(row);
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
        ];
        let repeats = reasons.iter().filter(|(count, _)| *count > 0);
        let repeats = repeats.map(|(count, reason)| format!("{count} {reason}"));
        let said: Vec<String> = self.evidence.iter().cloned().chain(repeats).collect();
        (!said.is_empty()).then(|| format!("- {}: {}.", self.row.name(), said.join("; ")))
    }
}

impl Entry {
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
            return writeln!(f, "| {} | | | | | | | | invalid: {why} |", self.fault);
        };
        let permitted = match balance.repeated_as_permitted() {
            0 => String::new(),
            count => format!(" (+{count} permitted)"),
        };
        writeln!(
            f,
            "| {} | {} | {} | {} | {}{permitted} | {} | {:.1} s | {} | {} |",
            self.fault,
            balance.sent,
            balance.acknowledged,
            balance.lost(),
            balance.repeated,
            balance.out_of_order,
            balance.longest_gap_ms / 1000.0,
            self.presence(),
            format!("{:?}", self.verdict).to_lowercase(),
        )
    }
}
