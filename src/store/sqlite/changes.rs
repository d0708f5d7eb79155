//! Changes: loads the facts, lets the domain decide, and writes the event with its projections, in the caller's
//! transaction (D7, D8). Decides nothing itself.

use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{Key, MEMBER, member, number};
use super::conversations;
use super::event_row::{self, EVENT, event, reactions_text};
use super::failure::Failure;
use super::log;
use crate::domain::{
    Change, ChangeKind, Content, ConversationId, Decision, Event, Facts, Member, Projection, Role,
    Seq, decide,
};
use crate::store::{Changed, Span};

/// Makes a change, once: when its event is there, the call is a repetition.
pub(super) fn change(
    connection: &Connection,
    change: &Change,
    room_limit: usize,
) -> Result<Changed, Failure> {
    if let Some(event) = made_before(connection, change)? {
        return Ok(Changed::Applied(Box::new(event)));
    }
    let facts = facts(connection, change)?;
    match decide(change, &facts, room_limit) {
        Err(refusal) => Ok(Changed::Refused(refusal)),
        Ok(Decision::Nothing) => Ok(Changed::Nothing),
        Ok(Decision::Apply { event, projections }) => {
            event_row::insert(&mut event_row::insertion(connection)?, &event)?;
            for projection in &projections {
                project(connection, event.conversation, projection)?;
            }
            Ok(Changed::Applied(event))
        }
    }
}

fn made_before(connection: &Connection, change: &Change) -> Result<Option<Event>, Failure> {
    let mut find = connection.prepare_cached(&format!(
        "SELECT {EVENT} FROM events WHERE conversation = ?1 AND id = ?2 AND kind > 0"
    ))?;
    let key = params![Key::of(change.conversation), change.id.to_bytes()];
    Ok(find.query_row(key, event).optional()?)
}

fn facts(connection: &Connection, change: &Change) -> Result<Facts, Failure> {
    let id = change.conversation;
    let actor = conversations::member_of(connection, id, change.actor)?;
    let target = match change.kind.target() {
        Some(seq) => event_at(connection, id, seq)?,
        None => None,
    };
    let bereaved = change.kind.bereaved(target.as_ref());
    let subject = match change.kind.subject().or(bereaved) {
        Some(user) => conversations::member_of(connection, id, user)?,
        None => None,
    };
    let active_members = match change.kind.subject() {
        Some(_) => count_active(connection, id)?,
        None => 0,
    };
    let heir = match (&change.kind, actor) {
        (ChangeKind::RemoveMember { user }, Some(owner)) if *user == owner.user => {
            heir_of(connection, &owner)?
        }
        _ => None,
    };
    Ok(Facts {
        conversation: conversations::by_id(connection, id)?,
        head: log::head(connection, id)?,
        actor,
        subject,
        target,
        active_members,
        heir,
    })
}

fn event_at(
    connection: &Connection,
    conversation: ConversationId,
    seq: Seq,
) -> Result<Option<Event>, Failure> {
    let span = Span {
        conversation,
        after: seq.previous(),
        up_to: seq,
    };
    Ok(log::events(connection, &[span], 1)?.pop())
}

fn count_active(connection: &Connection, id: ConversationId) -> Result<usize, Failure> {
    let mut count = connection.prepare_cached(
        "SELECT count(*) FROM members WHERE conversation = ?1 AND left_seq IS NULL",
    )?;
    let count: i64 = count.query_row([Key::of(id)], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Who inherits when this owner leaves, if they are the only one: an admin before a member, the longest there first,
/// of several the one with the lowest id.
fn heir_of(connection: &Connection, owner: &Member) -> Result<Option<Member>, Failure> {
    if owner.role != Role::Owner {
        return Ok(None);
    }
    let mut next = connection.prepare_cached(&format!(
        "SELECT {MEMBER} FROM members WHERE conversation = ?1 AND user <> ?2 AND left_seq IS NULL
         ORDER BY role DESC, joined_seq, user LIMIT 1"
    ))?;
    let key = params![Key::of(owner.conversation), owner.user.to_bytes()];
    let first = next.query_row(key, member).optional()?;
    Ok(first.filter(|heir| heir.role != Role::Owner))
}

fn project(
    connection: &Connection,
    id: ConversationId,
    projection: &Projection,
) -> Result<(), Failure> {
    let key = Key::of(id);
    let run = |statement: &str, parameters: &[&dyn rusqlite::ToSql]| {
        connection.prepare_cached(statement)?.execute(parameters)
    };
    match projection {
        Projection::Member(member) => conversations::put_member(connection, member)?,
        Projection::Name(name) => {
            let set = "UPDATE conversations SET name = ?2 WHERE id = ?1";
            run(set, params![key, name.as_str()])?;
        }
        Projection::Tombstone(seq) => {
            let mark = "UPDATE conversations SET deleted_seq = ?2 WHERE id = ?1";
            run(mark, params![key, number(*seq)])?;
            let leave =
                "UPDATE members SET left_seq = ?2 WHERE conversation = ?1 AND left_seq IS NULL";
            run(leave, params![key, number(*seq)])?;
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
            // Left to itself SQLite prefers the log's own key, and reads the whole conversation.
            let edits = "UPDATE events INDEXED BY events_edits SET content = NULL
                         WHERE conversation = ?1 AND kind = 1 AND target = ?2";
            run(edits, params![key, number(*target)])?;
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
