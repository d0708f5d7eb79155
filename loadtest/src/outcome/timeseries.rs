//! The seconds of a run as a table: what was sent and received, how late, and what the processes used. Knows no page.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::scenario::{Outcome, Used};

/// One second, from the first send on; latencies in milliseconds.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) delivered: u64,
    pub(super) acknowledgement_p50: f64,
    pub(super) acknowledgement_p99: f64,
    pub(super) delivery_p50: f64,
    pub(super) delivery_p99: f64,
    pub(super) delivery_max: f64,
    pub(super) broken: bool,
    pub(super) processes: BTreeMap<String, Used>,
}

/// All seconds.
pub(super) fn rows(outcome: &Outcome) -> Vec<Row> {
    let seconds = outcome
        .series
        .as_ref()
        .map_or(&[][..], |series| &series.seconds);
    let count = seconds.len().max(outcome.samples.len());
    let row = |index: usize| {
        let mut row = Row::default();
        if let Some(second) = seconds.get(index) {
            let (acknowledgement, delivery) = (
                second.acknowledgement.percentiles(),
                second.delivery.percentiles(),
            );
            (row.sent, row.acknowledged) = (second.sent, second.acknowledged);
            row.delivered = second.delivered;
            (row.acknowledgement_p50, row.acknowledgement_p99) =
                (acknowledgement.p50, acknowledgement.p99);
            (row.delivery_p50, row.delivery_p99) = (delivery.p50, delivery.p99);
            row.delivery_max = delivery.max;
        }
        let at = f64::from(u32::try_from(index).unwrap_or(u32::MAX));
        row.broken = outcome
            .fault
            .is_some_and(|(from, to)| at + 1.0 > from && at < to);
        if let Some(sample) = outcome.samples.get(index) {
            row.processes.clone_from(&sample.processes);
        }
        row
    };
    (0..count).map(row).collect()
}

/// As a file that spreadsheets read.
pub(super) fn csv(rows: &[Row]) -> String {
    let names: Vec<&String> = rows
        .iter()
        .max_by_key(|row| row.processes.len())
        .map(|row| row.processes.keys().collect())
        .unwrap_or_default();
    let mut text =
        "second,sent,acknowledged,delivered,acknowledgement_p50_ms,acknowledgement_p99_ms,\
        delivery_p50_ms,delivery_p99_ms,delivery_max_ms,broken"
            .to_owned();
    for name in &names {
        // Writing to a string cannot fail.
        let _ = write!(text, ",{name}_cores,{name}_resident_bytes");
    }
    for (second, row) in rows.iter().enumerate() {
        let _ = write!(
            text,
            "\n{second},{},{},{},{:.3},{:.3},{:.3},{:.3},{:.3},{}",
            row.sent,
            row.acknowledged,
            row.delivered,
            row.acknowledgement_p50,
            row.acknowledgement_p99,
            row.delivery_p50,
            row.delivery_p99,
            row.delivery_max,
            u8::from(row.broken)
        );
        for name in &names {
            let used = row.processes.get(*name).copied().unwrap_or_default();
            let _ = write!(text, ",{:.3},{}", used.cores, used.resident);
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_as_many_fields_as_the_head() {
        let used = Used {
            cores: 0.5,
            resident: 7,
        };
        let with = Row {
            processes: BTreeMap::from([("gateway".to_owned(), used)]),
            ..Row::default()
        };
        let text = csv(&[Row::default(), with]);
        let counts: Vec<_> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(counts, [12, 12, 12]);
        assert!(text.ends_with(",0.500,7\n"));
    }
}
