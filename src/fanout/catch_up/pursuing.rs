//! That a session catches up with a conversation: known to the session and to the topic, which keeps what comes meanwhile
//! for it, as long as the value lives. Knows neither the log nor how far the session is.

use std::fmt;
use std::sync::Arc;

use super::super::session::Session;
use super::super::topic::Topic;
use super::super::topics::Topics;
use crate::domain::{ConversationId, Seq};
use crate::transport::outbox::Reason;

/// See the module's documentation. However it goes, by a panic as well, it is undone on both sides.
pub(super) struct Pursuing {
    topics: Arc<Topics>,
    session: Arc<Session>,
    conversation: ConversationId,
    is_over: bool,
}

impl Pursuing {
    /// Begins, unless the session has to do with the conversation already.
    pub(super) fn begin(
        topics: &Arc<Topics>,
        session: &Arc<Session>,
        conversation: ConversationId,
    ) -> Option<Self> {
        let begins = session.begin(conversation);
        begins.then(|| Self::new(topics, session, conversation))
    }

    /// Begins with a session that its topic has just detached, and that was given everything up to here.
    pub(super) fn detached(
        topics: &Arc<Topics>,
        session: &Arc<Session>,
        conversation: ConversationId,
        position: Seq,
    ) -> Self {
        session.advance(conversation, position);
        Self::new(topics, session, conversation)
    }

    fn new(topics: &Arc<Topics>, session: &Arc<Session>, conversation: ConversationId) -> Self {
        topics.pursued(conversation);
        Self {
            topics: Arc::clone(topics),
            session: Arc::clone(session),
            conversation,
            is_over: false,
        }
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub(super) const fn conversation(&self) -> ConversationId {
        self.conversation
    }

    pub(super) fn topics(&self) -> Arc<Topics> {
        Arc::clone(&self.topics)
    }

    /// The session is attached to the topic, which is locked: it gets what follows the seq.
    pub(super) fn attached(&mut self, topic: &mut Topic, from: Seq) {
        self.session.attached(self.conversation, from);
        topic.pursued_no_more();
        self.is_over = true;
    }

    /// The session was given everything that is its user's.
    pub(super) fn ended(mut self, at: Seq) {
        self.session.ended(self.conversation, at);
        self.leave_topic();
    }

    /// The session has nothing (more) to do with the conversation; whether it was told of it again meanwhile.
    pub(super) fn abandon(mut self) -> bool {
        let is_told_again = self.session.abandon(self.conversation);
        self.leave_topic();
        is_told_again
    }

    fn leave_topic(&mut self) {
        self.is_over = true;
        self.topics.pursued_no_more(self.conversation);
    }
}

impl Drop for Pursuing {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        if std::thread::panicking() {
            // A fault of ours: rather than miss the conversation in silence, the client comes back and resumes.
            self.session.close(Reason::ServerClosed);
        }
        self.session.abandon(self.conversation);
        self.leave_topic();
    }
}

impl fmt::Debug for Pursuing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pursuing")
            .field("session", &self.session.id())
            .field("conversation", &self.conversation)
            .finish_non_exhaustive()
    }
}
