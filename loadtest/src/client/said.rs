//! What a client says to begin with and is told, whatever the protocol: the same objects on `/ws` and Socket.IO.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::fold::{Effect, Event, Saying};

/// The names of events that are no messages.
pub(super) const CHANGES: [&str; 4] = [
    "message_edited",
    "message_deleted",
    "reaction",
    "room_updated",
];

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
