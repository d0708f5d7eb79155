//! What a check says in the end. Knows no run.

use std::fmt;

use serde::Serialize;

use crate::Verdict;
use crate::ledger::Balance;
use crate::measure::{LatenessReport, Percentiles};

/// The form of the JSON; grows when it changes.
const VERSION: u32 = 1;

/// The report of one run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The form of this report.
    pub version: u32,
    /// What ran.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// The books.
    pub balance: Balance,
    /// Whether the generator itself kept up.
    pub generator: LatenessReport,
}

impl Report {
    pub(crate) fn new(name: &str, balance: Balance, generator: LatenessReport) -> Self {
        // A loss is a loss however slow the generator was; but a slow generator can prove nothing good.
        let verdict = match (balance.broken(), generator.fell_behind()) {
            (1.., _) => Verdict::Broken,
            (0, true) => Verdict::Invalid,
            (0, false) => Verdict::Pass,
        };
        Self {
            version: VERSION,
            name: name.to_owned(),
            verdict,
            balance,
            generator,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            balance, generator, ..
        } = self;
        writeln!(f, "{}: {:?}", self.name, self.verdict)?;
        writeln!(
            f,
            "  sent {}, acknowledged {}, stored {}, deliveries {}, reconnects {}",
            balance.sent,
            balance.acknowledged,
            balance.stored,
            balance.deliveries,
            balance.reconnects
        )?;
        writeln!(
            f,
            "  lost {} ({} not stored, {} not delivered), repeated {} (and {} as permitted), out of order {}",
            balance.lost(),
            balance.acknowledged_not_stored,
            balance.not_delivered,
            balance.repeated,
            balance.repeated_as_permitted(),
            balance.out_of_order
        )?;
        writeln!(
            f,
            "  holes {}, stored twice {}, wrong {}, refused {}, unanswered {}",
            balance.holes, balance.stored_twice, balance.wrong, balance.refused, balance.unanswered
        )?;
        for (kind, tally) in &balance.changes {
            writeln!(
                f,
                "  {kind}: asked {}, acknowledged {}, in the logs {}, moot {}, refused {}, unanswered {}",
                tally.asked,
                tally.acknowledged,
                tally.stored,
                tally.moot,
                tally.refused,
                tally.unanswered
            )?;
        }
        if !balance.changes.is_empty() {
            writeln!(
                f,
                "  states that differ from the log {}, changes made again by a retry {}",
                balance.differing, balance.changed_again_after_retry
            )?;
        }
        if let Some(kind) = balance.elsewhere.slowest {
            let (refused, slowest) = (balance.elsewhere.refusals(), balance.elsewhere.slowest_ms);
            writeln!(
                f,
                "  other gateways: refused {refused}, slowest answer {slowest:.0} ms ({kind})"
            )?;
        }
        writeln!(f, "  longest gap {:.0} ms", balance.longest_gap_ms)?;
        line(f, "acknowledged after", &balance.acknowledgement_latency)?;
        line(f, "delivered after", &balance.delivery_latency)?;
        line(f, "generator late", &generator.late)?;
        for (code, count) in &balance.errors {
            writeln!(f, "  {code}: {count}")?;
        }
        balance
            .examples
            .iter()
            .try_for_each(|example| writeln!(f, "  ! {example}"))
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, figures: &Percentiles) -> fmt::Result {
    let Percentiles {
        p50, p95, p99, max, ..
    } = figures;
    writeln!(
        f,
        "  {name}: p50 {p50:.1} p95 {p95:.1} p99 {p99:.1} max {max:.1} ms"
    )
}
