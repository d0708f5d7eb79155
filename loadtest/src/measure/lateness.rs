//! Whether the generator itself kept up: how late its own timers fired. A late generator measures itself, so its run
//! is void. Knows nothing of the load.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::{Latencies, Percentiles};
use crate::Invalid;

/// Between two samples of the runtime's own delay.
const EVERY: Duration = Duration::from_millis(10);

/// How late things ran, shared by everything that has a time to keep.
#[derive(Debug, Clone)]
pub(crate) struct Lateness(Arc<Mutex<Latencies>>);

/// What is reported of it.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LatenessReport {
    /// How late, in milliseconds.
    #[serde(flatten)]
    pub late: Percentiles,
    /// What the 99th percentile may be.
    pub allowed_p99: f64,
    /// Sends for which no session had room.
    pub overflowed: u64,
}

impl LatenessReport {
    /// Whether the run is void.
    #[must_use]
    pub fn fell_behind(&self) -> bool {
        self.overflowed > 0 || self.late.p99 > self.allowed_p99
    }
}

impl Lateness {
    pub(crate) fn new() -> Result<Self, Invalid> {
        Ok(Self(Arc::new(Mutex::new(Latencies::new()?))))
    }

    /// Notes something that was due at `due` and runs now.
    pub(crate) fn note(&self, due: Instant) {
        let late = due.elapsed();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(late);
    }

    /// Samples the runtime's delay until dropped.
    pub(crate) async fn watch(self) {
        loop {
            let due = Instant::now() + EVERY;
            sleep_until(due).await;
            self.note(due);
        }
    }

    pub(crate) fn report(&self, allowed: Duration, overflowed: u64) -> LatenessReport {
        let late = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        LatenessReport {
            late: late.percentiles(),
            allowed_p99: allowed.as_secs_f64() * 1000.0,
            overflowed,
        }
    }
}
