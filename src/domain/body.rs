//! What happened, kind by kind: the one description of each. Everything else that goes by kind (the wire, the bus, both
//! stores, what follows from an event) matches on it, so that a kind which is forgotten somewhere does not compile.

use super::{Content, Emoji, Message, Role, RoomName, Seq, UserId};

/// Makes [`Kind`] with its table. A number and a name are for ever: logs hold them.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $number:literal, $name:literal;)+) => {
        /// A kind of event, as stores name it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $($(#[$doc])* $kind,)+
            /// A kind that a later version of hobnob writes.
            Unknown,
        }

        impl Kind {
            /// All kinds that this version writes.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// Its number in the log of the embedded store.
            #[must_use]
            pub const fn number(self) -> i64 {
                match self {
                    $(Self::$kind => $number,)+
                    Self::Unknown => i64::MAX,
                }
            }

            /// Its name in the log of MongoDB.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                    Self::Unknown => "unknown",
                }
            }
        }
    };
}

kinds! {
    /// [`Body::Message`].
    Message = 0, "message";
    /// [`Body::Edited`].
    Edited = 1, "edited";
    /// [`Body::Deleted`].
    Deleted = 2, "deleted";
    /// [`Body::Reacted`].
    Reacted = 3, "reacted";
    /// [`Body::MemberAdded`].
    MemberAdded = 4, "memberAdded";
    /// [`Body::MemberRemoved`].
    MemberRemoved = 5, "memberRemoved";
    /// [`Body::RoleChanged`].
    RoleChanged = 6, "roleChanged";
    /// [`Body::Renamed`].
    Renamed = 7, "renamed";
    /// [`Body::RoomDeleted`].
    RoomDeleted = 8, "roomDeleted";
    /// [`Body::Created`].
    Created = 9, "created";
}

impl Kind {
    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        Self::found(|kind| kind.number() == number)
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self::found(|kind| kind.name() == name)
    }

    fn found(is_it: impl Fn(Self) -> bool) -> Self {
        let mut all = Self::ALL.iter().copied();
        all.find(|kind| is_it(*kind)).unwrap_or(Self::Unknown)
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Somebody said something.
    Message(Message),
    /// A message's content was replaced. No content when the message was deleted since.
    Edited {
        /// The message.
        target: Seq,
        /// What it says now.
        content: Option<Content>,
    },
    /// A message's content was removed.
    Deleted {
        /// The message.
        target: Seq,
    },
    /// A reaction was put on a message or taken off.
    Reacted {
        /// The message.
        target: Seq,
        /// The reaction.
        emoji: Emoji,
        /// Whether the reaction was put on; else it was taken off.
        added: bool,
    },
    /// A user became a member; this is the first event of their log.
    MemberAdded {
        /// The new member.
        user: UserId,
        /// What they may do.
        role: Role,
    },
    /// A user left (they are the sender) or was removed; this is the last event of their log.
    MemberRemoved {
        /// The former member.
        user: UserId,
        /// Who inherited the room, when its only owner left.
        heir: Option<UserId>,
    },
    /// A member's role changed.
    RoleChanged {
        /// The member.
        user: UserId,
        /// What they may do now.
        role: Role,
    },
    /// The room has a new name.
    Renamed {
        /// The name.
        name: RoomName,
    },
    /// The room was deleted; the last event of its log.
    RoomDeleted,
    /// The room was made, by its sender; the first event of its log, unless the room is older than this kind of event.
    Created {
        /// The name it was given.
        name: RoomName,
    },
    /// Something that only a later version of hobnob knows, which runs beside this one during an upgrade. It has its place
    /// in the log, and shows nothing. Read, and never written.
    Unknown,
}

/// What an event does to who receives later ones, and may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It changes no membership.
    None,
    /// Roles changed: what is known of the senders' standing is stale.
    Roles,
    /// This user became a member.
    Added(UserId),
    /// This user is no member after it.
    Removed(UserId),
    /// Nobody is a member after it.
    Closed,
}

impl Effect {
    /// Whether who may write, or in what role, changes with it.
    #[must_use]
    pub const fn changes_membership(self) -> bool {
        !matches!(self, Self::None)
    }

    /// Whether it is the last event of this user's log.
    #[must_use]
    pub fn ends_for(self, user: UserId) -> bool {
        self == Self::Closed || self == Self::Removed(user)
    }
}

/// What is to be known of a kind, besides the fields it has.
struct Nature {
    kind: Kind,
    /// What it does to who is there.
    effect: Effect,
    /// The message that it is about.
    target: Option<Seq>,
}

impl Nature {
    const fn plain(kind: Kind) -> Self {
        Self::with(kind, Effect::None)
    }

    const fn with(kind: Kind, effect: Effect) -> Self {
        Self {
            kind,
            effect,
            target: None,
        }
    }

    const fn about(kind: Kind, target: Seq) -> Self {
        Self {
            kind,
            effect: Effect::None,
            target: Some(target),
        }
    }
}

impl Body {
    const fn nature(&self) -> Nature {
        match self {
            Self::Message(_) => Nature::plain(Kind::Message),
            Self::Edited { target, .. } => Nature::about(Kind::Edited, *target),
            Self::Deleted { target } => Nature::about(Kind::Deleted, *target),
            Self::Reacted { target, .. } => Nature::about(Kind::Reacted, *target),
            Self::MemberAdded { user, .. } => Nature::with(Kind::MemberAdded, Effect::Added(*user)),
            Self::MemberRemoved { user, .. } => {
                Nature::with(Kind::MemberRemoved, Effect::Removed(*user))
            }
            Self::RoleChanged { .. } => Nature::with(Kind::RoleChanged, Effect::Roles),
            Self::Renamed { .. } => Nature::plain(Kind::Renamed),
            Self::RoomDeleted => Nature::with(Kind::RoomDeleted, Effect::Closed),
            Self::Created { .. } => Nature::plain(Kind::Created),
            // Perhaps: then it is not known who may write.
            Self::Unknown => Nature::with(Kind::Unknown, Effect::Roles),
        }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.nature().kind
    }

    /// What it does to who receives later events, and may write.
    #[must_use]
    pub const fn effect(&self) -> Effect {
        self.nature().effect
    }

    /// Whether who belongs to the conversation, or in what role, changes with it.
    #[must_use]
    pub const fn changes_membership(&self) -> bool {
        self.effect().changes_membership()
    }

    /// The message that it is about.
    #[must_use]
    pub const fn target(&self) -> Option<Seq> {
        self.nature().target
    }

    /// Whether something follows from it beside the log: the target, a membership or the room changes (D56).
    #[must_use]
    pub const fn is_projected(&self) -> bool {
        !matches!(self.kind(), Kind::Message | Kind::Unknown)
    }

    /// The message, if it is one.
    #[must_use]
    pub const fn message(&self) -> Option<&Message> {
        match self {
            Self::Message(message) => Some(message),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_and_names_are_each_one_kind_s() {
        let numbers: HashSet<i64> = Kind::ALL.iter().map(|kind| kind.number()).collect();
        let names: HashSet<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(
            (numbers.len(), names.len()),
            (Kind::ALL.len(), Kind::ALL.len())
        );
        for kind in Kind::ALL {
            assert_eq!(Kind::from_number(kind.number()), *kind);
            assert_eq!(Kind::from_name(kind.name()), *kind);
        }
        assert_eq!(Kind::from_name("nonsense"), Kind::Unknown);
        assert_eq!(Kind::from_number(77), Kind::Unknown);
    }
}
