//! Stub: the committer's interface, to be written.
#![allow(missing_docs)]

use std::sync::Arc;

use super::{Changed, NewMessage};
use crate::domain::{Change, ConversationId, Event, Refusal, SessionId};

#[derive(Debug, Clone)]
pub enum CommitError {
    Refused(Refusal),
    ClientMessageIdReused,
    Busy,
    Unavailable,
    Internal,
}

#[derive(Debug)]
pub struct Committer {}

impl Committer {
    /// Appends a message to a log; returns the stored event (the original one for a retry).
    pub async fn send(
        &self,
        conversation: ConversationId,
        message: NewMessage,
        origin: Option<SessionId>,
    ) -> Result<Arc<Event>, CommitError> {
        let _ = (conversation, message, origin);
        std::future::pending().await
    }
    /// Makes a change in its turn among the conversation's sends.
    pub async fn change(
        &self,
        change: Change,
        origin: Option<SessionId>,
    ) -> Result<Changed, CommitError> {
        let _ = (change, origin);
        std::future::pending().await
    }
}
