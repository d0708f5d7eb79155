//! The latencies of each second as an HDR log, which the usual viewers of HDR histograms read; values are microseconds, the
//! tags `acknowledgement` and `delivery`. Knows no run.

use std::time::Duration;

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::Invalid;
use crate::measure::Latencies;
use crate::scenario::Outcome;

const SECOND: Duration = Duration::from_secs(1);

/// The log's text.
pub(super) fn log(outcome: &Outcome) -> Result<Vec<u8>, Invalid> {
    let wrong = |error: &dyn std::fmt::Debug| Invalid(format!("the HDR log: {error:?}"));
    let (mut text, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    let mut writer = IntervalLogWriterBuilder::new()
        .add_comment("microseconds, from the intended time of sending")
        .begin_log_with(&mut text, &mut serializer)
        .map_err(|error| wrong(&error))?;
    let seconds = outcome.series.iter().flat_map(|series| &series.seconds);
    let mut begin = Duration::ZERO;
    for second in seconds {
        let both: [(&str, &Latencies); 2] = [
            ("acknowledgement", &second.acknowledgement),
            ("delivery", &second.delivery),
        ];
        for (tag, latencies) in both {
            writer
                .write_histogram(latencies.histogram(), begin, SECOND, Tag::new(tag))
                .map_err(|error| wrong(&error))?;
        }
        begin += SECOND;
    }
    drop(writer);
    Ok(text)
}
