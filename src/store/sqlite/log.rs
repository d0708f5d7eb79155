//! The log: reading pieces of it.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{ConversationKey, MESSAGE, limit, number, seq};
use super::event_row::{EVENT, event};
use super::failure::SqliteFailure;
use crate::domain::{ClientMessageId, ConversationId, Event, Seq, UserId};
use crate::store::page::Filling;
use crate::store::{End, Span};

/// The newest seq of a log; zero for none.
pub(super) fn head(
    connection: &Connection,
    conversation: ConversationId,
) -> Result<Seq, SqliteFailure> {
    let mut newest = connection.prepare_cached(
        "SELECT seq FROM events WHERE conversation = ?1 ORDER BY seq DESC LIMIT 1",
    )?;
    let newest = newest
        .query_row([ConversationKey::of(conversation)], |row| seq(row, 0))
        .optional()?;
    Ok(newest.unwrap_or(Seq::ZERO))
}

/// The newest seqs of logs that have any.
pub(super) fn heads(
    connection: &Connection,
    conversations: &[ConversationId],
) -> Result<HashMap<ConversationId, Seq>, SqliteFailure> {
    let mut heads = HashMap::with_capacity(conversations.len());
    for conversation in conversations {
        let head = head(connection, *conversation)?;
        if head > Seq::ZERO {
            heads.insert(*conversation, head);
        }
    }
    Ok(heads)
}

/// The first events of these spans.
pub(super) fn events(
    connection: &Connection,
    spans: &[Span],
    most: usize,
) -> Result<Vec<Event>, SqliteFailure> {
    let mut page = connection.prepare_cached(&format!(
        "SELECT {EVENT} FROM events WHERE conversation = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4"
    ))?;
    let (mut events, mut filling) = (Vec::new(), Filling::default());
    for span in spans {
        let left = most - events.len();
        if left == 0 {
            break;
        }
        let rows = page.query_map(place_of(span, left), event)?;
        for found in rows {
            let event = found?;
            let is_full = filling.is_full_with(&event);
            events.push(event);
            if is_full {
                return Ok(events);
            }
        }
    }
    Ok(events)
}

fn place_of(span: &Span, most: usize) -> (ConversationKey, i64, i64, i64) {
    (
        ConversationKey::of(span.conversation),
        number(span.after),
        number(span.up_to),
        limit(most),
    )
}

/// The first or last messages of a span.
pub(super) fn messages(
    connection: &Connection,
    span: &Span,
    end: End,
    most: usize,
) -> Result<Vec<Event>, SqliteFailure> {
    let order = match end {
        End::Oldest => "ASC",
        End::Newest => "DESC",
    };
    let mut page = connection.prepare_cached(&format!(
        "SELECT {EVENT} FROM events WHERE conversation = ?1 AND seq > ?2 AND seq <= ?3 AND kind = {MESSAGE}
         ORDER BY seq {order} LIMIT ?4"
    ))?;
    let rows = page.query_map(place_of(span, most), event)?;
    let (mut messages, mut filling) = (Vec::new(), Filling::default());
    for found in rows {
        let message = found?;
        let is_full = filling.is_full_with(&message);
        messages.push(message);
        if is_full {
            break;
        }
    }
    if end == End::Newest {
        messages.reverse();
    }
    Ok(messages)
}

/// The message with a sender's own id.
pub(super) fn message_by_client_id(
    connection: &Connection,
    conversation: ConversationId,
    sender: UserId,
    client_message_id: &ClientMessageId,
) -> Result<Option<Event>, SqliteFailure> {
    let mut find = connection.prepare_cached(&format!(
        "SELECT {EVENT} FROM events
         WHERE conversation = ?1 AND sender = ?2 AND client_message_id = ?3 AND kind = {MESSAGE}"
    ))?;
    let key = params![
        ConversationKey::of(conversation),
        sender.to_bytes(),
        client_message_id.as_str()
    ];
    Ok(find.query_row(key, event).optional()?)
}
