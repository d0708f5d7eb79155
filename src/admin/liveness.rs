//! Whether the process still works at all, or only a restart helps. Knows nothing of how that is found out.

use parking_lot::Mutex;

use crate::metrics::Metrics;

/// What a restart would help against, if anything.
#[derive(Debug)]
pub struct Liveness {
    trouble: Mutex<Option<String>>,
    metrics: Metrics,
}

impl Liveness {
    /// No trouble so far.
    pub(super) fn new(metrics: Metrics) -> Self {
        metrics.live.set(1.0);
        Self {
            trouble: Mutex::default(),
            metrics,
        }
    }

    /// What is wrong now; `None` when all is well. True when that is news.
    pub fn set(&self, trouble: Option<String>) -> bool {
        self.metrics
            .live
            .set(if trouble.is_none() { 1.0 } else { 0.0 });
        let mut known = self.trouble.lock();
        let is_news = *known != trouble;
        *known = trouble;
        is_news
    }

    /// What keeps the process from living on, if anything.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }
}
