//! What happened in each second of a run, and the latencies of the whole. Knows no judgement.

use std::time::Duration;

use crate::Invalid;
use crate::measure::Latencies;

/// A run is no longer than this, in seconds: a wrong clock must not fill the memory.
const LONGEST: usize = 4 * 3600;

/// One second.
#[derive(Debug)]
pub(crate) struct Second {
    /// Messages whose intended time lies in it.
    pub(crate) sent: u64,
    /// Acknowledgements that came in it.
    pub(crate) acknowledged: u64,
    /// Receipts of it.
    pub(crate) delivered: u64,
    /// From the intended time of sending to those acknowledgements.
    pub(crate) acknowledgement: Latencies,
    /// From the intended time of sending to those receipts, by anyone but the sender.
    pub(crate) delivery: Latencies,
}

/// The seconds of a run, counted from its first send.
#[derive(Debug)]
pub(crate) struct Series {
    origin: Duration,
    pub(crate) seconds: Vec<Second>,
    pub(crate) acknowledgement: Latencies,
    pub(crate) delivery: Latencies,
}

impl Series {
    pub(crate) fn new(origin: Duration) -> Result<Self, Invalid> {
        Ok(Self {
            origin,
            seconds: Vec::new(),
            acknowledgement: Latencies::new()?,
            delivery: Latencies::new()?,
        })
    }

    pub(super) fn sent(&mut self, at: Duration) -> Result<(), Invalid> {
        self.second(at)?.sent += 1;
        Ok(())
    }

    pub(super) fn acknowledged(&mut self, at: Duration, latency: Duration) -> Result<(), Invalid> {
        self.acknowledgement.add(latency);
        let second = self.second(at)?;
        second.acknowledged += 1;
        second.acknowledgement.add(latency);
        Ok(())
    }

    /// `latency`: unless it is the sender's own.
    pub(crate) fn delivered(
        &mut self,
        at: Duration,
        latency: Option<Duration>,
    ) -> Result<(), Invalid> {
        let second = self.second(at)?;
        second.delivered += 1;
        if let Some(latency) = latency {
            second.delivery.add(latency);
            self.delivery.add(latency);
        }
        Ok(())
    }

    fn second(&mut self, at: Duration) -> Result<&mut Second, Invalid> {
        let at = at.saturating_sub(self.origin).as_secs();
        let index = usize::try_from(at).map_or(LONGEST, |index| index.min(LONGEST));
        while self.seconds.len() <= index {
            self.seconds.push(Second {
                sent: 0,
                acknowledged: 0,
                delivered: 0,
                acknowledgement: Latencies::coarse()?,
                delivery: Latencies::coarse()?,
            });
        }
        Ok(&mut self.seconds[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted_in_its_second() {
        let mut series = Series::new(Duration::ZERO).unwrap();
        let at = Duration::from_millis;
        series.sent(at(900)).unwrap();
        series.acknowledged(at(1100), at(200)).unwrap();
        series.delivered(at(2300), Some(at(1400))).unwrap();
        series.delivered(at(2400), None).unwrap();
        let counts: Vec<_> = series
            .seconds
            .iter()
            .map(|second| (second.sent, second.acknowledged, second.delivered))
            .collect();
        assert_eq!(counts, [(1, 0, 0), (0, 1, 0), (0, 0, 2)]);
        assert_eq!(series.delivery.percentiles().count, 1);
    }
}
