//! Events: the entries of a conversation's log. Knows neither how they are stored nor how they are written.

use super::{Body, Content, ConversationId, EventId, Seq, Timestamp, UserId};

/// One entry of a conversation's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id, the wire's `_id`; the same in every copy of the event.
    pub id: EventId,
    /// The conversation whose log it is in.
    pub conversation: ConversationId,
    /// Its place there.
    pub seq: Seq,
    /// Who caused it.
    pub sender: UserId,
    /// When the gateway accepted it.
    pub at: Timestamp,
    /// What happened.
    pub body: Body,
}

impl Event {
    /// About as many bytes as it takes as JSON, no fewer: what pages are bounded by.
    #[must_use]
    pub fn weight(&self) -> usize {
        /// Ids, names of fields, times: what every event has.
        const FRAME: usize = 512;
        FRAME
            + match &self.body {
                Body::Message(message) => message.weight(),
                Body::Edited { content, .. } => content.as_ref().map_or(0, Content::json_bytes),
                _ => 0,
            }
    }

    /// Whether it is a message on which something that came later in the log shows.
    #[must_use]
    pub fn is_touched(&self) -> bool {
        matches!(&self.body, Body::Message(message) if message.is_touched())
    }

    /// The event as it came: a message without what came later in the log, but for a deletion (D41).
    #[must_use]
    pub fn into_sent(self) -> Self {
        let body = match self.body {
            Body::Message(message) => Body::Message(message.into_sent()),
            body => body,
        };
        Self { body, ..self }
    }
}
