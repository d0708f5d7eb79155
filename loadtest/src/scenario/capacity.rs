//! The highest rate that keeps every promise and every threshold: the rate grows by a factor until a step fails. Knows one
//! step only as a run.

use super::file::Scenario;
use super::outcome::Outcome;
use super::run::once;
use super::server::Server;
use crate::matrix::Cluster;
use crate::{Invalid, Verdict};

/// Returns the outcome of the last step that passed, with `capacityPerSecond`; of the first, if none did.
pub(super) async fn find(
    scenario: &Scenario,
    server: Server,
    cluster: &mut Cluster,
) -> Result<Outcome, Invalid> {
    let missing = || Invalid("capacity needs a load and its steps".to_owned());
    let search = scenario.capacity.ok_or_else(missing)?;
    let mut step = scenario.clone();
    let mut best = None;
    for _ in 0..search.steps {
        let mut outcome = once(&step, server, cluster).await?;
        let missed = step.missed(&outcome.figures);
        let load = step.load.as_mut().ok_or_else(missing)?;
        let passed = outcome.verdict() == Verdict::Pass && missed.is_empty();
        let reason = match (outcome.verdict(), missed.first()) {
            (Verdict::Pass, Some(missed)) => missed.clone(),
            (verdict, _) => format!("{verdict:?}").to_lowercase(),
        };
        eprintln!("  {:.0} messages/s: {reason}", load.rate);
        let reached = if passed { load.rate } else { 0.0 };
        outcome
            .figures
            .insert("capacityPerSecond".to_owned(), reached);
        if !passed {
            return Ok(best.unwrap_or(outcome));
        }
        load.rate *= search.factor;
        best = Some(outcome);
    }
    best.ok_or_else(|| Invalid("capacity needs at least one step".to_owned()))
}
