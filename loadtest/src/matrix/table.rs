//! The matrix as a table, as Markdown and as JSON. Knows no run.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::row::Row;
use crate::check::Report;
use crate::{Invalid, Verdict};

const HEAD: &str = "| fault | sent | acknowledged | lost | repeated | out of order | longest gap | verdict |\n\
    |---|--:|--:|--:|--:|--:|--:|---|\n";

/// Rows with their reports.
#[derive(Debug, Default, Serialize)]
pub(super) struct Table {
    rows: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    row: Row,
    fault: &'static str,
    report: Report,
}

impl Table {
    pub(super) fn add(&mut self, row: Row, report: Report) {
        self.rows.push(Entry {
            row,
            fault: row.fault(),
            report,
        });
    }

    /// The worst of all.
    pub(super) fn verdict(&self) -> Verdict {
        let verdicts = || self.rows.iter().map(|entry| entry.report.verdict);
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
        self.rows.iter().try_for_each(|entry| entry.fmt(f))
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let balance = &self.report.balance;
        let permitted = match balance.repeated_as_permitted {
            0 => String::new(),
            count => format!(" (+{count} permitted)"),
        };
        writeln!(
            f,
            "| {} | {} | {} | {} | {}{permitted} | {} | {:.1} s | {} |",
            self.fault,
            balance.sent,
            balance.acknowledged,
            balance.lost(),
            balance.repeated,
            balance.out_of_order,
            balance.longest_gap_ms / 1000.0,
            format!("{:?}", self.report.verdict).to_lowercase(),
        )
    }
}
