//! The kinds of event that are not messages, as JSON. Knows their fields; who may see them is decided elsewhere.

use serde::Serialize;
use utoipa::ToSchema;

use super::message::addressees;
use super::{Moment, Shown};
use crate::domain::{ConversationId, Event, EventId, Role, RoomId, UserId};

/// What every event but a message begins with.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventHeader)]
pub struct Header {
    /// The event's id.
    #[serde(rename = "_id")]
    #[schema(value_type = String)]
    pub id: Shown<EventId>,
    /// Its conversation.
    #[schema(value_type = String)]
    pub conversation_id: Shown<ConversationId>,
    /// Its place in the conversation's log.
    pub seq: u64,
    /// Who caused it.
    #[schema(value_type = String)]
    pub sender_id: Shown<UserId>,
    /// The other user; direct conversations only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub receiver_id: Option<Shown<UserId>>,
    /// The room; rooms only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub room_id: Option<Shown<RoomId>>,
    /// When it was accepted, RFC 3339.
    #[schema(value_type = String)]
    pub timestamp: Moment,
}

impl Header {
    /// The header of this event.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let (receiver, room) = addressees(event);
        Self {
            id: Shown(event.id),
            conversation_id: Shown(event.conversation),
            seq: event.seq.get(),
            sender_id: Shown(event.sender),
            receiver_id: receiver.map(Shown),
            room_id: room.map(Shown),
            timestamp: Moment(event.at),
        }
    }
}

/// `message_edited`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = MessageEdited)]
pub struct EditedJson<'a> {
    /// Which event this is.
    #[serde(flatten)]
    pub header: Header,
    /// The seq of the message.
    pub target: u64,
    /// What the message says now; empty when it was deleted since.
    pub content: &'a str,
}

/// `message_deleted`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = MessageDeleted)]
pub struct DeletedJson {
    /// Which event this is.
    #[serde(flatten)]
    pub header: Header,
    /// The seq of the message.
    pub target: u64,
}

/// `reaction`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Reaction)]
pub struct ReactionJson<'a> {
    /// Which event this is.
    #[serde(flatten)]
    pub header: Header,
    /// The seq of the message.
    pub target: u64,
    /// The reaction.
    pub emoji: &'a str,
    /// Put on, or taken off.
    pub added: bool,
}

/// `room_updated`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RoomUpdated)]
pub struct RoomUpdatedJson<'a> {
    /// Which event this is.
    #[serde(flatten)]
    pub header: Header,
    /// `created`, `member_added`, `member_removed`, `role_changed`, `renamed` or `deleted`.
    pub change: &'static str,
    /// Whose membership changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub user_id: Option<Shown<UserId>>,
    /// What that user may do now: `member`, `admin` or `owner`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// The name the room was given: its first one, or a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    /// Who inherited the room, when its only owner left.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub new_owner_id: Option<Shown<UserId>>,
}

impl<'a> RoomUpdatedJson<'a> {
    pub(super) const fn new(header: Header, change: &'static str) -> Self {
        Self {
            header,
            change,
            user_id: None,
            role: None,
            name: None,
            new_owner_id: None,
        }
    }

    pub(super) fn member_added(header: Header, user: UserId, role: Role) -> Self {
        Self {
            user_id: Some(Shown(user)),
            role: Some(role.as_str()),
            ..Self::new(header, "member_added")
        }
    }

    pub(super) fn member_removed(header: Header, user: UserId, heir: Option<UserId>) -> Self {
        Self {
            user_id: Some(Shown(user)),
            new_owner_id: heir.map(Shown),
            ..Self::new(header, "member_removed")
        }
    }

    pub(super) fn role_changed(header: Header, user: UserId, role: Role) -> Self {
        Self {
            user_id: Some(Shown(user)),
            role: Some(role.as_str()),
            ..Self::new(header, "role_changed")
        }
    }

    pub(super) fn renamed(header: Header, name: &'a str) -> Self {
        Self {
            name: Some(name),
            ..Self::new(header, "renamed")
        }
    }

    pub(super) fn created(header: Header, name: &'a str) -> Self {
        Self {
            name: Some(name),
            ..Self::new(header, "created")
        }
    }
}
