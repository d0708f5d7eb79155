//! Changes to a conversation: of its members, of the room, of a message. Says what event a change becomes, given the
//! facts, and what follows from that event for the documents beside the log, whichever store keeps them (D7, D8, D56).

mod decide;
mod permissions;
mod projection;
#[cfg(test)]
mod tests;

use super::{
    Body, Content, ConversationId, Emoji, Event, EventId, Member, Message, Role, RoomName, Seq,
    Timestamp, UserId,
};
pub use decide::decide;
pub use projection::{Projection, projections};

/// A change somebody wants to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The id its event will have.
    pub id: EventId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The user who asks for it.
    pub actor: UserId,
    /// When the gateway accepted the request.
    pub at: Timestamp,
    /// What is to change.
    pub kind: ChangeKind,
}

/// What is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// Add a user to a room. The caller has checked that the user exists.
    AddMember {
        /// The user it is about.
        user: UserId,
        /// The role they get.
        role: Role,
    },
    /// Remove a user from a room; oneself to leave.
    RemoveMember {
        /// The user it is about.
        user: UserId,
    },
    /// Give a member another role.
    ChangeRole {
        /// The user it is about.
        user: UserId,
        /// The role they get.
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
        /// Whether to put the reaction on; else it is taken off.
        added: bool,
    },
}

impl Change {
    /// The event that it becomes at a place, with this body.
    #[must_use]
    pub const fn event(&self, seq: Seq, body: Body) -> Event {
        Event {
            id: self.id,
            conversation: self.conversation,
            seq,
            sender: self.actor,
            at: self.at,
            body,
        }
    }
}

impl ChangeKind {
    /// The user whose membership it is about, whose facts [`decide()`] needs.
    #[must_use]
    pub const fn subject(&self) -> Option<UserId> {
        match self {
            Self::AddMember { user, .. }
            | Self::RemoveMember { user }
            | Self::ChangeRole { user, .. } => Some(*user),
            Self::Rename { .. }
            | Self::DeleteRoom
            | Self::Edit { .. }
            | Self::Delete { .. }
            | Self::React { .. } => None,
        }
    }

    /// The sender of the message it removes, whose standing [`decide()`] needs, given that message.
    #[must_use]
    pub fn bereaved(&self, target: Option<&Event>) -> Option<UserId> {
        match self {
            Self::Delete { .. } => target.map(|event| event.sender),
            _ => None,
        }
    }

    /// What happens when it is made; none when that is more than what is asked for.
    #[must_use]
    pub fn body(&self) -> Option<Body> {
        Some(match self.clone() {
            Self::AddMember { user, role } => Body::MemberAdded { user, role },
            // Who inherits the room is decided.
            Self::RemoveMember { .. } => return None,
            Self::ChangeRole { user, role } => Body::RoleChanged { user, role },
            Self::Rename { name } => Body::Renamed { name },
            Self::DeleteRoom => Body::RoomDeleted,
            Self::Edit { target, content } => Body::Edited {
                target,
                content: Some(content),
            },
            Self::Delete { target } => Body::Deleted { target },
            Self::React {
                target,
                emoji,
                added,
            } => Body::Reacted {
                target,
                emoji,
                added,
            },
        })
    }

    /// The message it is about, which [`decide()`] needs.
    #[must_use]
    pub const fn target(&self) -> Option<Seq> {
        match self {
            Self::Edit { target, .. } | Self::Delete { target } | Self::React { target, .. } => {
                Some(*target)
            }
            Self::AddMember { .. }
            | Self::RemoveMember { .. }
            | Self::ChangeRole { .. }
            | Self::Rename { .. }
            | Self::DeleteRoom => None,
        }
    }
}

/// What a change is decided by beside its actor's membership, as far as its kind needs it.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The room's name (to rename it).
    pub name: Option<RoomName>,
    /// The membership of [`ChangeKind::subject`] or [`ChangeKind::bereaved`], former ones included.
    pub subject: Option<Member>,
    /// The event at [`ChangeKind::target`].
    pub target: Option<Event>,
    /// How many active members the room has (to add one).
    pub active_members: usize,
    /// The active member who would inherit the room if its only owner left: an admin before a member, the longest
    /// there first. None when the actor is not its only owner, or is alone in it.
    pub heir: Option<Member>,
}

impl Facts {
    /// The message at [`ChangeKind::target`], if it is one.
    #[must_use]
    pub fn message(&self) -> Option<&Message> {
        self.target.as_ref()?.body.message()
    }
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

impl Refusal {
    /// All of them. Gateways tell each other of one by its place here: new ones are added at the end.
    pub const ALL: [Self; 9] = [
        Self::NotAMember,
        Self::NotAllowed,
        Self::NoSuchMember,
        Self::AlreadyAMember,
        Self::RoomFull,
        Self::NoSuchMessage,
        Self::MessageDeleted,
        Self::TooManyReactions,
        Self::DirectConversation,
    ];
}
