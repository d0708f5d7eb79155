//! Conversations, their members and the members' cursors. Knows nothing of the log.

use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{CONVERSATION, Key, MEMBER, conversation, limit, member, number, role_number};
use super::failure::Failure;
use crate::domain::{Conversation, ConversationId, Member, Role, Seq, Timestamp, UserId};
use crate::store::{CursorMove, NewRoom};

/// Makes a direct conversation with its members unless it is there (D6).
pub(super) fn ensure_direct(
    connection: &Connection,
    id: ConversationId,
    at: Timestamp,
) -> Result<bool, Failure> {
    if matches!(id, ConversationId::Room(_)) {
        return Err(Failure::Broken(format!("{id} is a room")));
    }
    let direct = Conversation {
        id,
        name: None,
        creator: None,
        created_at: at,
        deleted_seq: None,
    };
    let made = insert(connection, &direct)?;
    if made {
        for user in id.direct_users() {
            let member = Member::joining(id, user, Role::Member, Seq::new(1));
            put_member(connection, &member)?;
        }
    }
    Ok(made)
}

/// Makes a room with its members. One that is there already is this one: the call is repeated.
pub(super) fn create_room(connection: &Connection, room: &NewRoom) -> Result<(), Failure> {
    if insert(connection, &room.conversation)? {
        for member in &room.members {
            put_member(connection, member)?;
        }
    }
    Ok(())
}

/// Whether the conversation was new.
fn insert(connection: &Connection, new: &Conversation) -> Result<bool, Failure> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO conversations (id, name, creator, created_at, deleted_seq)
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
    )?;
    let inserted = insert.execute(params![
        Key::of(new.id),
        new.name.as_ref().map(|name| name.as_str()),
        new.creator.map(UserId::to_bytes),
        new.created_at.millis(),
        new.deleted_seq.map(number),
    ])?;
    Ok(inserted == 1)
}

/// Inserts or replaces a membership.
pub(super) fn put_member(connection: &Connection, new: &Member) -> Result<(), Failure> {
    let mut put = connection.prepare_cached(&format!(
        "INSERT OR REPLACE INTO members ({MEMBER}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
    ))?;
    put.execute(params![
        Key::of(new.conversation),
        new.user.to_bytes(),
        role_number(new.role),
        number(new.joined_seq),
        new.left_seq.map(number),
        number(new.delivered_seq),
        number(new.read_seq),
    ])?;
    Ok(())
}

pub(super) fn by_id(
    connection: &Connection,
    id: ConversationId,
) -> Result<Option<Conversation>, Failure> {
    let mut find = connection.prepare_cached(&format!(
        "SELECT {CONVERSATION} FROM conversations WHERE id = ?1"
    ))?;
    Ok(find.query_row([Key::of(id)], conversation).optional()?)
}

pub(super) fn by_ids(
    connection: &Connection,
    ids: &[ConversationId],
) -> Result<Vec<Conversation>, Failure> {
    let mut conversations = Vec::new();
    for id in ids {
        conversations.extend(by_id(connection, *id)?);
    }
    Ok(conversations)
}

pub(super) fn member_of(
    connection: &Connection,
    conversation: ConversationId,
    user: UserId,
) -> Result<Option<Member>, Failure> {
    let mut find = connection.prepare_cached(&format!(
        "SELECT {MEMBER} FROM members WHERE conversation = ?1 AND user = ?2"
    ))?;
    let key = params![Key::of(conversation), user.to_bytes()];
    Ok(find.query_row(key, member).optional()?)
}

pub(super) fn members(
    connection: &Connection,
    conversation: ConversationId,
    after: Option<UserId>,
    most: usize,
) -> Result<Vec<Member>, Failure> {
    let mut page = connection.prepare_cached(&format!(
        "SELECT {MEMBER} FROM members WHERE conversation = ?1 AND user > ?2 AND left_seq IS NULL
         ORDER BY user LIMIT ?3"
    ))?;
    // Every blob of an id is greater than the empty one.
    let after = after.map(UserId::to_bytes);
    let after: &[u8] = after.as_ref().map_or(&[], |id| id);
    let rows = page.query_map(params![Key::of(conversation), after, limit(most)], member)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn memberships(connection: &Connection, user: UserId) -> Result<Vec<Member>, Failure> {
    let mut find =
        connection.prepare_cached(&format!("SELECT {MEMBER} FROM members WHERE user = ?1"))?;
    let rows = find.query_map([user.to_bytes()], member)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn move_cursors(connection: &Connection, moves: &[CursorMove]) -> Result<(), Failure> {
    let mut update = connection.prepare_cached(
        "UPDATE members SET delivered_seq = max(delivered_seq, ?3), read_seq = max(read_seq, ?4)
         WHERE conversation = ?1 AND user = ?2 AND (delivered_seq < ?3 OR read_seq < ?4)",
    )?;
    for cursor in moves {
        update.execute(params![
            Key::of(cursor.conversation),
            cursor.user.to_bytes(),
            number(cursor.delivered),
            number(cursor.read),
        ])?;
    }
    Ok(())
}
