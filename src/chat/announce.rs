//! The announcer port of the cursors: how the others in a conversation are told how far somebody has received or read.
//! Knows neither sessions nor encodings.

use crate::domain::{ConversationId, Seq, UserId};

/// Tells others. Nothing here waits or fails: nothing depends on it.
pub trait AnnounceCursors: Send + Sync + 'static {
    /// Members' cursors moved to these places, told together (D34); `read` tells read receipts from deliveries.
    fn cursors_moved(&self, conversation: ConversationId, moved: &[(UserId, Seq)], read: bool);
}
