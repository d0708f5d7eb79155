//! Conversations, their members and the members' cursors. Of the log, knows its head.

use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{
    CONVERSATION, ConversationKey, MEMBER, conversation, limit, member, number, role_number, seq,
};
use super::event_row;
use super::failure::SqliteFailure;
use super::log;
use crate::domain::{Conversation, ConversationId, Member, Role, RoomId, Seq, Timestamp, UserId};
use crate::store::{CursorMove, NewRoom, ROOMS_COMPARED};

/// Makes a direct conversation with its members unless it is there (D6).
pub(super) fn ensure_direct(
    connection: &Connection,
    id: ConversationId,
    at: Timestamp,
) -> Result<bool, SqliteFailure> {
    if matches!(id, ConversationId::Room(_)) {
        return Err(SqliteFailure::Broken(format!("{id} is a room")));
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

/// Makes a room with its members and the first event of its log. One that is there already is this one: the call is
/// repeated.
pub(super) fn create_room(connection: &Connection, room: &NewRoom) -> Result<(), SqliteFailure> {
    if insert(connection, &room.conversation)? {
        for member in &room.members {
            put_member(connection, member)?;
        }
        event_row::insert(&mut event_row::insertion(connection)?, &room.created)?;
    }
    Ok(())
}

/// Whether the conversation was new.
fn insert(connection: &Connection, new: &Conversation) -> Result<bool, SqliteFailure> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO conversations (id, name, creator, created_at, deleted_seq)
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
    )?;
    let inserted = insert.execute(params![
        ConversationKey::of(new.id),
        new.name.as_ref().map(|name| name.as_str()),
        new.creator.map(UserId::to_bytes),
        new.created_at.millis(),
        new.deleted_seq.map(number),
    ])?;
    Ok(inserted == 1)
}

