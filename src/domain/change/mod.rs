//! Changes to a conversation that need more than an insert: membership, room and message changes. Decides what a
//! change does, given the facts; both stores load the facts, ask here, and write the outcome in one transaction
//! (D7, D8), so that they cannot differ in it.

mod decide;
mod permissions;
#[cfg(test)]
mod tests;

use super::{
    Content, Conversation, ConversationId, Emoji, Event, EventId, Member, Reactions, Role,
    RoomName, Seq, Timestamp, UserId,
};
pub use decide::decide;

/// A change somebody wants to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The id its event will have.
    pub id: EventId,
    /// The conversation.
    pub conversation: ConversationId,
    /// Who wants it.
    pub actor: UserId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: ChangeKind,
}

/// What is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// Add a user to a room. The caller has checked that the user exists.
    AddMember {
        /// Who.
        user: UserId,
        /// As what.
        role: Role,
    },
    /// Remove a user from a room; oneself to leave.
    RemoveMember {
        /// Who.
        user: UserId,
    },
    /// Give a member another role.
    ChangeRole {
        /// Who.
        user: UserId,
        /// Which.
        role: Role,
    },
    /// Give a room another name.
    Rename {
        /// The name.
        name: RoomName,
    },
    /// Delete a room.
    DeleteRoom,
    /// Replace what a message of one's own says.
    Edit {
        /// The message.
        target: Seq,
        /// What it shall say.
        content: Content,
    },
    /// Remove what a message says: one's own, or in a room that of somebody with a lesser role when one is an admin.
    Delete {
        /// The message.
        target: Seq,
    },
    /// Put a reaction on a message, or take one's own off.
    React {
        /// The message.
        target: Seq,
        /// The reaction.
        emoji: Emoji,
        /// Put on, or take off.
        added: bool,
    },
}

impl ChangeKind {
    /// The user whose membership it is about, whose facts [`decide`] needs.
    #[must_use]
    pub const fn subject(&self) -> Option<UserId> {
        match self {
            Self::AddMember { user, .. }
            | Self::RemoveMember { user }
            | Self::ChangeRole { user, .. } => Some(*user),
            _ => None,
        }
    }

    /// The sender of the message it removes, whose standing [`decide`] needs, given that message.
    #[must_use]
    pub fn bereaved(&self, target: Option<&Event>) -> Option<UserId> {
        match self {
            Self::Delete { .. } => target.map(|event| event.sender),
            _ => None,
        }
    }

    /// The message it is about, which [`decide`] needs.
    #[must_use]
    pub const fn target(&self) -> Option<Seq> {
        match self {
            Self::Edit { target, .. } | Self::Delete { target } | Self::React { target, .. } => {
                Some(*target)
            }
            _ => None,
        }
    }
}

/// What a store has read, in the transaction that will write the outcome.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The conversation; none when there is no such.
    pub conversation: Option<Conversation>,
    /// The newest seq of its log.
    pub head: Seq,
    /// The actor's membership, former ones included.
    pub actor: Option<Member>,
    /// The membership of [`ChangeKind::subject`] or [`ChangeKind::bereaved`], former ones included.
    pub subject: Option<Member>,
    /// The event at [`ChangeKind::target`].
    pub target: Option<Event>,
    /// How many active members the room has (read for membership changes only).
    pub active_members: usize,
    /// The active member who would inherit the room if its only owner left: an admin before a member, the longest
    /// there first. None when the actor is not its only owner, or is alone in it.
    pub heir: Option<Member>,
}

/// What a change does: the event to insert at `head + 1`, and what to write with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Insert this event and write these projections, in one transaction.
    Apply {
        /// The event.
        event: Box<Event>,
        /// Written with it.
        projections: Vec<Projection>,
    },
    /// It is as wanted already: nothing to write, no event.
    Nothing,
}

/// What is written beside the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Projection {
    /// Replace or insert this membership document.
    Member(Member),
    /// Set the room's name.
    Name(RoomName),
    /// Set the room's tombstone, and every active member's `leftSeq`, to this seq.
    Tombstone(Seq),
    /// Set the target's content and `editedAt`.
    Content {
        /// The message.
        target: Seq,
        /// What it says now.
        content: Content,
        /// What it said until now, to be kept, when this is its first edit.
        original: Option<Content>,
        /// When it was edited.
        at: Timestamp,
    },
    /// Clear the target's content, its original and that of every edit of it, and set `deletedAt`.
    Clear {
        /// The message.
        target: Seq,
        /// When it was deleted.
        at: Timestamp,
    },
    /// Set the target's reactions.
    Reactions {
        /// The message.
        target: Seq,
        /// All of them.
        reactions: Reactions,
    },
}

/// Why a change is not made. Final: a retry would be refused again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The actor does not belong to the conversation, or there is none such: the two look the same to outsiders.
    #[error("not a member of this conversation")]
    NotAMember,
    /// The actor's role does not allow it.
    #[error("your role does not allow this")]
    NotAllowed,
    /// The user it is about does not belong to the room.
    #[error("that user is not a member of this room")]
    NoSuchMember,
    /// The user to be added belongs to the room already.
    #[error("that user is a member of this room already")]
    AlreadyAMember,
    /// The room has as many members as it may have.
    #[error("the room is full")]
    RoomFull,
    /// There is no such message, or it is not the actor's to see.
    #[error("no such message")]
    NoSuchMessage,
    /// The message was deleted.
    #[error("the message was deleted")]
    MessageDeleted,
    /// The message has as many reactions as it may have.
    #[error("the message has too many reactions")]
    TooManyReactions,
    /// A direct conversation has no members to change and no name.
    #[error("not possible in a direct conversation")]
    DirectConversation,
}
