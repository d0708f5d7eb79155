//! An event as MongoDB keeps it, in `events`. What keys are made of is at the top, what differs by kind in `body`.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Binary, DateTime};
use serde::{Deserialize, Serialize};

use super::documents::{
    binary, conversation_id, corrupt, date, number, role, seq, timestamp, user_id, user_key,
};
use crate::domain::{
    Body, ClientMessageId, Content, Emoji, Event, EventId, Fingerprint, Kind, Message, Reactions,
    RoomName, UserId,
};
use crate::store::{StoreError, StoreResult};

/// `events`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventDocument {
    #[serde(rename = "_id")]
    id: ObjectId,
    conversation: String,
    seq: i64,
    #[serde(with = "kind")]
    kind: Kind,
    sender: ObjectId,
    at: DateTime,
    /// Of messages only: the index of retries is partial.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<String>,
    /// Of what is no message, from its insert until what follows from it is written (D56).
    #[serde(skip_serializing_if = "Option::is_none")]
    unprojected: Option<bool>,
    body: BodyDocument,
}

/// `events.kind`, by name.
pub(super) mod kind {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::Kind;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(in crate::store::mongo) fn serialize<S: Serializer>(
        kind: &Kind,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        // That of an unknown one no validator takes.
        serializer.serialize_str(kind.name())
    }

    pub(in crate::store::mongo) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Kind, D::Error> {
        let name = String::deserialize(deserializer)?;
        Ok(Kind::from_name(&name))
    }
}

/// `events.body`: the fields of all kinds together, of which each kind has its own few. A field has one type for ever, so
/// that an older version reads the body of a kind it does not know.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BodyDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<Binary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_at: Option<DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<DateTime>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reactions: Vec<ReactionDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heir: Option<ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Of the event that a room begins with, as long as they are not members yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    members: Vec<ObjectId>,
}

/// One emoji and who put it on; in a list, so that no emoji becomes a field's name.
#[derive(Debug, Serialize, Deserialize)]
struct ReactionDocument {
    emoji: String,
    users: Vec<ObjectId>,
}

impl EventDocument {
    /// The event that a room begins with, and the other users it begins with.
    pub(super) fn of_making(created: &Event, others: impl Iterator<Item = UserId>) -> Self {
        let mut document = Self::from(created);
        document.body.members = others.map(user_key).collect();
        document
    }

    /// Whether what follows from it may still have to be written.
    pub(super) const fn is_leftover(&self) -> bool {
        self.unprojected.is_some()
    }

    /// Of the event that a room begins with: the other users it begins with, until they are written.
    pub(super) fn other_members(&self) -> impl Iterator<Item = UserId> {
        self.body.members.iter().copied().map(user_id)
    }

    /// Its seq.
    pub(super) const fn place(&self) -> i64 {
        self.seq
    }
}

impl From<&Event> for EventDocument {
    fn from(event: &Event) -> Self {
        let client_message_id = match &event.body {
            Body::Message(message) => Some(message.client_message_id.as_str().to_owned()),
            _ => None,
        };
        Self {
            id: event_key(event.id),
            conversation: event.conversation.to_string(),
            seq: number(event.seq),
            kind: event.body.kind(),
            sender: user_key(event.sender),
            at: date(event.at),
            client_message_id,
            unprojected: event.body.is_projected().then_some(true),
            body: BodyDocument::from(&event.body),
        }
    }
}

impl TryFrom<EventDocument> for Event {
    type Error = StoreError;

    fn try_from(document: EventDocument) -> StoreResult<Self> {
        let kind = document.kind;
        let body = if kind == Kind::Message {
            let own_id = document.client_message_id.as_deref();
            own_id.and_then(|own_id| document.body.into_message(own_id))
        } else {
            document.body.into_body(kind)
        };
        Ok(Self {
            id: EventId::from_bytes(document.id.bytes()),
            conversation: conversation_id(&document.conversation)?,
            seq: seq(document.seq)?,
            sender: user_id(document.sender),
            at: timestamp(document.at),
            body: body.ok_or_else(|| corrupt("events.body", &document.id))?,
        })
    }
}

