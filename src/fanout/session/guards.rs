//! What is counted or expected until a value is dropped: requests without an answer, and sends of one's own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Session;
use crate::domain::{ConversationId, EventId, Seq};

/// A request that is not answered yet.
#[derive(Debug)]
pub struct Unanswered(pub(super) Arc<Session>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.unanswered.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A direct message that is being sent, until its answer is written.
#[derive(Debug)]
pub struct Expectation {
    pub(super) session: Arc<Session>,
    pub(super) id: EventId,
}

impl Expectation {
    /// The answer is written: it says that the message is stored there.
    pub fn answered(&self, conversation: ConversationId, seq: Seq) {
        self.session
            .state
            .lock()
            .receipts
            .own_answered(conversation, seq);
    }
}

impl Drop for Expectation {
    fn drop(&mut self) {
        self.session.expect_no_more(self.id);
    }
}
