//! What clients send: one documented shape per request, the same on both protocols.

use std::collections::HashMap;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::value::Error as NoSuchName;
use serde::de::{DeserializeOwned, IntoDeserializer};

use crate::chat::ChatError;
use crate::domain::{ConversationId, InvalidId, RoomId, Seq, UserId};

/// The most users named in one request.
const USERS: usize = 500;

/// What is said of a request that is not as `docs/asyncapi.yaml` has it.
const UNDOCUMENTED: &str = "the request is not of the documented form";

/// `send_message`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SendDirect {
    pub(super) receiver_id: String,
    pub(super) content: String,
    pub(super) client_message_id: Option<String>,
    /// As in the seed; must be the token's user.
    pub(super) sender_id: Option<String>,
}

/// `send_group_message`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SendRoom {
    pub(super) room_id: String,
    pub(super) content: String,
    pub(super) client_message_id: Option<String>,
    /// As in the seed; must be the token's user.
    pub(super) sender_id: Option<String>,
}

/// `message_ack` and `message_read`, and what edits, deletions and reactions are about.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Position {
    conversation_id: String,
    seq: u64,
}

impl Position {
    pub(super) fn parse(&self) -> Result<(ConversationId, Seq), ChatError> {
        Ok((
            id("conversationId", &self.conversation_id)?,
            Seq::new(self.seq),
        ))
    }
}

/// `edit_message`.
#[derive(Debug, Deserialize)]
pub(super) struct Edit {
    #[serde(flatten)]
    pub(super) at: Position,
    pub(super) content: String,
}

/// `delete_message`.
#[derive(Debug, Deserialize)]
pub(super) struct Delete {
    #[serde(flatten)]
    pub(super) at: Position,
}

/// `react`.
#[derive(Debug, Deserialize)]
pub(super) struct React {
    #[serde(flatten)]
    pub(super) at: Position,
    pub(super) emoji: String,
    /// Put on (the default), or taken off.
    #[serde(default = "yes")]
    pub(super) added: bool,
}

const fn yes() -> bool {
    true
}

/// `typing`: names a receiver or a room.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Typing {
    receiver_id: Option<String>,
    room_id: Option<String>,
    pub(super) typing: bool,
}

impl Typing {
    pub(super) fn conversation(&self, caller: UserId) -> Result<ConversationId, ChatError> {
        match (&self.receiver_id, &self.room_id) {
            (Some(receiver), None) => {
                Ok(ConversationId::direct(caller, id("receiverId", receiver)?))
            }
            (None, Some(room)) => Ok(ConversationId::Room(id::<RoomId>("roomId", room)?)),
            _ => Err(ChatError::InvalidRequest(
                "either receiverId or roomId is needed".to_owned(),
            )),
        }
    }
}

/// `authenticate`.
#[derive(Deserialize)]
pub(super) struct Authenticate {
    pub(super) token: String,
}

/// How a joining client resumes and acknowledges. Strict, since `join` takes it in place of a user id.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinOptions {
    /// Where to resume, by conversation id; elsewhere the user's cursor says it.
    #[serde(default)]
    pub(super) since: HashMap<String, u64>,
    pub(super) ack: Option<AckMode>,
}

impl JoinOptions {
    /// As the second argument of `join` says them, in JSON.
    ///
    /// # Errors
    /// `invalid_request` when it has another field, or one of another type.
    pub fn parse(text: &str) -> Result<Self, ChatError> {
        read(text)
    }

    /// As a `hello` says them.
    ///
    /// # Errors
    /// `invalid_request` when nothing moves cursors under this name.
    pub fn new(since: HashMap<String, u64>, ack: &str) -> Result<Self, ChatError> {
        let ack = AckMode::deserialize(ack.into_deserializer());
        let ack = ack.map_err(|_: NoSuchName| undocumented())?;
        Ok(Self {
            since,
            ack: Some(ack),
        })
    }
}

/// What moves a session's delivery cursors.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AckMode {
    /// Proof of receipt (D28).
    Auto,
    /// `message_ack`.
    Client,
}

impl AckMode {
    pub(super) const fn is_auto(self) -> bool {
        matches!(self, Self::Auto)
    }
}

/// `watch_presence` and `unwatch_presence`: a list of ids, or an object with one.
#[derive(Deserialize)]
#[serde(untagged)]
enum UserIds {
    List(Vec<String>),
    #[serde(rename_all = "camelCase")]
    Object {
        user_ids: Vec<String>,
    },
}

pub(super) fn user_ids(payload: &str) -> Result<Vec<UserId>, ChatError> {
    let ids = serde_json::from_str(payload)
        .map_err(|_| ChatError::InvalidRequest("a list of user ids is needed".to_owned()))?;
    let (UserIds::List(ids) | UserIds::Object { user_ids: ids }) = ids;
    if ids.len() > USERS {
        return Err(ChatError::LimitExceeded {
            what: "the number of user ids",
            limit: USERS,
        });
    }
    ids.iter().map(|text| id("userId", text)).collect()
}

pub(super) fn read<T: DeserializeOwned>(payload: &str) -> Result<T, ChatError> {
    serde_json::from_str(payload).map_err(|error| ChatError::InvalidRequest(describe(&error)))
}

pub(super) fn id<T: FromStr<Err = InvalidId>>(
    field: &'static str,
    text: &str,
) -> Result<T, ChatError> {
    text.parse().map_err(ChatError::id(field))
}

/// What is wrong with a payload, without quoting it: a message's content has no place in an error.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once('`') {
        Some((start, rest)) if start.starts_with("missing field") => format!(
            "{start}`{}` is missing",
            rest.split('`').next().unwrap_or_default()
        )
        .replace("missing field ", ""),
        _ => UNDOCUMENTED.to_owned(),
    }
}

fn undocumented() -> ChatError {
    ChatError::InvalidRequest(UNDOCUMENTED.to_owned())
}
