//! The documents as MongoDB keeps them, except events: users, tokens, conversations, members. The adapter's own
//! shapes; operators may read them, nobody else writes them.
//!
//! Ids of users, rooms' creators and events are ObjectIds: the same twelve bytes, and a shell shows and compares them
//! as it does its own. A conversation's id is a string, the one on the wire and in the logs (`{low}-{high}` or the
//! room's): it has two forms, and one type keeps queries, validators and shard keys simple. The longer keys cost
//! little, since WiredTiger stores a key's common prefix once per page.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime};
use serde::{Deserialize, Serialize};

use crate::domain::{
    Conversation, ConversationId, Member, Role, RoomName, Seq, Timestamp, User, UserId, Username,
};
use crate::store::{NewUser, RefreshToken, StoreError};

/// `users`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserDocument {
    #[serde(rename = "_id")]
    id: ObjectId,
    username: String,
    username_folded: String,
    /// Left out by reads that have no business with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) password_hash: Option<String>,
    created_at: DateTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_at: Option<DateTime>,
}

/// `refresh_tokens`; the id is the hash.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenDocument {
    #[serde(rename = "_id")]
    hash: Binary,
    pub(super) user: ObjectId,
    pub(super) expires_at: DateTime,
    /// The hash of the first of those that were exchanged for one another; none before there were families.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) family: Option<Binary>,
    /// When it was exchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) used_at: Option<DateTime>,
}

/// `conversations`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConversationDocument {
    #[serde(rename = "_id")]
    pub(super) id: String,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creator: Option<ObjectId>,
    created_at: DateTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_seq: Option<i64>,
}

/// `members`; its own id is the server's affair, (conversation, user) is unique.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MemberDocument {
    conversation: String,
    user: ObjectId,
    role: String,
    joined_seq: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_seq: Option<i64>,
    delivered_seq: i64,
    read_seq: i64,
}

impl From<&NewUser> for UserDocument {
    fn from(new: &NewUser) -> Self {
        let user = &new.user;
        Self {
            id: user_key(user.id),
            username: user.username.as_str().to_owned(),
            username_folded: user.username.folded(),
            password_hash: Some(new.password_hash.clone()),
            created_at: date(user.created_at),
            last_seen_at: user.last_seen_at.map(date),
        }
    }
}

impl TryFrom<UserDocument> for User {
    type Error = StoreError;

    fn try_from(document: UserDocument) -> Result<Self, StoreError> {
        Ok(Self {
            id: user_id(document.id),
            username: Username::parse(&document.username)
                .map_err(|_| corrupt("users.username", &document.id))?,
            created_at: timestamp(document.created_at),
            last_seen_at: document.last_seen_at.map(timestamp),
        })
    }
}

impl TokenDocument {
    /// A token that is to be stored, of the family whose first has this hash.
    pub(super) fn new(token: &RefreshToken, family: Binary) -> Self {
        Self {
            hash: binary(&token.hash),
            user: user_key(token.user),
            expires_at: date(token.expires_at),
            family: Some(family),
            used_at: None,
        }
    }

    /// The name of its family.
    pub(super) fn family(&self) -> &Binary {
        self.family.as_ref().unwrap_or(&self.hash)
    }
}

impl From<&Conversation> for ConversationDocument {
    fn from(conversation: &Conversation) -> Self {
        Self {
            id: conversation.id.to_string(),
            kind: kind(conversation.id).to_owned(),
            name: conversation
                .name
                .as_ref()
                .map(|name| name.as_str().to_owned()),
            creator: conversation.creator.map(user_key),
            created_at: date(conversation.created_at),
            deleted_seq: conversation.deleted_seq.map(number),
        }
    }
}

impl TryFrom<ConversationDocument> for Conversation {
    type Error = StoreError;

    fn try_from(document: ConversationDocument) -> Result<Self, StoreError> {
        let name = document.name.as_deref().map(RoomName::parse).transpose();
        Ok(Self {
            id: conversation_id(&document.id)?,
            name: name.map_err(|_| corrupt("conversations.name", &document.id))?,
            creator: document.creator.map(user_id),
            created_at: timestamp(document.created_at),
            deleted_seq: document.deleted_seq.map(seq).transpose()?,
        })
    }
}

impl From<&Member> for MemberDocument {
    fn from(member: &Member) -> Self {
        Self {
            conversation: member.conversation.to_string(),
            user: user_key(member.user),
            role: member.role.as_str().to_owned(),
            joined_seq: number(member.joined_seq),
            left_seq: member.left_seq.map(number),
            delivered_seq: number(member.delivered_seq),
            read_seq: number(member.read_seq),
        }
    }
}

impl TryFrom<MemberDocument> for Member {
    type Error = StoreError;

    fn try_from(document: MemberDocument) -> Result<Self, StoreError> {
        Ok(Self {
            conversation: conversation_id(&document.conversation)?,
            user: user_id(document.user),
            role: role(&document.role)?,
            joined_seq: seq(document.joined_seq)?,
            left_seq: document.left_seq.map(seq).transpose()?,
            delivered_seq: seq(document.delivered_seq)?,
            read_seq: seq(document.read_seq)?,
        })
    }
}

/// `direct` or `room`, as `conversations.kind` has it.
pub(super) const fn kind(conversation: ConversationId) -> &'static str {
    match conversation {
        ConversationId::Direct(..) => "direct",
        ConversationId::Room(_) => "room",
    }
}

pub(super) fn user_key(user: UserId) -> ObjectId {
    ObjectId::from_bytes(user.to_bytes())
}

pub(super) fn user_id(key: ObjectId) -> UserId {
    UserId::from_bytes(key.bytes())
}

pub(super) fn conversation_id(key: &str) -> Result<ConversationId, StoreError> {
    key.parse().map_err(|_| corrupt("conversation", &key))
}

pub(super) fn role(name: &str) -> Result<Role, StoreError> {
    Role::parse(name).ok_or_else(|| corrupt("role", &name))
}

pub(super) fn date(moment: Timestamp) -> DateTime {
    DateTime::from_millis(moment.millis())
}

pub(super) fn timestamp(date: DateTime) -> Timestamp {
    Timestamp::from_millis(date.timestamp_millis())
}

/// A seq as BSON's signed long; [`Seq::MAX`] fits.
pub(super) fn number(seq: Seq) -> i64 {
    i64::try_from(seq.get()).unwrap_or(i64::MAX)
}

pub(super) fn seq(number: i64) -> Result<Seq, StoreError> {
    let number = u64::try_from(number).map_err(|_| corrupt("seq", &number))?;
    Ok(Seq::new(number))
}

pub(super) fn binary(bytes: &[u8]) -> Binary {
    Binary {
        subtype: BinarySubtype::Generic,
        bytes: bytes.to_vec(),
    }
}

/// Something stored that this version cannot have written.
pub(super) fn corrupt(field: &str, what: &impl std::fmt::Display) -> StoreError {
    StoreError::Broken(format!("{field} cannot be read: {what}"))
}
