//! The conversations in whose topics events are missing, until somebody fills them. Knows neither topics nor the log.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::domain::ConversationId;
use crate::metrics::Metrics;

/// See the module's documentation. A topic asks once until its gap is filled, so there are never more of them than
/// there are topics.
pub(super) struct Gaps {
    waiting: Mutex<VecDeque<ConversationId>>,
    wanted: Notify,
    metrics: Metrics,
}

impl Gaps {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self {
            waiting: Mutex::default(),
            wanted: Notify::new(),
            metrics,
        }
    }

    /// Events are missing in a conversation. Its topic has noted that somebody fills the gap.
    pub(super) fn found(&self, conversation: ConversationId) {
        self.metrics.gaps_found.increment(1);
        self.waiting.lock().push_back(conversation);
        self.wanted.notify_one();
    }

    /// Waits for the next one. Cancelling loses nothing.
    pub(super) async fn next(&self) -> ConversationId {
        loop {
            if let Some(conversation) = self.waiting.lock().pop_front() {
                return conversation;
            }
            self.wanted.notified().await;
        }
    }
}
