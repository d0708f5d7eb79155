//! What came of one row of the matrix. Knows no table.

use super::mixed;
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
    /// MongoDB elected meanwhile, although nothing was done to it.
    pub(super) is_disturbed: bool,
    /// How long the other gateways take counts. Not in the short matrix, which is run on busy machines: there a wait that
    /// is too long shows as a refusal, after 10 s.
    pub(super) is_timed: bool,
}

impl Outcome {
    /// Of the report, unless presence came true too late for its fault, or others than those hurt by it had to wait.
    pub(super) fn verdict(&self, row: Row) -> Verdict {
        let is_late = |presence: &Agreement| !presence.is_within(row.presence_right_within());
        let elsewhere = &self.report.balance.elsewhere;
        let is_slow = self.is_timed && !mixed::is_unhurt(elsewhere);
        let is_hurt = row.is_mixed() && (is_slow || elsewhere.refusals() > 0);
        match self.report.verdict {
            Verdict::Pass if self.presence.as_ref().is_some_and(is_late) => Verdict::Broken,
            // Whom an election hurt proves nothing.
            Verdict::Pass if is_hurt && self.is_disturbed => Verdict::Invalid,
            Verdict::Pass if is_hurt => Verdict::Broken,
            verdict => verdict,
        }
    }
}
