//! The bounds within which the committer works. Changes nothing.

use std::time::Duration;

/// Bounds of the committer.
#[derive(Debug, Clone, Copy)]
pub struct CommitterConfig {
    /// The most messages and changes waiting or unknown; beyond it new ones are refused as [`super::CommitError::Busy`]. One
    /// conversation holds at most as much as it leaves free, so half of it when there is no other.
    pub waiting: usize,
    /// The most bytes of content waiting or unknown; likewise.
    pub waiting_bytes: usize,
    /// How long a sender waits for an answer before [`super::CommitError::Unavailable`].
    pub answer_within: Duration,
    /// The most members of a room.
    pub room_members: usize,
}

impl Default for CommitterConfig {
    fn default() -> Self {
        Self {
            waiting: 20_000,
            waiting_bytes: 64 << 20,
            answer_within: Duration::from_secs(10),
            room_members: 1000,
        }
    }
}
