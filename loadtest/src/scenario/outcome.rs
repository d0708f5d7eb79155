//! What came of a run. Knows no run.

use super::cost::Cost;
use super::figures::Figures;
use super::sampler::Sample;
use crate::Verdict;
use crate::check::Report;
use crate::ledger::Series;
use crate::measure::LatenessReport;

/// What came of a run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) report: Option<Report>,
    pub(crate) series: Option<Series>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) costs: Vec<Cost>,
    pub(crate) figures: Figures,
    /// From when to when something was broken, in seconds from the first send.
    pub(crate) fault: Option<(f64, f64)>,
    /// How late the generator was; the limit has none.
    pub(crate) generator: Option<LatenessReport>,
}

impl Outcome {
    /// By the books alone, or without books by whether the generator kept up; thresholds come on top.
    pub(crate) fn verdict(&self) -> Verdict {
        let unbooked = match self.void() {
            None => Verdict::Pass,
            Some(_) => Verdict::Invalid,
        };
        let report = self.report.as_ref();
        report.map_or(unbooked, |report| report.verdict)
    }

    /// Why it proves nothing good.
    pub(crate) fn void(&self) -> Option<String> {
        self.generator.filter(LatenessReport::fell_behind).map(|generator| {
            format!(
                "the generator's timers fired {:.0} ms late at p99, {:.0} allowed; {} sends found no room",
                generator.late.p99, generator.allowed_p99, generator.overflowed
            )
        })
    }
}
