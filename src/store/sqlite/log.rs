//! The log: appending runs of messages, and reading pieces of it. Does not authorise.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, ffi, params};

use super::changes;
use super::columns::{Key, MESSAGE, limit, number, seq};
use super::event_row::{self, EVENT, event};
use super::failure::{Failure, fault};
use crate::domain::{ClientMessageId, ConversationId, Event, Seq, UserId};
use crate::store::page::Filling;
use crate::store::{End, Run, RunOutcome, Span, Stop};

/// Appends a run, with what follows from its events: the prefix up to what stops it. Fails only for what may pass; a
/// fault is the run's own outcome, of which nothing is left then, and does not harm the others of its call.
pub(super) fn append(connection: &Connection, run: &Run) -> Result<RunOutcome, Failure> {
    connection.prepare_cached("SAVEPOINT run")?.execute([])?;
    let outcome = insert_run(connection, run).or_else(|failure| {
        let cause = fault(failure)?;
        connection.prepare_cached("ROLLBACK TO run")?.execute([])?;
        Ok(stopped(0, Stop::Broken(cause)))
    });
    connection.prepare_cached("RELEASE run")?.execute([])?;
    outcome
}

fn insert_run(connection: &Connection, run: &Run) -> Result<RunOutcome, Failure> {
    // With one writer the head is exact: a guess that is not the next seq is either taken, or would leave a hole.
    if run.first != head(connection, run.conversation)?.next() {
        return Ok(stopped(0, Stop::SeqTaken));
    }
    let mut insertion = event_row::insertion(connection)?;
    for (place, event) in run.events.iter().enumerate() {
        match event_row::insert(&mut insertion, event) {
            Ok(()) => {}
            Err(error) if is_duplicate_id(&error) => {
                return Ok(stopped(place, Stop::IdTaken));
            }
            Err(error) => {
                let cause = fault(error.into())?;
                return Ok(stopped(place, Stop::Broken(cause)));
            }
        }
        if event.body.is_projected() {
            changes::project(connection, event)?;
        }
    }
    Ok(RunOutcome {
        committed: run.events.len(),
        stopped: None,
    })
}

fn stopped(committed: usize, stop: Stop) -> RunOutcome {
    RunOutcome {
        committed,
        stopped: Some(stop),
    }
}

/// A refusal by the unique index on clientMessageIds; one by the log's own key would say "primary key".
fn is_duplicate_id(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE)
}

/// The newest seq of a log; zero for none.
pub(super) fn head(connection: &Connection, conversation: ConversationId) -> Result<Seq, Failure> {
    let mut newest = connection.prepare_cached(
        "SELECT seq FROM events WHERE conversation = ?1 ORDER BY seq DESC LIMIT 1",
    )?;
    let newest = newest
        .query_row([Key::of(conversation)], |row| seq(row, 0))
        .optional()?;
    Ok(newest.unwrap_or(Seq::ZERO))
}

/// The newest seqs of logs that have any.
pub(super) fn heads(
    connection: &Connection,
    conversations: &[ConversationId],
) -> Result<HashMap<ConversationId, Seq>, Failure> {
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
) -> Result<Vec<Event>, Failure> {
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

fn place_of(span: &Span, most: usize) -> (Key, i64, i64, i64) {
    (
        Key::of(span.conversation),
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
) -> Result<Vec<Event>, Failure> {
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
) -> Result<Option<Event>, Failure> {
    let mut find = connection.prepare_cached(&format!(
        "SELECT {EVENT} FROM events
         WHERE conversation = ?1 AND sender = ?2 AND client_message_id = ?3 AND kind = {MESSAGE}"
    ))?;
    let key = params![
        Key::of(conversation),
        sender.to_bytes(),
        client_message_id.as_str()
    ];
    Ok(find.query_row(key, event).optional()?)
}
