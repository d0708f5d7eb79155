//! What senders are told: what became of a message or change, or why nothing did.

use std::sync::Arc;

use crate::domain::{Event, Refusal};
use crate::store::StoreError;

/// Why a message or change was not committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitError {
    /// Not allowed or not possible; a retry would be refused again.
    Refused(Refusal),
    /// Final: the sender used this clientMessageId in this conversation for another content (P3).
    ClientMessageIdReused,
    /// More is waiting than this gateway takes on; nothing was stored.
    Busy,
    /// The store is away or the outcome is not known yet; retry with the same clientMessageId.
    Unavailable,
    /// A fault of the gateway or the store, which is logged.
    Internal,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// The change was made by this event.
    Applied(Arc<Event>),
    /// There was nothing to change, and there is no event.
    Nothing,
    /// Not allowed or not possible.
    Refused(Refusal),
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => {
                tracing::warn!(cause, "store unavailable");
                Self::Unavailable
            }
            StoreError::Broken(cause) => {
                tracing::error!(cause, "store failed");
                Self::Internal
            }
        }
    }
}
