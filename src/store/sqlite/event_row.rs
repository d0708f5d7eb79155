//! How an event is written into its row and read back. Knows no other table.

use std::collections::BTreeMap;

use rusqlite::{CachedStatement, Connection, Row, params};

use super::columns::{
    ConversationKey, RowResult, conversation_id, number, optional_seq, optional_time,
    optional_user_id, role, role_number, seq, text, time, user_id,
};
use super::failure::unreadable;
use crate::domain::{
    Body, ClientMessageId, Content, Emoji, Event, EventId, Fingerprint, Kind, Message, Reactions,
    RoomName, Seq, Timestamp, UserId,
};

/// The columns that [`event`] reads, in the order in which [`insert`] writes them.
pub(super) const EVENT: &str = "conversation, seq, id, kind, sender, at, content, client_message_id, fingerprint, \
     edited_at, deleted_at, reactions, target, added, subject, role, heir, original";

/// The columns that depend on the kind.
#[derive(Default)]
struct Columns<'a> {
    content: Option<&'a str>,
    client_message_id: Option<&'a str>,
    fingerprint: Option<[u8; 16]>,
    edited_at: Option<i64>,
    deleted_at: Option<i64>,
    reactions: Option<String>,
    target: Option<i64>,
    added: Option<bool>,
    subject: Option<[u8; 12]>,
    role: Option<i64>,
    heir: Option<[u8; 12]>,
    original: Option<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(body: &'a Body) -> Self {
        match body {
            Body::Message(message) => Self::of_message(message),
            Body::Edited { target, content } => Self {
                content: content.as_ref().map(Content::as_str),
                ..Self::about(*target)
            },
            Body::Deleted { target } => Self::about(*target),
            Body::Reacted {
                target,
                emoji,
                added,
            } => Self {
                content: Some(emoji.as_str()),
                added: Some(*added),
                ..Self::about(*target)
            },
            Body::MemberAdded { user, role } => Self {
                role: Some(role_number(*role)),
                ..Self::concerning(*user)
            },
            Body::MemberRemoved { user, heir } => Self {
                heir: heir.map(UserId::to_bytes),
                ..Self::concerning(*user)
            },
            Body::RoleChanged { user, role } => Self {
                role: Some(role_number(*role)),
                ..Self::concerning(*user)
            },
            Body::Renamed { name } => Self::named(name),
            Body::RoomDeleted => Self::default(),
            Body::Unknown => Self::default(),
            Body::Created { name } => Self::named(name),
        }
    }

    fn of_message(message: &'a Message) -> Self {
        Self {
            content: message.content.as_ref().map(Content::as_str),
            client_message_id: Some(message.client_message_id.as_str()),
            fingerprint: Some(message.fingerprint.to_bytes()),
            edited_at: message.edited_at.map(Timestamp::millis),
            deleted_at: message.deleted_at.map(Timestamp::millis),
            reactions: reactions_text(&message.reactions),
            original: message.original.as_ref().map(Content::as_str),
            ..Self::default()
        }
    }

    fn named(name: &'a RoomName) -> Self {
        Self {
            content: Some(name.as_str()),
            ..Self::default()
        }
    }

    fn about(target: Seq) -> Self {
        Self {
            target: Some(number(target)),
            ..Self::default()
        }
    }

    fn concerning(subject: UserId) -> Self {
        Self {
            subject: Some(subject.to_bytes()),
            ..Self::default()
        }
    }
}

/// The statement for [`insert`].
pub(super) fn insertion(connection: &Connection) -> RowResult<CachedStatement<'_>> {
    connection.prepare_cached(&format!(
        "INSERT INTO events ({EVENT})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)"
    ))
}

/// Inserts an event; the unique keys decide.
pub(super) fn insert(insertion: &mut CachedStatement<'_>, event: &Event) -> RowResult<()> {
    let columns = Columns::of(&event.body);
    insertion.execute(params![
        ConversationKey::of(event.conversation),
        number(event.seq),
        event.id.to_bytes(),
        event.body.kind().number(),
        event.sender.to_bytes(),
        event.at.millis(),
        columns.content,
        columns.client_message_id,
        columns.fingerprint,
        columns.edited_at,
        columns.deleted_at,
        columns.reactions,
        columns.target,
        columns.added,
        columns.subject,
        columns.role,
        columns.heir,
        columns.original,
    ])?;
    Ok(())
}

