//! What an event of the log changes beside it: the message it is about, a membership, the room. The log is the only
//! authority: all of this follows from its events, in their order, and can be made again from them at any time (D56).

use crate::domain::{
    Body, Content, Emoji, Event, Message, Reactions, Role, RoomName, Seq, Timestamp, UserId,
};

/// One document's change that follows from an event. What is given is how it stands as of the event, so that writing it
/// twice is writing it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Projection {
    /// A user is a member from the event on, which is the first of their log.
    Joined {
        /// The member.
        user: UserId,
        /// The role they have.
        role: Role,
    },
    /// A user is a member no more; the event is the last of their log.
    Left {
        /// The member.
        user: UserId,
    },
    /// A member's role.
    Role {
        /// The member.
        user: UserId,
        /// The role they have now.
        role: Role,
    },
    /// The room's name.
    Name(RoomName),
    /// The room is deleted, and every active member has left; the event is the last of all their logs.
    Tombstone,
    /// The target's content and `editedAt`.
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
    /// The target's content is cleared, its original and that of every edit of it too, and `deletedAt` set.
    Clear {
        /// The message.
        target: Seq,
        /// When it was deleted.
        at: Timestamp,
    },
    /// The target's reactions.
    Reactions {
        /// The message.
        target: Seq,
        /// All reactions to the message.
        reactions: Reactions,
    },
}

/// What an event projects. `target` is the message at [`Body::target`] as of the event before, as far as that is one.
#[must_use]
pub fn projections(event: &Event, target: Option<&Message>) -> Vec<Projection> {
    match &event.body {
        Body::Message(_) | Body::Created { .. } | Body::Unknown => Vec::new(),
        Body::Edited { content, .. } => edited(event, target, content.as_ref()),
        Body::Deleted { target } => vec![Projection::Clear {
            target: *target,
            at: event.at,
        }],
        Body::Reacted {
            target: seq,
            emoji,
            added,
        } => reacted(event.sender, target, *seq, (emoji, *added)),
        Body::MemberAdded { user, role } => vec![Projection::Joined {
            user: *user,
            role: *role,
        }],
        Body::MemberRemoved { user, heir } => {
            let owner = heir.map(|user| Projection::Role {
                user,
                role: Role::Owner,
            });
            let left = Projection::Left { user: *user };
            std::iter::once(left).chain(owner).collect()
        }
        Body::RoleChanged { user, role } => vec![Projection::Role {
            user: *user,
            role: *role,
        }],
        Body::Renamed { name } => vec![Projection::Name(name.clone())],
        Body::RoomDeleted => vec![Projection::Tombstone],
    }
}

impl Message {
    /// The message with this done to it, when it is the message's.
    #[must_use]
    pub fn with(mut self, projection: &Projection) -> Self {
        match projection {
            Projection::Content {
                content,
                original,
                at,
                ..
            } => {
                self.content = Some(content.clone());
                self.original = original.clone().or(self.original);
                self.edited_at = Some(*at);
            }
            Projection::Clear { at, .. } => {
                self.content = None;
                self.original = None;
                self.deleted_at = Some(*at);
            }
            Projection::Reactions { reactions, .. } => self.reactions = reactions.clone(),
            Projection::Joined { .. }
            | Projection::Left { .. }
            | Projection::Role { .. }
            | Projection::Name(_)
            | Projection::Tombstone => {}
        }
        self
    }
}

/// The content of an edit is gone once its target is deleted: then there is nothing left to be shown.
fn edited(event: &Event, target: Option<&Message>, content: Option<&Content>) -> Vec<Projection> {
    let (Some(message), Some(content), Some(seq)) = (target, content, event.body.target()) else {
        return Vec::new();
    };
    let is_first = message.edited_at.is_none();
    vec![Projection::Content {
        target: seq,
        content: content.clone(),
        original: message.content.clone().filter(|_| is_first),
        at: event.at,
    }]
}

fn reacted(
    user: UserId,
    target: Option<&Message>,
    seq: Seq,
    (emoji, added): (&Emoji, bool),
) -> Vec<Projection> {
    let set = target.map(|message| Projection::Reactions {
        target: seq,
        reactions: message.reactions.clone().with(emoji, user, added),
    });
    set.into_iter().collect()
}
