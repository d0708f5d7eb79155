//! A user's own facts. Knows nothing of passwords.

use super::{Timestamp, UserId, Username};

/// A registered user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Their name, as they wrote it.
    pub username: Username,
    /// When they registered.
    pub created_at: Timestamp,
    /// When their last session ended; none before the first.
    pub last_seen_at: Option<Timestamp>,
}
