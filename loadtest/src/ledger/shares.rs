//! How evenly a closed loop's senders were served: how many messages each got through, and how long each waited. Knows
//! no limit.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use crate::Invalid;
use crate::client::Record;
use crate::measure::{Latencies, Percentiles};

/// The shares of the senders of a run.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    /// Messages sent and acknowledged in that time, of each sender: slowest first.
    pub(crate) counts: Vec<u64>,
    /// Latencies of those acknowledgements, in milliseconds, without the deep senders'.
    pub(crate) latency: Percentiles,
    /// Of the deep senders' alone.
    pub(crate) deep: Percentiles,
}

impl Shares {
    /// Of what was sent and acknowledged within a time, which counts from the start of the run. The first `deep` of the
    /// sessions send more at once than the others.
    pub(super) fn of(
        records: &[Record],
        within: &Range<Duration>,
        deep: usize,
    ) -> Result<Self, Invalid> {
        let mut latencies = [Latencies::new()?, Latencies::new()?];
        let mut counts = Vec::new();
        for (index, record) in records.iter().enumerate() {
            let latencies = &mut latencies[usize::from(index < deep)];
            let waits = waits(record, within);
            waits.iter().for_each(|wait| latencies.add(*wait));
            if !record.sent.is_empty() {
                counts.push(waits.len() as u64);
            }
        }
        counts.sort_unstable();
        let [latency, deep] = latencies.map(|latencies| latencies.percentiles());
        Ok(Self {
            counts,
            latency,
            deep,
        })
    }

    /// Messages of the average sender.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of messages is far below 2^52"
    )]
    pub(crate) fn mean(&self) -> f64 {
        self.counts.iter().sum::<u64>() as f64 / self.counts.len().max(1) as f64
    }
}

/// How long each of a session's messages waited for its acknowledgement, of those that were sent and acknowledged in time.
fn waits(record: &Record, within: &Range<Duration>) -> Vec<Duration> {
    let intended: HashMap<u64, Duration> = record
        .sent
        .iter()
        .map(|sent| (sent.number, sent.intended))
        .collect();
    let in_time = record
        .acknowledged
        .iter()
        .filter(|receipt| receipt.at < within.end);
    let sent = |number| intended.get(number).filter(|at| **at >= within.start);
    in_time
        .filter_map(|receipt| Some(receipt.at.saturating_sub(*sent(&receipt.number)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Receipt, Sent};

    /// One that sends its messages at once, each of which is acknowledged so many seconds later.
    fn sender(waits: &[u64]) -> Record {
        let numbered = || (0..).zip(waits);
        Record {
            sent: numbered()
                .map(|(number, _)| Sent {
                    number,
                    intended: Duration::from_secs(1),
                })
                .collect(),
            acknowledged: numbered()
                .map(|(number, wait)| Receipt {
                    number,
                    seq: number + 1,
                    at: Duration::from_secs(1 + wait),
                })
                .collect(),
            ..Record::default()
        }
    }

    #[test]
    fn what_comes_after_the_end_counts_for_nobody_and_listeners_are_no_senders() {
        let records = [sender(&[1, 8, 9]), sender(&[2, 2, 20]), Record::default()];
        let within = Duration::from_secs(1)..Duration::from_secs(10);
        let shares = Shares::of(&records, &within, 1).unwrap();
        assert_eq!(shares.counts, [2, 2]);
        assert!((shares.mean() - 2.0).abs() < 1e-9);
        assert_eq!((shares.deep.count, shares.latency.count), (2, 2));
        assert!(shares.deep.max > 7000.0 && shares.latency.max < 3000.0);
    }
}