impl From<&Body> for BodyDocument {
    fn from(body: &Body) -> Self {
        let mut fields = Self::default();
        match body {
            Body::Message(message) => return Self::from(message),
            Body::Edited { target, content } => {
                fields.target = Some(number(*target));
                fields.content = content.as_ref().map(|content| content.as_str().to_owned());
            }
            Body::Deleted { target } => fields.target = Some(number(*target)),
            Body::Reacted {
                target,
                emoji,
                added,
            } => {
                fields.target = Some(number(*target));
                fields.emoji = Some(emoji.as_str().to_owned());
                fields.added = Some(*added);
            }
            Body::MemberAdded { user, role } | Body::RoleChanged { user, role } => {
                fields.user = Some(user_key(*user));
                fields.role = Some(role.as_str().to_owned());
            }
            Body::MemberRemoved { user, heir } => {
                fields.user = Some(user_key(*user));
                fields.heir = heir.map(user_key);
            }
            Body::Renamed { name } | Body::Created { name } => {
                fields.name = Some(name.as_str().to_owned());
            }
            Body::RoomDeleted | Body::Unknown => {}
        }
        fields
    }
}

impl From<&Message> for BodyDocument {
    fn from(message: &Message) -> Self {
        let content = message.content.as_ref();
        Self {
            content: content.map(|content| content.as_str().to_owned()),
            original: message
                .original
                .as_ref()
                .map(|original| original.as_str().to_owned()),
            fingerprint: Some(binary(&message.fingerprint.to_bytes())),
            edited_at: message.edited_at.map(date),
            deleted_at: message.deleted_at.map(date),
            reactions: reaction_documents(&message.reactions),
            ..Self::default()
        }
    }
}

impl BodyDocument {
    /// The message; none when a field is missing or wrong.
    fn into_message(self, own_id: &str) -> Option<Body> {
        let fingerprint: [u8; 16] = self.fingerprint?.bytes.try_into().ok()?;
        let reactions = self.reactions.into_iter().map(|reaction| {
            let emoji = Emoji::parse(&reaction.emoji).ok()?;
            Some((emoji, reaction.users.into_iter().map(user_id).collect()))
        });
        Some(Body::Message(Message {
            content: self.content.map(Content::stored),
            original: self.original.map(Content::stored),
            client_message_id: ClientMessageId::parse(own_id).ok()?,
            fingerprint: Fingerprint::from_bytes(fingerprint),
            edited_at: self.edited_at.map(timestamp),
            deleted_at: self.deleted_at.map(timestamp),
            reactions: Reactions(reactions.collect::<Option<_>>()?),
        }))
    }

    /// What happened, if it was not a message; none when a field is missing or wrong.
    fn into_body(self, kind: Kind) -> Option<Body> {
        let target = self.target.map(seq).transpose().ok()?;
        let role = self.role.as_deref().map(role).transpose().ok()?;
        let user = self.user.map(user_id);
        Some(match kind {
            Kind::Message => return None,
            Kind::Edited => Body::Edited {
                target: target?,
                content: self.content.map(Content::stored),
            },
            Kind::Deleted => Body::Deleted { target: target? },
            Kind::Reacted => Body::Reacted {
                target: target?,
                emoji: Emoji::parse(&self.emoji?).ok()?,
                added: self.added?,
            },
            Kind::MemberAdded => Body::MemberAdded {
                user: user?,
                role: role?,
            },
            Kind::MemberRemoved => Body::MemberRemoved {
                user: user?,
                heir: self.heir.map(user_id),
            },
            Kind::RoleChanged => Body::RoleChanged {
                user: user?,
                role: role?,
            },
            Kind::Renamed => Body::Renamed {
                name: RoomName::parse(&self.name?).ok()?,
            },
            Kind::RoomDeleted => Body::RoomDeleted,
            Kind::Unknown => Body::Unknown,
            Kind::Created => Body::Created {
                name: RoomName::parse(&self.name?).ok()?,
            },
        })
    }
}

/// The reactions of a message as BSON, for setting them alone.
pub(super) fn reactions_bson(reactions: &Reactions) -> mongodb::bson::Bson {
    let list = reaction_documents(reactions)
        .into_iter()
        .map(|reaction| mongodb::bson::bson!({ "emoji": reaction.emoji, "users": reaction.users }));
    mongodb::bson::Bson::Array(list.collect())
}

fn reaction_documents(reactions: &Reactions) -> Vec<ReactionDocument> {
    let documents = reactions.0.iter().map(|(emoji, users)| ReactionDocument {
        emoji: emoji.as_str().to_owned(),
        users: users.iter().copied().map(user_key).collect(),
    });
    documents.collect()
}

/// An event's id as its document's key.
pub(super) fn event_key(id: EventId) -> ObjectId {
    ObjectId::from_bytes(id.to_bytes())
}
