//! How a run is written down: a summary, a table of its seconds, its histograms, and a page to look at. Knows no server.

mod histograms;
mod machine;
mod page;
mod summary;
mod timeseries;

use std::path::Path;

pub(crate) use machine::{Machine, commit, now};
pub(crate) use summary::Summary;

use crate::Invalid;
use crate::scenario::Outcome;

/// Writes everything into a folder, which is made.
pub(crate) fn write(folder: &Path, summary: &Summary, outcome: &Outcome) -> Result<(), Invalid> {
    std::fs::create_dir_all(folder)?;
    let rows = timeseries::rows(outcome);
    std::fs::write(
        folder.join("summary.json"),
        serde_json::to_vec_pretty(summary)?,
    )?;
    std::fs::write(folder.join("timeseries.csv"), timeseries::csv(&rows))?;
    std::fs::write(folder.join("latencies.hlog"), histograms::log(outcome)?)?;
    std::fs::write(
        folder.join("report.html"),
        page::html(summary, &rows, outcome)?,
    )?;
    Ok(())
}
