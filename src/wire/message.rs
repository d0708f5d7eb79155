//! A message as JSON. Knows which fields a message has on the wire and when each is there.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{Moment, Shown};
use crate::domain::{Body, Content, ConversationId, Event, EventId, Message, RoomId, Seq, UserId};

/// A message, everywhere: in REST answers, acknowledgements and live events.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Message)]
pub struct MessageJson<'a> {
    /// Its id.
    #[serde(rename = "_id")]
    #[schema(value_type = String)]
    pub id: Shown<EventId>,
    /// Its conversation.
    #[schema(value_type = String)]
    pub conversation_id: Shown<ConversationId>,
    /// Its place in the conversation's log.
    pub seq: u64,
    /// `private` or `group`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Who sent it.
    #[schema(value_type = String)]
    pub sender_id: Shown<UserId>,
    /// The other user; private messages only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub receiver_id: Option<Shown<UserId>>,
    /// The room; group messages only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub room_id: Option<Shown<RoomId>>,
    /// What it says; empty once deleted.
    pub content: &'a str,
    /// When it was accepted, RFC 3339.
    #[schema(value_type = String)]
    pub timestamp: Moment,
    /// The sender's own id for it, when they gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<&'a str>,
    /// When it was last edited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub edited_at: Option<Moment>,
    /// When it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub deleted_at: Option<Moment>,
    /// Whether the receiver has it; private messages only, `false` in a live event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<bool>,
    /// Who reacted with what; absent when nobody did.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, Vec<String>>)]
    pub reactions: BTreeMap<&'a str, Vec<Shown<UserId>>>,
}

impl<'a> MessageJson<'a> {
    /// The message that an event is; `None` for the other kinds of event. `seen_up_to` tells how far a user has
    /// received or read the conversation: `max(deliveredSeq, readSeq)`, asked of a private message's receiver.
    pub fn of(event: &'a Event, seen_up_to: impl FnOnce(UserId) -> Seq) -> Option<Self> {
        match &event.body {
            Body::Message(message) => Some(Self::of_message(event, message, seen_up_to)),
            _ => None,
        }
    }

    /// The message of an event just committed, as its sender gets it acknowledged: not seen yet.
    #[must_use]
    pub fn live(event: &'a Event) -> Option<Self> {
        Self::of(event, |_| Seq::ZERO)
    }

    pub(super) fn of_message(
        event: &'a Event,
        message: &'a Message,
        seen_up_to: impl FnOnce(UserId) -> Seq,
    ) -> Self {
        let (receiver, room) = addressees(event);
        Self {
            id: Shown(event.id),
            conversation_id: Shown(event.conversation),
            seq: event.seq.get(),
            kind: if room.is_some() { "group" } else { "private" },
            sender_id: Shown(event.sender),
            receiver_id: receiver.map(Shown),
            room_id: room.map(Shown),
            content: message.content.as_ref().map_or("", Content::as_str),
            timestamp: Moment(event.at),
            client_message_id: chosen_by_client(event, message),
            edited_at: message.edited_at.map(Moment),
            deleted_at: message.deleted_at.map(Moment),
            seen: receiver.map(|user| seen_up_to(user) >= event.seq),
            reactions: reactions(message),
        }
    }
}

/// To whom an event goes: the other user of a direct conversation, or the room.
pub(super) fn addressees(event: &Event) -> (Option<UserId>, Option<RoomId>) {
    match event.conversation {
        ConversationId::Room(room) => (None, Some(room)),
        direct @ ConversationId::Direct(..) => (direct.peer_of(event.sender), None),
    }
}

/// The clientMessageId, unless the gateway made it: then it is the event's id in hexadecimal, and is not shown.
fn chosen_by_client<'a>(event: &Event, message: &'a Message) -> Option<&'a str> {
    let id = message.client_message_id.as_str();
    let made_here = id.parse() == Ok(event.id);
    (!made_here).then_some(id)
}

fn reactions(message: &Message) -> BTreeMap<&str, Vec<Shown<UserId>>> {
    let all = message.reactions.0.iter();
    all.map(|(emoji, users)| (emoji.as_str(), users.iter().copied().map(Shown).collect()))
        .collect()
}
