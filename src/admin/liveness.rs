//! Whether the process still works at all, or only a restart helps. Knows nothing of how that is found out.

use parking_lot::Mutex;

/// What a restart would help against, if anything.
#[derive(Debug, Default)]
pub struct Liveness(Mutex<Option<String>>);

impl Liveness {
    /// What is wrong now; `None` when all is well. True when that is news.
    pub fn set(&self, trouble: Option<String>) -> bool {
        let mut known = self.0.lock();
        let is_news = *known != trouble;
        *known = trouble;
        is_news
    }

    /// What is wrong.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.0.lock().clone()
    }
}
