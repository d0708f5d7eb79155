//! What clients are told of an event of a log, and under which names they are told anything. Knows the events, and neither
//! who is told nor on which protocol.

use serde::Serialize;

use super::{DeletedJson, EditedJson, Header, MessageJson, ReactionJson, RoomUpdatedJson, encode};
use crate::domain::{Body, Content, ConversationId, Event, Seq};

macro_rules! names {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)+) => {
        /// A name on the wire, and its number on the bus: gateways of two builds run side by side, so both are only
        /// appended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum EventName {
            $($(#[$doc])* $variant,)+
        }

        impl EventName {
            /// As clients know it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// As gateways know it.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self {
                    $(Self::$variant => $number,)+
                }
            }

            /// The one with this number; none when it is another build's.
            #[must_use]
            pub const fn numbered(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

names! {
    /// A direct message.
    ReceiveMessage = 0, "receive_message";
    /// A message in a room.
    ReceiveGroupMessage = 1, "receive_group_message";
    /// A message says something else.
    MessageEdited = 2, "message_edited";
    /// A message was removed.
    MessageDeleted = 3, "message_deleted";
    /// A reaction was put on or taken off.
    Reaction = 4, "reaction";
    /// A room or its members changed.
    RoomUpdated = 5, "room_updated";
    /// Somebody types, or no longer.
    Typing = 6, "typing";
    /// Messages have reached a member.
    MessageDelivered = 7, "message_delivered";
    /// A member has read messages.
    MessageRead = 8, "message_read";
    /// Somebody came or went. Each gateway tells its own sessions.
    Presence = 9, "presence";
    /// This gateway is about to stop. Likewise.
    Reconnect = 10, "reconnect";
}

/// An event as clients get it; its name says which.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum EventJson<'a> {
    /// `receive_message` or `receive_group_message`.
    Message(MessageJson<'a>),
    /// `message_edited`.
    Edited(EditedJson<'a>),
    /// `message_deleted`.
    Deleted(DeletedJson),
    /// `reaction`.
    Reaction(ReactionJson<'a>),
    /// `room_updated`.
    RoomUpdated(RoomUpdatedJson<'a>),
}

impl<'a> EventJson<'a> {
    /// The event, freshly committed: nobody has seen it. `None` when clients get nothing of it.
    #[must_use]
    pub fn live(event: &'a Event) -> Option<Self> {
        let header = || Header::of(event);
        Some(match &event.body {
            Body::Message(message) => {
                Self::Message(MessageJson::of_message(event, message, |_| Seq::ZERO))
            }
            Body::Edited { target, content } => Self::Edited(EditedJson {
                header: header(),
                target: target.get(),
                content: content.as_ref().map_or("", Content::as_str),
            }),
            Body::Deleted { target } => Self::Deleted(DeletedJson {
                header: header(),
                target: target.get(),
            }),
            Body::Reacted {
                target,
                emoji,
                added,
            } => Self::Reaction(ReactionJson {
                header: header(),
                target: target.get(),
                emoji: emoji.as_str(),
                added: *added,
            }),
            Body::MemberAdded { user, role } => {
                Self::RoomUpdated(RoomUpdatedJson::member_added(header(), *user, *role))
            }
            Body::MemberRemoved { user, heir } => {
                Self::RoomUpdated(RoomUpdatedJson::member_removed(header(), *user, *heir))
            }
            Body::RoleChanged { user, role } => {
                Self::RoomUpdated(RoomUpdatedJson::role_changed(header(), *user, *role))
            }
            Body::Renamed { name } => {
                Self::RoomUpdated(RoomUpdatedJson::renamed(header(), name.as_str()))
            }
            Body::RoomDeleted => Self::RoomUpdated(RoomUpdatedJson::new(header(), "deleted")),
            Body::Created { name } => {
                Self::RoomUpdated(RoomUpdatedJson::created(header(), name.as_str()))
            }
            Body::Unknown => return None,
        })
    }
    /// The name under which clients get it.
    #[must_use]
    pub const fn name(&self, conversation: ConversationId) -> EventName {
        match (self, conversation) {
            (Self::Message(_), ConversationId::Direct(..)) => EventName::ReceiveMessage,
            (Self::Message(_), ConversationId::Room(_)) => EventName::ReceiveGroupMessage,
            (Self::Edited(_), _) => EventName::MessageEdited,
            (Self::Deleted(_), _) => EventName::MessageDeleted,
            (Self::Reaction(_), _) => EventName::Reaction,
            (Self::RoomUpdated(_), _) => EventName::RoomUpdated,
        }
    }
}

/// A live event's name and its JSON object, encoded once for all receivers. `None` when clients get nothing of it.
#[must_use]
pub fn event_json(event: &Event) -> Option<(EventName, Vec<u8>)> {
    let shape = EventJson::live(event)?;
    Some((shape.name(event.conversation), encode(&shape)))
}
