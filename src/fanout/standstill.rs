//! Whether the filling of a gap gets anywhere. Knows time and a gauge, no gap.

use std::time::Duration;

use metrics::Gauge;
use tokio::time::Instant;

/// How long a gap may show no progress before its topic counts as standing still. The log is read again every second; an
/// election, after which it shows what it must, takes some seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The filling of one gap. It counts in the gauge while it has got nowhere for ten seconds, and never after its end.
pub(super) struct Standstill {
    gauge: Gauge,
    since: Instant,
    counts: bool,
}

impl Standstill {
    pub(super) fn watch(gauge: &Gauge) -> Self {
        Self {
            gauge: gauge.clone(),
            since: Instant::now(),
            counts: false,
        }
    }

    /// The log has shown something that was missing: the wait for progress begins anew.
    pub(super) fn ended(&mut self) {
        if std::mem::take(&mut self.counts) {
            self.gauge.decrement(1.0);
        }
        self.since = Instant::now();
    }

    /// The log has shown nothing new: after [`PATIENCE`] the gap counts as standing still.
    pub(super) fn goes_on(&mut self) {
        if !self.counts && self.since.elapsed() >= PATIENCE {
            self.counts = true;
            self.gauge.increment(1.0);
        }
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        self.ended();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[tokio::test(start_paused = true)]
    async fn only_what_gets_nowhere_for_long_counts_and_only_until_it_does() {
        let (metrics, exporter) = Metrics::exported().unwrap();
        let standing = |count: u8| {
            let line = format!("hobnob_gaps_standing_still {count}\n");
            assert!(exporter.render().contains(&line), "{line}");
        };
        let mut young = Standstill::watch(&metrics.gaps_standing_still);
        let mut old = Standstill::watch(&metrics.gaps_standing_still);
        for _ in 0..20 {
            tokio::time::advance(Duration::from_secs(1)).await;
            young.ended();
            young.goes_on();
            old.goes_on();
        }
        standing(1);
        old.ended();
        old.goes_on();
        standing(0);
        tokio::time::advance(PATIENCE).await;
        old.goes_on();
        standing(1);
        drop(old);
        standing(0);
    }
}
