//! The limits of requests. Knows numbers only; each use case says what happens beyond its own.

use super::directory::Directory;
use super::rates::Rates;
use crate::domain::Content;

/// The allowances; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quotas {
    /// Rooms a user may make in a day.
    pub rooms_made: u32,
    /// Rooms a user may be in.
    pub rooms: usize,
    /// How often a user may be added to rooms by others in a day.
    pub additions: u32,
    /// Direct conversations a user may begin in an hour.
    pub new_conversations: u32,
}

/// How much is too much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The longest message, in bytes of UTF-8.
    pub content_bytes: usize,
    /// The most members of a room.
    pub room_members: usize,
    /// The entries of a page when the request does not say.
    pub page_default: usize,
    /// The most entries of a page; requests for more get this many.
    pub page_most: usize,
    /// The most users in one question for presence.
    pub presence_ids: usize,
    /// How fast clients may ask.
    pub rates: Rates,
    /// How much a user may do in a day or an hour.
    pub quotas: Quotas,
    /// What strangers are shown of users.
    pub directory: Directory,
}

impl Limits {
    /// The size of a page for this request: within 1 and the most.
    #[must_use]
    pub fn page(&self, asked: Option<usize>) -> usize {
        asked
            .unwrap_or(self.page_default)
            .clamp(1, self.page_most.max(1))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            content_bytes: Content::DEFAULT_LIMIT,
            room_members: 10_000,
            page_default: 50,
            page_most: 200,
            presence_ids: 100,
            rates: Rates::default(),
            quotas: Quotas::default(),
            directory: Directory::default(),
        }
    }
}
