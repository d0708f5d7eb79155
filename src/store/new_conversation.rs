//! Conversations as they are made: their facts and first members. Knows no adapter.

use crate::domain::{
    Conversation, ConversationId, Member, Role, RoomId, RoomName, Seq, Timestamp, UserId,
};

/// A room that is to be made.
#[derive(Debug, Clone)]
pub struct NewRoom {
    /// Its facts; the id is a room's, the creator is given.
    pub conversation: Conversation,
    /// Its first members, from seq 1, the owner among them. The caller has checked that the users exist.
    pub members: Vec<Member>,
}

/// A conversation that is to be made.
#[derive(Debug, Clone)]
pub enum NewConversation {
    /// A direct one, unless it is there; made at this time.
    Direct(ConversationId, Timestamp),
    /// A room.
    Room(NewRoom),
}

impl NewRoom {
    /// A room of this creator (its owner) and these other users, each a plain member once.
    #[must_use]
    pub fn new(
        id: RoomId,
        name: RoomName,
        creator: UserId,
        others: &[UserId],
        at: Timestamp,
    ) -> Self {
        let conversation_id = ConversationId::Room(id);
        let first = Seq::new(1);
        let mut others: Vec<UserId> = others
            .iter()
            .copied()
            .filter(|user| *user != creator)
            .collect();
        others.sort_unstable();
        others.dedup();
        let members = std::iter::once(Member::joining(
            conversation_id,
            creator,
            Role::Owner,
            first,
        ))
        .chain(
            others
                .into_iter()
                .map(|user| Member::joining(conversation_id, user, Role::Member, first)),
        )
        .collect();
        let conversation = Conversation {
            id: conversation_id,
            name: Some(name),
            creator: Some(creator),
            created_at: at,
            deleted_seq: None,
        };
        Self {
            conversation,
            members,
        }
    }
}

impl NewConversation {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> ConversationId {
        match self {
            Self::Direct(conversation, _) => *conversation,
            Self::Room(room) => room.conversation.id,
        }
    }

    /// Its first members.
    #[must_use]
    pub fn users(&self) -> Vec<UserId> {
        match self {
            Self::Direct(conversation, _) => conversation.direct_users().collect(),
            Self::Room(room) => room.members.iter().map(|member| member.user).collect(),
        }
    }
}
