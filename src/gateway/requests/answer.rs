//! What clients are answered: one documented shape per request, the same on both protocols.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::chat::ChatError;
use crate::domain::{Event, UserId};
use crate::fanout::hub::Joined;
use crate::wire::{self, ErrorJson, EventJson, MessageJson};

/// The answer to a request; each protocol writes it in its own way.
#[derive(Debug)]
pub enum Answer {
    /// What was asked for was done: the JSON text of one of the objects below.
    Done(Vec<u8>),
    /// It was not, and why.
    Refused(ChatError),
}

impl Answer {
    /// With one of the objects below.
    pub(super) fn done(object: &impl Serialize) -> Self {
        Self::Done(wire::encode(object))
    }

    /// The JSON text of an object: `{"ok": true, …}`, or `{"error": {…}}`.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Done(json) => String::from_utf8_lossy(json),
            Self::Refused(error) => {
                let json = wire::encode(&ErrorJson::from(error));
                Cow::Owned(String::from_utf8_lossy(&json).into_owned())
            }
        }
    }
}

/// `{"ok": true}`; others extend it.
#[derive(Debug, Serialize)]
pub(super) struct Ok {
    ok: bool,
}

impl Default for Ok {
    fn default() -> Self {
        Self { ok: true }
    }
}

/// The answer to `join`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JoinedJson {
    #[serde(flatten)]
    ok: Ok,
    user_id: String,
    /// By id; `GET /rooms?after=` has the others.
    rooms: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more_rooms: bool,
}

impl JoinedJson {
    pub(super) fn new(user: UserId, joined: &Joined) -> Self {
        let rooms = joined.rooms.iter().map(ToString::to_string).collect();
        Self {
            ok: Ok::default(),
            user_id: user.to_string(),
            rooms,
            more_rooms: joined.has_more_rooms,
        }
    }
}

/// The answer to a send: the message as stored.
#[derive(Debug, Serialize)]
pub(super) struct SentJson<'a> {
    ok: bool,
    message: Option<MessageJson<'a>>,
}

impl<'a> SentJson<'a> {
    pub(super) fn new(event: &'a Event) -> Self {
        Self {
            ok: true,
            message: MessageJson::live(event),
        }
    }
}

/// The answer to an edit, a deletion or a reaction: the event, or none when nothing had to change.
#[derive(Debug, Serialize)]
pub(super) struct ChangedJson<'a> {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<EventJson<'a>>,
}

impl<'a> ChangedJson<'a> {
    pub(super) fn new(event: Option<&'a Event>) -> Self {
        Self {
            ok: true,
            event: event.and_then(EventJson::live),
        }
    }
}

/// The answer to `watch_presence`.
#[derive(Debug, Serialize)]
pub(super) struct PresenceList {
    ok: bool,
    presence: BTreeMap<String, Online>,
}

#[derive(Debug, Serialize)]
struct Online {
    online: bool,
}

impl PresenceList {
    pub(super) fn new(online: HashMap<UserId, bool>) -> Self {
        let presence = online
            .into_iter()
            .map(|(user, online)| (user.to_string(), Online { online }));
        Self {
            ok: true,
            presence: presence.collect(),
        }
    }
}
