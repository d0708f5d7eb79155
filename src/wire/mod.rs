//! The JSON shapes that REST, Socket.IO and WebSocket share, so that a message is the same object everywhere.
//! Knows the domain, serde and, to describe itself, utoipa; no use case, no protocol, no port.
//!
//! Shapes that belong to one edge alone (request bodies, frames) live at that edge.

mod change;
mod error;
mod message;
mod scalar;

pub use change::{DeletedJson, EditedJson, Header, ReactionJson, RoomUpdatedJson};
pub use error::{ErrorBody, ErrorJson};
pub use message::MessageJson;
pub use scalar::{Moment, Shown};

use serde::Serialize;

use crate::domain::{Body, ConversationId, Event, Seq};

/// An event as clients get it; [`event_name`] says which.
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
                content: content.as_ref().map_or("", crate::domain::Content::as_str),
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
}

/// The name under which clients get an event, if they do.
#[must_use]
pub const fn event_name(event: &Event) -> Option<&'static str> {
    Some(match (&event.body, event.conversation) {
        (Body::Message(_), ConversationId::Direct(..)) => "receive_message",
        (Body::Message(_), ConversationId::Room(_)) => "receive_group_message",
        (Body::Edited { .. }, _) => "message_edited",
        (Body::Deleted { .. }, _) => "message_deleted",
        (Body::Reacted { .. }, _) => "reaction",
        (
            Body::MemberAdded { .. }
            | Body::MemberRemoved { .. }
            | Body::RoleChanged { .. }
            | Body::Renamed { .. }
            | Body::RoomDeleted
            | Body::Created { .. },
            _,
        ) => "room_updated",
        (Body::Unknown, _) => return None,
    })
}

/// A live event's name and its JSON object, encoded once for all receivers. `None` when clients get nothing of it.
#[must_use]
pub fn event_json(event: &Event) -> Option<(&'static str, Vec<u8>)> {
    event_name(event).zip(EventJson::live(event).map(|shape| encode(&shape)))
}

/// The JSON text of one of this module's shapes.
#[must_use]
pub fn encode(shape: &impl Serialize) -> Vec<u8> {
    // Strings, numbers and maps with string keys cannot fail to become JSON in memory; should a shape ever break
    // that, an empty object is better than a dead gateway.
    serde_json::to_vec(shape).unwrap_or_else(|error| {
        tracing::error!(%error, "a wire shape could not be encoded");
        b"{}".to_vec()
    })
}

#[cfg(test)]
mod tests;
