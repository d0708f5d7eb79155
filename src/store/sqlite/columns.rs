//! How users, conversations and members are read from their rows, and ids, seqs and roles written into columns. Knows
//! no statement; events have a file of their own.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Row, ToSql};

use super::failure::unreadable;
use crate::domain::{
    Conversation, ConversationId, Kind, Member, Role, RoomId, RoomName, Seq, Timestamp, User,
    UserId, Username,
};

/// What reading a row or a column of it gives.
pub(super) type RowResult<T> = rusqlite::Result<T>;

const ID: usize = 12;

/// The kinds that statements ask for; the schema's partial indexes have their numbers.
pub(super) const MESSAGE: i64 = Kind::Message.number();
pub(super) const EDITED: i64 = Kind::Edited.number();

/// A conversation's id as its key: a room's id, or the two users' of a direct conversation, lower first.
pub(super) struct ConversationKey {
    bytes: [u8; 2 * ID],
    length: usize,
}

impl ConversationKey {
    pub(super) fn of(conversation: ConversationId) -> Self {
        let mut bytes = [0; 2 * ID];
        let length = match conversation {
            ConversationId::Room(room) => {
                bytes[..ID].copy_from_slice(&room.to_bytes());
                ID
            }
            ConversationId::Direct(low, high) => {
                bytes[..ID].copy_from_slice(&low.to_bytes());
                bytes[ID..].copy_from_slice(&high.to_bytes());
                2 * ID
            }
        };
        Self { bytes, length }
    }

    fn parse(bytes: &[u8]) -> Option<ConversationId> {
        let (first, rest) = bytes.split_first_chunk::<ID>()?;
        if rest.is_empty() {
            return Some(ConversationId::Room(RoomId::from_bytes(*first)));
        }
        let second: [u8; ID] = rest.try_into().ok()?;
        let (low, high) = (UserId::from_bytes(*first), UserId::from_bytes(second));
        (low <= high).then_some(ConversationId::Direct(low, high))
    }
}

impl ToSql for ConversationKey {
    fn to_sql(&self) -> RowResult<ToSqlOutput<'_>> {
        let bytes = &self.bytes[..self.length];
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(bytes)))
    }
}

pub(super) fn conversation_id(row: &Row<'_>, column: usize) -> RowResult<ConversationId> {
    let bytes = row.get_ref(column)?.as_blob()?;
    ConversationKey::parse(bytes).ok_or_else(|| unreadable("conversation"))
}

pub(super) fn user_id(row: &Row<'_>, column: usize) -> RowResult<UserId> {
    row.get(column).map(UserId::from_bytes)
}

pub(super) fn optional_user_id(row: &Row<'_>, column: usize) -> RowResult<Option<UserId>> {
    Ok(row.get::<_, Option<_>>(column)?.map(UserId::from_bytes))
}

/// A seq as SQLite's integer: it is below 2⁵³.
pub(super) fn number(seq: Seq) -> i64 {
    i64::try_from(seq.get()).unwrap_or(i64::MAX)
}

/// A page's limit as SQLite's integer.
pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

pub(super) fn seq(row: &Row<'_>, column: usize) -> RowResult<Seq> {
    row.get(column).map(seq_from)
}

fn seq_from(number: i64) -> Seq {
    Seq::new(u64::try_from(number).unwrap_or(0))
}

pub(super) fn optional_seq(row: &Row<'_>, column: usize) -> RowResult<Option<Seq>> {
    Ok(row.get::<_, Option<_>>(column)?.map(seq_from))
}

pub(super) fn time(row: &Row<'_>, column: usize) -> RowResult<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

pub(super) fn optional_time(row: &Row<'_>, column: usize) -> RowResult<Option<Timestamp>> {
    Ok(row.get::<_, Option<_>>(column)?.map(Timestamp::from_millis))
}

pub(super) fn text<'a>(row: &'a Row<'_>, column: usize) -> RowResult<&'a str> {
    Ok(row.get_ref(column)?.as_str()?)
}

/// A role's number: greater is mightier, so that rows can be ordered by it.
pub(super) const fn role_number(role: Role) -> i64 {
    match role {
        Role::Member => 0,
        Role::Admin => 1,
        Role::Owner => 2,
    }
}

pub(super) fn role(row: &Row<'_>, column: usize) -> RowResult<Role> {
    match row.get(column)? {
        0_i64 => Ok(Role::Member),
        1 => Ok(Role::Admin),
        2 => Ok(Role::Owner),
        _ => Err(unreadable("role")),
    }
}

/// The columns that [`user`] reads.
pub(super) const USER: &str = "id, username, created_at, last_seen_at";

pub(super) fn user(row: &Row<'_>) -> RowResult<User> {
    Ok(User {
        id: user_id(row, 0)?,
        username: Username::parse(text(row, 1)?).map_err(|_| unreadable("username"))?,
        created_at: time(row, 2)?,
        last_seen_at: optional_time(row, 3)?,
    })
}

/// The columns that [`conversation`] reads.
pub(super) const CONVERSATION: &str = "id, name, creator, created_at, deleted_seq";

pub(super) fn conversation(row: &Row<'_>) -> RowResult<Conversation> {
    let name = row.get_ref(1)?.as_str_or_null()?;
    let name = name.map(RoomName::parse).transpose();
    Ok(Conversation {
        id: conversation_id(row, 0)?,
        name: name.map_err(|_| unreadable("name"))?,
        creator: optional_user_id(row, 2)?,
        created_at: time(row, 3)?,
        deleted_seq: optional_seq(row, 4)?,
    })
}

/// The columns that [`member`] reads.
pub(super) const MEMBER: &str =
    "conversation, user, role, joined_seq, left_seq, delivered_seq, read_seq";

pub(super) fn member(row: &Row<'_>) -> RowResult<Member> {
    Ok(Member {
        conversation: conversation_id(row, 0)?,
        user: user_id(row, 1)?,
        role: role(row, 2)?,
        joined_seq: seq(row, 3)?,
        left_seq: optional_seq(row, 4)?,
        delivered_seq: seq(row, 5)?,
        read_seq: seq(row, 6)?,
    })
}
