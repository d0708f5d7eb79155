//! The page: a template with the run's data put in, which needs nothing else. Knows no drawing; the template does that.

use serde::Serialize;

use super::Summary;
use super::timeseries::Row;
use crate::Invalid;
use crate::scenario::Outcome;

const TEMPLATE: &str = include_str!("report.html");
/// Where the data goes.
const PLACE: &str = "/*DATA*/ null";

#[derive(Serialize)]
struct Data<'a> {
    summary: &'a Summary,
    seconds: &'a [Row],
    /// Quantile and milliseconds.
    acknowledgement: Vec<(f64, f64)>,
    delivery: Vec<(f64, f64)>,
}

/// The whole page.
pub(super) fn html(summary: &Summary, rows: &[Row], outcome: &Outcome) -> Result<String, Invalid> {
    let series = outcome.series.as_ref();
    let data = serde_json::to_string(&Data {
        summary,
        seconds: rows,
        acknowledgement: series
            .map(|series| series.acknowledgement.curve())
            .unwrap_or_default(),
        delivery: series
            .map(|series| series.delivery.curve())
            .unwrap_or_default(),
    })?;
    // Inside a script element nothing may look like its end.
    Ok(TEMPLATE.replacen(PLACE, &data.replace('<', "\\u003c"), 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_has_one_place_for_the_data_and_loads_nothing() {
        assert_eq!(TEMPLATE.matches(PLACE).count(), 1);
        assert!(!TEMPLATE.contains("src=") && !TEMPLATE.contains("@import"));
    }
}
