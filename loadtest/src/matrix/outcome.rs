//! What came of one row of the matrix. Knows no table.

use super::presence::Agreement;
use super::row::Row;
use crate::Verdict;
use crate::check::Report;

/// What came of a row.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) report: Report,
    /// That its fault really came about, where that can be doubted.
    pub(super) evidence: Option<String>,
    /// When everybody agreed who is there; peers have no presence of this kind.
    pub(super) presence: Option<Agreement>,
}

impl Outcome {
    /// Of the report, unless presence came true too late for its fault.
    pub(super) fn verdict(&self, row: Row) -> Verdict {
        let is_late = |presence: &Agreement| !presence.is_within(row.presence_right_within());
        match self.report.verdict {
            Verdict::Pass if self.presence.as_ref().is_some_and(is_late) => Verdict::Broken,
            verdict => verdict,
        }
    }
}
