//! What is counted or expected until a value is dropped: requests without an answer, and sends of one's own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Session;
use crate::domain::{ConversationId, EventId, Seq};
use crate::transport::outbox::Reason;

impl Session {
    /// The session is about to send a direct message with this event id.
    #[must_use]
    pub fn expect(self: &Arc<Self>, id: EventId) -> Expectation {
        self.state.lock().own.expect(id);
        Expectation {
            session: Arc::clone(self),
            id,
        }
    }

    /// Counts a request until the value is dropped: when its answer has been written.
    #[must_use]
    pub fn take_request(self: &Arc<Self>) -> Unanswered {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        Unanswered(Arc::clone(self))
    }
}

/// A request that is not answered yet.
#[derive(Debug)]
pub struct Unanswered(pub(super) Arc<Session>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // A fault of ours: rather than wait for this answer for ever, the client comes back and asks again.
            self.0.close(Reason::ServerClosed);
        }
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
        let mut state = self.session.state.lock();
        state.own.answered(conversation, seq);
    }
}

impl Drop for Expectation {
    fn drop(&mut self) {
        self.session.expect_no_more(self.id);
    }
}
