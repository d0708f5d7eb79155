//! Changes: reads what they are decided by, and writes what follows from their events, in the caller's transaction.
//! Decides nothing itself.

use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{ConversationKey, EDITED, MEMBER, MESSAGE, member, number, role_number};
use super::conversations;
use super::event_row::{EVENT, event, reactions_text};
use super::failure::SqliteFailure;
use super::log;
use crate::domain::{
    Change, ChangeKind, Content, ConversationId, Event, EventId, Facts, Member, Projection, Role,
    Seq, projections,
};
use crate::store::Span;

/// The event with this id, when it is no message.
pub(super) fn by_id(
    connection: &Connection,
    conversation: ConversationId,
    id: EventId,
) -> Result<Option<Event>, SqliteFailure> {
    let mut find = connection.prepare_cached(&format!(
        "SELECT {EVENT} FROM events WHERE conversation = ?1 AND id = ?2 AND kind > {MESSAGE}"
    ))?;
    let key = params![ConversationKey::of(conversation), id.to_bytes()];
    Ok(find.query_row(key, event).optional()?)
}

/// What a change is decided by.
pub(super) fn facts(connection: &Connection, change: &Change) -> Result<Facts, SqliteFailure> {
    let id = change.conversation;
    let mut facts = Facts::default();
    if let Some(seq) = change.kind.target() {
        facts.target = event_at(connection, id, seq)?;
    }
    let bereaved = change.kind.bereaved(facts.target.as_ref());
    if let Some(user) = change.kind.subject().or(bereaved) {
        facts.subject = conversations::member_of(connection, id, user)?;
    }
    match change.kind {
        ChangeKind::Rename { .. } => {
            facts.name = conversations::by_id(connection, id)?.and_then(|room| room.name);
        }
        ChangeKind::AddMember { .. } => facts.active_members = count_active(connection, id)?,
        ChangeKind::RemoveMember { user } if user == change.actor => {
            facts.heir = match conversations::member_of(connection, id, user)? {
                Some(owner) => heir_of(connection, &owner)?,
                None => None,
            };
        }
        _ => {}
    }
    Ok(facts)
}

fn event_at(
    connection: &Connection,
    conversation: ConversationId,
    seq: Seq,
) -> Result<Option<Event>, SqliteFailure> {
    let span = Span {
        conversation,
        after: seq.previous(),
        up_to: seq,
    };
    Ok(log::events(connection, &[span], 1)?.pop())
}

fn count_active(connection: &Connection, id: ConversationId) -> Result<usize, SqliteFailure> {
    let mut count = connection.prepare_cached(
        "SELECT count(*) FROM members WHERE conversation = ?1 AND left_seq IS NULL",
    )?;
    let count: i64 = count.query_row([ConversationKey::of(id)], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Who inherits when this owner leaves, if they are the only one: an admin before a member, the longest there first,
/// of several the one with the lowest id.
fn heir_of(connection: &Connection, owner: &Member) -> Result<Option<Member>, SqliteFailure> {
    if owner.role != Role::Owner {
        return Ok(None);
    }
    let mut next = connection.prepare_cached(&format!(
        "SELECT {MEMBER} FROM members WHERE conversation = ?1 AND user <> ?2 AND left_seq IS NULL
         ORDER BY role DESC, joined_seq, user LIMIT 1"
    ))?;
    let key = params![
        ConversationKey::of(owner.conversation),
        owner.user.to_bytes()
    ];
    let first = next.query_row(key, member).optional()?;
    Ok(first.filter(|heir| heir.role != Role::Owner))
}

/// Writes what follows from an event.
pub(super) fn project(connection: &Connection, event: &Event) -> Result<(), SqliteFailure> {
    let target = match event.body.target() {
        Some(seq) => event_at(connection, event.conversation, seq)?,
        None => None,
    };
    let message = target.as_ref().and_then(|target| target.body.message());
    for projection in projections(event, message) {
        write(connection, event, &projection)?;
    }
    Ok(())
}

fn write(
    connection: &Connection,
    event: &Event,
    projection: &Projection,
) -> Result<(), SqliteFailure> {
    let key = ConversationKey::of(event.conversation);
    let run = |statement: &str, parameters: &[&dyn rusqlite::ToSql]| {
        connection.prepare_cached(statement)?.execute(parameters)
    };
    match projection {
        Projection::Joined { user, role } => {
            let member = Member::joining(event.conversation, *user, *role, event.seq);
            conversations::put_member(connection, &member)?;
        }
        Projection::Left { user } => {
            let leave = "UPDATE members SET left_seq = ?3 WHERE conversation = ?1 AND user = ?2";
            run(leave, params![key, user.to_bytes(), number(event.seq)])?;
        }
        Projection::Role { user, role } => {
            let set = "UPDATE members SET role = ?3 WHERE conversation = ?1 AND user = ?2";
            run(set, params![key, user.to_bytes(), role_number(*role)])?;
        }
        Projection::Name(name) => {
            let set = "UPDATE conversations SET name = ?2 WHERE id = ?1";
            run(set, params![key, name.as_str()])?;
        }
        Projection::Tombstone => {
            let mark = "UPDATE conversations SET deleted_seq = ?2 WHERE id = ?1";
            run(mark, params![key, number(event.seq)])?;
            let leave =
                "UPDATE members SET left_seq = ?2 WHERE conversation = ?1 AND left_seq IS NULL";
            run(leave, params![key, number(event.seq)])?;
        }
        Projection::Content {
            target,
            content,
            original,
            at,
        } => {
            let set =
                "UPDATE events SET content = ?3, edited_at = ?4, original = coalesce(original, ?5)
                       WHERE conversation = ?1 AND seq = ?2";
            let original = original.as_ref().map(Content::as_str);
            let values = params![
                key,
                number(*target),
                content.as_str(),
                at.millis(),
                original
            ];
            run(set, values)?;
        }
        Projection::Clear { target, at } => {
            let clear = "UPDATE events SET content = NULL, original = NULL, deleted_at = ?3
                         WHERE conversation = ?1 AND seq = ?2";
            run(clear, params![key, number(*target), at.millis()])?;
            run(&clear_edits(), params![key, number(*target)])?;
        }
        Projection::Reactions { target, reactions } => {
            let set = "UPDATE events SET reactions = ?3 WHERE conversation = ?1 AND seq = ?2";
            run(
                set,
                params![key, number(*target), reactions_text(reactions)],
            )?;
        }
    }
    Ok(())
}

/// What a deleted message's edits said goes as well (D8). Left to itself SQLite prefers the log's own key, and reads the whole
/// conversation.
fn clear_edits() -> String {
    format!(
        "UPDATE events INDEXED BY events_edits SET content = NULL
         WHERE conversation = ?1 AND kind = {EDITED} AND target = ?2"
    )
}
