//! What a client and a gateway tell each other, whatever the protocol. Knows no frame.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

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
        /// The message it made, if it made one, or the error's code.
        outcome: Result<Option<Message<'a>>, Cow<'a, str>>,
    },
    /// A message was delivered.
    Message(Message<'a>),
    /// Another event of a room's log was.
    RoomUpdated(RoomUpdated<'a>),
    /// The connection was refused with this code.
    Refused(String),
    /// Something this client has no use for.
    Other,
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
}

/// What happened to a room: it has a place in the log, and no content.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoomUpdated<'a> {
    #[serde(borrow)]
    pub(crate) conversation_id: Cow<'a, str>,
    pub(crate) seq: u64,
    #[serde(borrow)]
    pub(crate) change: Cow<'a, str>,
}

/// The body of an answer.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    pub(super) message: Option<Message<'a>>,
    #[serde(borrow)]
    pub(super) error: Option<Refusal<'a>>,
}

/// The body of an error.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal<'a> {
    #[serde(borrow)]
    pub(super) code: Cow<'a, str>,
}

impl<'a> Answer<'a> {
    pub(super) fn outcome(self) -> Result<Option<Message<'a>>, Cow<'a, str>> {
        self.error.map_or(Ok(self.message), |error| Err(error.code))
    }
}
