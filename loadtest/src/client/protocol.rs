//! What a client can say, whatever the protocol: the same requests on `/ws` and Socket.IO.

use serde_json::{Value, json};

use super::said::{Incoming, Joining};
use super::{native, socketio};

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
