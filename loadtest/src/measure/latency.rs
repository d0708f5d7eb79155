//! Latencies in a histogram: three significant digits, from 1 µs to an hour. Knows nothing of what was measured.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::Invalid;

const HOUR_IN_MICROSECONDS: u64 = 3_600_000_000;

/// A growing set of latencies.
#[derive(Debug)]
pub(crate) struct Latencies(Histogram<u64>);

/// What is reported of it, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Percentiles {
    /// How many were measured.
    pub count: u64,
    /// The median.
    pub p50: f64,
    /// 95 % were at most this.
    pub p95: f64,
    /// 99 % were at most this.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

impl Latencies {
    pub(crate) fn new() -> Result<Self, Invalid> {
        let histogram = Histogram::new_with_bounds(1, HOUR_IN_MICROSECONDS, 3);
        histogram
            .map(Self)
            .map_err(|error| Invalid(error.to_string()))
    }

    pub(crate) fn add(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros);
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let millis = |micros: u64| Duration::from_micros(micros).as_secs_f64() * 1000.0;
        Percentiles {
            count: self.0.len(),
            p50: millis(self.0.value_at_quantile(0.50)),
            p95: millis(self.0.value_at_quantile(0.95)),
            p99: millis(self.0.value_at_quantile(0.99)),
            max: millis(self.0.max()),
        }
    }
}
