//! Conversations and who belongs to them. Knows nothing of the log's contents.

use super::{ConversationId, RoomName, Seq, Timestamp, UserId};

/// What a member may do in a room. In a direct conversation both users are [`Role::Member`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads and writes; may leave.
    Member,
    /// Also adds and removes members and renames the room.
    Admin,
    /// Also changes roles and deletes the room. A room always has one as long as it has members.
    Owner,
}

impl Role {
    /// The role's name on the wire and in the stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Reads a role's name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Member, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}

/// A conversation's own facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its id; says whether it is direct or a room.
    pub id: ConversationId,
    /// A room's name; none for a direct conversation.
    pub name: Option<RoomName>,
    /// Who made it; none for a direct conversation, which nobody owns.
    pub creator: Option<UserId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The seq of the event that deleted the room: a tombstone, its log stays.
    pub deleted_seq: Option<Seq>,
}

/// One user's place in one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The conversation.
    pub conversation: ConversationId,
    /// The user.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
    /// The first seq that is theirs: 1 for those who were there from the start, else the seq of the event that added
    /// them.
    pub joined_seq: Seq,
    /// The seq of the event that removed them, the last that is theirs; none while they belong.
    pub left_seq: Option<Seq>,
    /// The last seq that one of their devices acknowledged.
    pub delivered_seq: Seq,
    /// The last seq that they read.
    pub read_seq: Seq,
}

impl Member {
    /// A member from now on, to whom `joined_seq` is the first event.
    #[must_use]
    pub fn joining(
        conversation: ConversationId,
        user: UserId,
        role: Role,
        joined_seq: Seq,
    ) -> Self {
        let before = joined_seq.previous();
        Self {
            conversation,
            user,
            role,
            joined_seq,
            left_seq: None,
            delivered_seq: before,
            read_seq: before,
        }
    }

    /// Whether they belong to the conversation now.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.left_seq.is_none()
    }

    /// The seq after which their undelivered log begins: `max(deliveredSeq, joinedSeq − 1)` (D7).
    #[must_use]
    pub fn resume_after(&self) -> Seq {
        self.delivered_seq.max(self.joined_seq.previous())
    }

    /// Whether anything could still be delivered to them: they belong, or left with events not yet acknowledged.
    #[must_use]
    pub fn may_receive(&self) -> bool {
        self.left_seq.is_none_or(|left| self.resume_after() < left)
    }

    /// The last seq that is theirs.
    #[must_use]
    pub fn last_seq(&self) -> Seq {
        self.left_seq.unwrap_or(Seq::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RoomId;

    #[test]
    fn a_member_s_log_begins_at_their_joining_and_ends_at_their_leaving() {
        let room = ConversationId::Room(RoomId::from_bytes([1; 12]));
        let mut member =
            Member::joining(room, UserId::from_bytes([2; 12]), Role::Member, Seq::new(5));
        assert_eq!(member.resume_after(), Seq::new(4));
        member.left_seq = Some(Seq::new(9));
        assert!(member.may_receive());
        member.delivered_seq = Seq::new(9);
        assert!(!member.may_receive());
    }

    #[test]
    fn roles_are_ordered_by_power() {
        assert!(Role::Owner > Role::Admin && Role::Admin > Role::Member);
        assert_eq!(Role::parse("admin"), Some(Role::Admin));
        assert_eq!(Role::parse("king"), None);
    }
}