/// Inserts or replaces a membership.
pub(super) fn put_member(connection: &Connection, new: &Member) -> Result<(), SqliteFailure> {
    let mut put = connection.prepare_cached(&format!(
        "INSERT OR REPLACE INTO members ({MEMBER}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
    ))?;
    put.execute(params![
        ConversationKey::of(new.conversation),
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
) -> Result<Option<Conversation>, SqliteFailure> {
    let mut find = connection.prepare_cached(&format!(
        "SELECT {CONVERSATION} FROM conversations WHERE id = ?1"
    ))?;
    Ok(find
        .query_row([ConversationKey::of(id)], conversation)
        .optional()?)
}

pub(super) fn by_ids(
    connection: &Connection,
    ids: &[ConversationId],
) -> Result<Vec<Conversation>, SqliteFailure> {
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
) -> Result<Option<Member>, SqliteFailure> {
    let mut find = connection.prepare_cached(&format!(
        "SELECT {MEMBER} FROM members WHERE conversation = ?1 AND user = ?2"
    ))?;
    let key = params![ConversationKey::of(conversation), user.to_bytes()];
    Ok(find.query_row(key, member).optional()?)
}

pub(super) fn members(
    connection: &Connection,
    conversation: ConversationId,
    after: Option<UserId>,
    most: usize,
) -> Result<Vec<Member>, SqliteFailure> {
    let mut page = connection.prepare_cached(&format!(
        "SELECT {MEMBER} FROM members WHERE conversation = ?1 AND user > ?2 AND left_seq IS NULL
         ORDER BY user LIMIT ?3"
    ))?;
    // Every blob of an id is greater than the empty one.
    let after = after.map(UserId::to_bytes);
    let after: &[u8] = after.as_ref().map_or(&[], |id| id);
    let rows = page.query_map(
        params![ConversationKey::of(conversation), after, limit(most)],
        member,
    )?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// In the order of the index on users, which ends with the table's key.
pub(super) fn memberships(
    connection: &Connection,
    user: UserId,
    after: Option<ConversationId>,
    most: usize,
) -> Result<Vec<Member>, SqliteFailure> {
    let mut page = connection.prepare_cached(&format!(
        "SELECT {MEMBER} FROM members INDEXED BY members_by_user
         WHERE user = ?1 AND conversation > coalesce(?2, x'') ORDER BY conversation LIMIT ?3"
    ))?;
    let after = after.map(ConversationKey::of);
    let rows = page.query_map(params![user.to_bytes(), after, limit(most)], member)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A room's key has the length of one id.
pub(super) fn rooms(
    connection: &Connection,
    user: UserId,
    after: Option<RoomId>,
    most: usize,
) -> Result<Vec<Member>, SqliteFailure> {
    let mut page = connection.prepare_cached(&format!(
        "SELECT {MEMBER} FROM members INDEXED BY members_by_user
         WHERE user = ?1 AND conversation > coalesce(?2, x'') AND length(conversation) = 12 AND left_seq IS NULL
         ORDER BY conversation LIMIT ?3"
    ))?;
    let after = after.map(RoomId::to_bytes);
    let rows = page.query_map(params![user.to_bytes(), after, limit(most)], member)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn sharing(
    connection: &Connection,
    user: UserId,
    others: &[UserId],
) -> Result<Vec<UserId>, SqliteFailure> {
    let mut both = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM members WHERE conversation = ?1 AND user = ?2)
             OR EXISTS (SELECT 1 FROM (SELECT conversation FROM members INDEXED BY members_by_user
                                       WHERE user = ?2 AND length(conversation) = 12 AND left_seq IS NULL LIMIT ?4) AS own
                        JOIN members AS theirs ON theirs.conversation = own.conversation
                        WHERE theirs.user = ?3 AND theirs.left_seq IS NULL)",
    )?;
    let mut found = Vec::new();
    for other in others {
        let direct = ConversationKey::of(ConversationId::direct(user, *other));
        let most = limit(ROOMS_COMPARED);
        let parameters = params![direct, user.to_bytes(), other.to_bytes(), most];
        if both.query_row(parameters, |row| row.get(0))? {
            found.push(*other);
        }
    }
    Ok(found)
}

pub(super) fn users_in_rooms(
    connection: &Connection,
    users: &[UserId],
    at_least: usize,
) -> Result<Vec<UserId>, SqliteFailure> {
    let mut count = connection.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM members INDEXED BY members_by_user
         WHERE user = ?1 AND length(conversation) = 12 AND left_seq IS NULL LIMIT ?2)",
    )?;
    let mut found = Vec::new();
    for user in users {
        let rooms: i64 =
            count.query_row(params![user.to_bytes(), limit(at_least)], |row| row.get(0))?;
        if rooms >= limit(at_least) {
            found.push(*user);
        }
    }
    Ok(found)
}

/// A cursor beyond the head would hide the events that are yet to come (D37). One probe of the log's key per membership.
pub(super) fn clamp_all_cursors(connection: &Connection) -> Result<(), SqliteFailure> {
    connection.execute_batch(
        "UPDATE members
         SET delivered_seq = min(delivered_seq, heads.head), read_seq = min(read_seq, heads.head)
         FROM (SELECT m.conversation, m.user,
                      coalesce((SELECT max(seq) FROM events e WHERE e.conversation = m.conversation), 0) AS head
               FROM members m) AS heads
         WHERE members.conversation = heads.conversation AND members.user = heads.user
           AND (members.delivered_seq > heads.head OR members.read_seq > heads.head)",
    )?;
    Ok(())
}

/// Whether a member's cursor is beyond the log.
pub(super) fn has_cursor_beyond(
    connection: &Connection,
    id: ConversationId,
) -> Result<bool, SqliteFailure> {
    let mut furthest = connection.prepare_cached(
        "SELECT coalesce(max(max(delivered_seq, read_seq)), 0) FROM members WHERE conversation = ?1",
    )?;
    let furthest = furthest.query_row([ConversationKey::of(id)], |row| seq(row, 0))?;
    Ok(furthest > log::head(connection, id)?)
}

pub(super) fn clamp_cursors(
    connection: &Connection,
    id: ConversationId,
) -> Result<(), SqliteFailure> {
    let head = number(log::head(connection, id)?);
    let mut clamp = connection.prepare_cached(
        "UPDATE members SET delivered_seq = min(delivered_seq, ?2), read_seq = min(read_seq, ?2)
         WHERE conversation = ?1 AND (delivered_seq > ?2 OR read_seq > ?2)",
    )?;
    clamp.execute(params![ConversationKey::of(id), head])?;
    Ok(())
}

pub(super) fn move_cursors(
    connection: &Connection,
    moves: &[CursorMove],
) -> Result<(), SqliteFailure> {
    let mut update = connection.prepare_cached(
        "UPDATE members SET delivered_seq = max(delivered_seq, ?3), read_seq = max(read_seq, ?4)
         WHERE conversation = ?1 AND user = ?2 AND (delivered_seq < ?3 OR read_seq < ?4)",
    )?;
    for cursor in moves {
        update.execute(params![
            ConversationKey::of(cursor.conversation),
            cursor.user.to_bytes(),
            number(cursor.delivered),
            number(cursor.read),
        ])?;
    }
    Ok(())
}
