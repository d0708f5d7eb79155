//! Conversations as they are made: their facts and first members. Knows no adapter.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::{
    Body, Conversation, ConversationId, Event, EventId, Member, Role, RoomId, RoomName, Seq,
    Timestamp, UserId,
};

/// Where a room's log begins.
const FIRST: Seq = Seq::new(1);

/// A room that is to be made.
#[derive(Debug, Clone)]
pub struct NewRoom {
    /// Its facts; the id is a room's, the creator is given.
    pub conversation: Conversation,
    /// Its first members, from seq 1, the owner among them. The caller has checked that the users exist.
    pub members: Vec<Member>,
    /// The first event of its log, at seq 1, which tells the members: the same one however often making it is tried.
    pub created: Arc<Event>,
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
    /// A room of this creator (its owner) and these other users, each a plain member once. `created` is the id that the
    /// first event of its log will have.
    #[must_use]
    pub fn new(
        (id, created): (RoomId, EventId),
        name: RoomName,
        creator: UserId,
        others: &[UserId],
        at: Timestamp,
    ) -> Self {
        let created = Event {
            id: created,
            conversation: ConversationId::Room(id),
            seq: FIRST,
            sender: creator,
            at,
            body: Body::Created { name: name.clone() },
        };
        Self::of(created, name, others)
    }

    /// The room that this event makes, with these members besides its creator.
    #[must_use]
    pub fn of(created: Event, name: RoomName, others: &[UserId]) -> Self {
        let (id, creator) = (created.conversation, created.sender);
        let conversation = Conversation {
            id,
            name: Some(name),
            creator: Some(creator),
            created_at: created.at,
            deleted_seq: None,
        };
        Self {
            conversation,
            members: first_members(id, creator, others),
            created: Arc::new(created),
        }
    }
}

/// The owner first, then the others by id. The log of each begins with the event that makes the room.
fn first_members(id: ConversationId, creator: UserId, others: &[UserId]) -> Vec<Member> {
    let others: BTreeSet<UserId> = others.iter().copied().collect();
    let others = others.into_iter().filter(|user| *user != creator);
    let owner = Member::joining(id, creator, Role::Owner, FIRST);
    std::iter::once(owner)
        .chain(others.map(|user| Member::joining(id, user, Role::Member, FIRST)))
        .collect()
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

    /// The event that it begins with; a direct conversation begins with whatever is said in it first.
    #[must_use]
    pub const fn first_event(&self) -> Option<&Arc<Event>> {
        match self {
            Self::Direct(..) => None,
            Self::Room(room) => Some(&room.created),
        }
    }
}