pub(super) fn event(row: &Row<'_>) -> RowResult<Event> {
    Ok(Event {
        conversation: conversation_id(row, 0)?,
        seq: seq(row, 1)?,
        id: row.get(2).map(EventId::from_bytes)?,
        sender: user_id(row, 4)?,
        at: time(row, 5)?,
        body: body(row)?,
    })
}

fn body(row: &Row<'_>) -> RowResult<Body> {
    Ok(match Kind::from_number(row.get(3)?) {
        Kind::Message => Body::Message(message(row)?),
        Kind::Edited => Body::Edited {
            target: target(row)?,
            content: content(row)?,
        },
        Kind::Deleted => Body::Deleted {
            target: target(row)?,
        },
        Kind::Reacted => Body::Reacted {
            target: target(row)?,
            emoji: emoji(text(row, 6)?)?,
            added: row.get(13)?,
        },
        Kind::MemberAdded => Body::MemberAdded {
            user: user_id(row, 14)?,
            role: role(row, 15)?,
        },
        Kind::MemberRemoved => Body::MemberRemoved {
            user: user_id(row, 14)?,
            heir: optional_user_id(row, 16)?,
        },
        Kind::RoleChanged => Body::RoleChanged {
            user: user_id(row, 14)?,
            role: role(row, 15)?,
        },
        Kind::Renamed => Body::Renamed { name: name(row)? },
        Kind::RoomDeleted => Body::RoomDeleted,
        Kind::Created => Body::Created { name: name(row)? },
        Kind::Unknown => Body::Unknown,
    })
}

fn message(row: &Row<'_>) -> RowResult<Message> {
    let client_message_id =
        ClientMessageId::parse(text(row, 7)?).map_err(|_| unreadable("client_message_id"))?;
    Ok(Message {
        content: content(row)?,
        original: row.get::<_, Option<String>>(17)?.map(Content::stored),
        client_message_id,
        fingerprint: row.get(8).map(Fingerprint::from_bytes)?,
        edited_at: optional_time(row, 9)?,
        deleted_at: optional_time(row, 10)?,
        reactions: reactions(row)?,
    })
}

fn content(row: &Row<'_>) -> RowResult<Option<Content>> {
    Ok(row.get::<_, Option<String>>(6)?.map(Content::stored))
}

fn name(row: &Row<'_>) -> RowResult<RoomName> {
    RoomName::parse(text(row, 6)?).map_err(|_| unreadable("content"))
}

fn target(row: &Row<'_>) -> RowResult<Seq> {
    optional_seq(row, 12)?.ok_or_else(|| unreadable("target"))
}

fn emoji(text: &str) -> RowResult<Emoji> {
    Emoji::parse(text).map_err(|_| unreadable("emoji"))
}

/// A message's reactions as its column holds them; none for none.
pub(super) fn reactions_text(reactions: &Reactions) -> Option<String> {
    if reactions.0.is_empty() {
        return None;
    }
    let object: serde_json::Map<String, serde_json::Value> = reactions
        .0
        .iter()
        .map(|(emoji, users)| {
            let users: Vec<String> = users.iter().map(UserId::to_string).collect();
            (emoji.as_str().to_owned(), users.into())
        })
        .collect();
    Some(serde_json::Value::Object(object).to_string())
}

fn reactions(row: &Row<'_>) -> RowResult<Reactions> {
    let Some(text) = row.get_ref(11)?.as_str_or_null()? else {
        return Ok(Reactions::default());
    };
    let broken = || unreadable("reactions");
    let stored: BTreeMap<String, Vec<String>> = serde_json::from_str(text).map_err(|_| broken())?;
    let reactions = stored.into_iter().map(|(reaction, users)| {
        let users: Result<Vec<UserId>, _> = users.iter().map(|user| user.parse()).collect();
        Ok((emoji(&reaction)?, users.map_err(|_| broken())?))
    });
    reactions.collect::<RowResult<_>>().map(Reactions)
}
