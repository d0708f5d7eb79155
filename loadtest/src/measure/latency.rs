//! Latencies in a histogram, from 1 µs to an hour. Knows nothing of what was measured.

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
    /// Of three significant digits: about 180 KB.
    pub(crate) fn new() -> Result<Self, Invalid> {
        Self::with_digits(3)
    }

    /// Of two significant digits: about 24 KB, for one second of many.
    pub(crate) fn coarse() -> Result<Self, Invalid> {
        Self::with_digits(2)
    }

    fn with_digits(digits: u8) -> Result<Self, Invalid> {
        let histogram = Histogram::new_with_bounds(1, HOUR_IN_MICROSECONDS, digits);
        histogram
            .map(Self)
            .map_err(|error| Invalid(error.to_string()))
    }

    /// The histogram itself, in microseconds.
    pub(crate) fn histogram(&self) -> &Histogram<u64> {
        &self.0
    }

    /// The curve of a percentile plot: quantile and milliseconds, denser towards the slow end.
    pub(crate) fn curve(&self) -> Vec<(f64, f64)> {
        const TICKS_PER_HALF: u32 = 5;
        let steps = self.0.iter_quantiles(TICKS_PER_HALF);
        steps
            .map(|step| {
                (
                    step.quantile_iterated_to(),
                    millis(step.value_iterated_to()),
                )
            })
            .collect()
    }

    pub(crate) fn add(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros);
    }

    /// Adds what the other has, of any number of digits.
    pub(crate) fn merge(&mut self, other: &Self) {
        for step in other.0.iter_recorded() {
            let (value, count) = (step.value_iterated_to(), step.count_at_value());
            self.0.saturating_record_n(value, count);
        }
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        Percentiles {
            count: self.0.len(),
            p50: millis(self.0.value_at_quantile(0.50)),
            p95: millis(self.0.value_at_quantile(0.95)),
            p99: millis(self.0.value_at_quantile(0.99)),
            max: millis(self.0.max()),
        }
    }
}

fn millis(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64() * 1000.0
}
