//! How far a member has received and read. Knows no member.

use crate::domain::Seq;

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct MemberCursors {
    pub(super) delivered: Seq,
    pub(super) read: Seq,
}

impl MemberCursors {
    /// Moves each cursor forward, never back.
    pub(super) fn advance(&mut self, places: Self) {
        self.delivered = self.delivered.max(places.delivered);
        self.read = self.read.max(places.read);
    }
}
