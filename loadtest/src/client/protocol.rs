//! What a client can say and be told, whatever the protocol: the same requests and objects on `/ws` and Socket.IO.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{native, socketio};
use crate::fold::{Effect, Event, Saying};

/// The names of events that are no messages.
pub(super) const CHANGES: [&str; 4] = [
    "message_edited",
    "message_deleted",
    "reaction",
    "room_updated",
];

/// Which of the two protocols a session speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// JSON frames on `/ws`.
    Native,
    /// Engine.IO 4 and Socket.IO 5 over the WebSocket transport.
    SocketIo,
}

/// Whom a message is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A room, by id.
    Room(String),
    /// Another user, by id.
    User(String),
}

/// How a session begins.
#[derive(Debug)]
pub(crate) struct Joining<'a> {
    /// Whose session it is.
    pub(crate) user: &'a str,
    /// The access token.
    pub(crate) token: &'a str,
    /// The last seq this device has of each conversation.
    pub(crate) since: &'a BTreeMap<String, u64>,
    /// When the latest message was stored that this device has, for servers without seqs.
    pub(crate) last: Option<&'a str>,
    /// Whether the client moves its cursors itself, by `message_ack`.
    pub(crate) acknowledges: bool,
}

/// What a frame says.
#[derive(Debug, PartialEq)]
pub(crate) enum Incoming<'a> {
    /// The transport is open; Socket.IO only.
    Opened,
    /// The token was taken; Socket.IO only.
    Connected,
    /// The transport's own ping, to be answered by a frame; Socket.IO only.
    Ping,
    /// A request was answered.
    Answer {
        /// The request's number.
        id: u64,
        /// What it made, or the error's code.
        outcome: Result<Answered<'a>, Cow<'a, str>>,
    },
    /// A message was delivered.
    Message(Message<'a>),
    /// Another event of a log was, and does this.
    Changed(Event<'a>, Effect),
    /// The connection was refused with this code.
    Refused(String),
    /// Something this client has no use for.
    Other,
}

/// What a request made, if it made anything.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answered<'a> {
    /// A message.
    pub(crate) message: Option<Message<'a>>,
    /// The place of another event.
    pub(crate) seq: Option<u64>,
}

/// A message, as far as it matters here. A peer's has neither conversation nor seq.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message<'a> {
    #[serde(borrow, default)]
    pub(crate) conversation_id: Cow<'a, str>,
    pub(crate) seq: Option<u64>,
    #[serde(borrow)]
    pub(crate) timestamp: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) content: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) sender_id: Cow<'a, str>,
    /// Direct messages have a receiver, room messages a room.
    #[serde(borrow)]
    pub(crate) receiver_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) client_message_id: Option<Cow<'a, str>>,
    /// When it was deleted, if it was.
    #[serde(borrow)]
    pub(crate) deleted_at: Option<Cow<'a, str>>,
    /// Who reacted with what.
    #[serde(borrow, default)]
    pub(crate) reactions: BTreeMap<Cow<'a, str>, Vec<Cow<'a, str>>>,
}

impl Message<'_> {
    /// What it says, as it stands.
    pub(crate) fn saying(&self) -> Saying {
        let each = |(emoji, users): (&Cow<'_, str>, &Vec<Cow<'_, str>>)| {
            let emoji = emoji.to_string();
            let users = users.iter().map(ToString::to_string);
            let pairs = users.map(|user| (emoji.clone(), user));
            pairs.collect::<Vec<_>>()
        };
        Saying {
            content: self.content.to_string(),
            is_deleted: self.deleted_at.is_some(),
            reactions: self.reactions.iter().flat_map(each).collect(),
        }
    }
}

/// The body of an answer.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    pub(super) message: Option<Message<'a>>,
    #[serde(borrow)]
    pub(super) error: Option<Refusal<'a>>,
    /// Of a change.
    pub(super) event: Option<EventPlace>,
}

/// Where an event stands.
#[derive(Debug, Deserialize)]
pub(super) struct EventPlace {
    seq: u64,
}

/// The body of an error.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal<'a> {
    #[serde(borrow)]
    pub(super) code: Cow<'a, str>,
}

impl<'a> Answer<'a> {
    pub(super) fn outcome(self) -> Result<Answered<'a>, Cow<'a, str>> {
        let made = Answered {
            message: self.message,
            seq: self.event.map(|event| event.seq),
        };
        self.error.map_or(Ok(made), |error| Err(error.code))
    }
}

impl Protocol {
    /// Where a gateway takes the WebSocket.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Native => "/ws",
            Self::SocketIo => "/socket.io/?EIO=4&transport=websocket",
        }
    }

    /// What to write as soon as the WebSocket is open.
    pub(crate) fn opening(self, joining: &Joining<'_>) -> Option<String> {
        (self == Self::Native).then(|| native::hello(joining))
    }

    /// What to write in answer to a frame of the handshake.
    pub(crate) fn reaction(self, incoming: &Incoming<'_>, joining: &Joining<'_>) -> Option<String> {
        match incoming {
            Incoming::Opened => Some(socketio::connect(joining)),
            Incoming::Connected => Some(socketio::join(joining)),
            Incoming::Ping => Some(socketio::PONG.to_owned()),
            _ => None,
        }
    }

    /// A request to send a message.
    pub(crate) fn send(self, id: u64, to: &Target, content: &str, own_id: &str) -> String {
        let (name, body) = match to {
            Target::Room(room) => (
                "send_group_message",
                json!({"roomId": room, "content": content, "clientMessageId": own_id}),
            ),
            Target::User(user) => (
                "send_message",
                json!({"receiverId": user, "content": content, "clientMessageId": own_id}),
            ),
        };
        self.request(id, name, body)
    }

    /// A request to change the message at this place.
    pub(crate) fn change(self, id: u64, name: &str, at: (&str, u64), mut body: Value) -> String {
        body["conversationId"] = at.0.into();
        body["seq"] = at.1.into();
        self.request(id, name, body)
    }

    /// A request to move a cursor.
    pub(crate) fn acknowledge(self, id: u64, conversation: &str, seq: u64) -> String {
        let body = json!({"conversationId": conversation, "seq": seq});
        self.request(id, "message_ack", body)
    }

    /// A request that tells a room that one is typing.
    pub(crate) fn typing(self, id: u64, room: &str) -> String {
        self.request(id, "typing", json!({"roomId": room, "typing": true}))
    }

    /// A request to be told when these users come and go.
    pub(crate) fn watch(self, id: u64, users: &[&str]) -> String {
        match self {
            Self::Native => self.request(id, "watch_presence", json!({"userIds": users})),
            Self::SocketIo => self.request(id, "watch_presence", json!(users)),
        }
    }

    fn request(self, id: u64, name: &str, body: Value) -> String {
        match self {
            Self::Native => native::request(id, name, body),
            Self::SocketIo => socketio::request(id, name, &body),
        }
    }

    /// Reads a frame; `None` when it is not of the documented form.
    pub(crate) fn read(self, text: &str) -> Option<Incoming<'_>> {
        match self {
            Self::Native => native::read(text),
            Self::SocketIo => socketio::read(text),
        }
    }
}
