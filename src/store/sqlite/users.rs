//! Users. Knows nothing of conversations.

use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{USER, limit, user};
use super::failure::SqliteFailure;
use crate::domain::{Timestamp, User, UserId};
use crate::store::{Inserted, NewUser};

pub(super) fn create(connection: &Connection, new: &NewUser) -> Result<Inserted, SqliteFailure> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO users (id, username, username_folded, password_hash, created_at, last_seen_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
    )?;
    let user = &new.user;
    let inserted = insert.execute(params![
        user.id.to_bytes(),
        user.username.as_str(),
        user.username.folded(),
        new.password_hash,
        user.created_at.millis(),
        user.last_seen_at.map(Timestamp::millis),
    ])?;
    // A user who is there by this id is this one: the call is repeated.
    let repeated = inserted == 0 && by_id(connection, user.id)?.is_some();
    Ok(if inserted == 1 || repeated {
        Inserted::Yes
    } else {
        Inserted::Taken
    })
}

fn by_id(connection: &Connection, id: UserId) -> Result<Option<User>, SqliteFailure> {
    let mut find = connection.prepare_cached(&format!("SELECT {USER} FROM users WHERE id = ?1"))?;
    Ok(find.query_row([id.to_bytes()], user).optional()?)
}

pub(super) fn by_name(
    connection: &Connection,
    folded: &str,
) -> Result<Option<(User, String)>, SqliteFailure> {
    let mut find = connection.prepare_cached(&format!(
        "SELECT {USER}, password_hash FROM users WHERE username_folded = ?1"
    ))?;
    let found = find.query_row([folded], |row| Ok((user(row)?, row.get(4)?)));
    Ok(found.optional()?)
}

pub(super) fn by_ids(connection: &Connection, ids: &[UserId]) -> Result<Vec<User>, SqliteFailure> {
    let mut users = Vec::new();
    for id in ids {
        users.extend(by_id(connection, *id)?);
    }
    Ok(users)
}

/// Walks the index from the prefix on, while the names begin with it: so that no character needs escaping.
pub(super) fn search(
    connection: &Connection,
    prefix: &str,
    most: usize,
) -> Result<Vec<User>, SqliteFailure> {
    let mut from = connection.prepare_cached(&format!(
        "SELECT {USER}, username_folded FROM users WHERE username_folded >= ?1
         ORDER BY username_folded LIMIT ?2"
    ))?;
    let mut rows = from.query(params![prefix, limit(most)])?;
    let mut users = Vec::new();
    while let Some(row) = rows.next()? {
        let folded = row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?;
        if !folded.starts_with(prefix) {
            break;
        }
        users.push(user(row)?);
    }
    Ok(users)
}

pub(super) fn touch(
    connection: &Connection,
    users: &[UserId],
    at: Timestamp,
) -> Result<(), SqliteFailure> {
    let mut touch = connection.prepare_cached(
        "UPDATE users SET last_seen_at = ?2 WHERE id = ?1 AND (last_seen_at IS NULL OR last_seen_at < ?2)",
    )?;
    for user in users {
        touch.execute(params![user.to_bytes(), at.millis()])?;
    }
    Ok(())
}
