//! Users and their refresh tokens. Knows nothing of conversations.

use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{USER, limit, time, user, user_id};
use super::failure::Failure;
use crate::domain::{Timestamp, User, UserId};
use crate::store::{Inserted, NewUser, RefreshToken};

/// How long an expired refresh token is kept, in milliseconds: who takes it meanwhile learns that it expired.
const KEPT_EXPIRED: i64 = 60 * 60 * 1000;

pub(super) fn create(connection: &Connection, new: &NewUser) -> Result<Inserted, Failure> {
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

fn by_id(connection: &Connection, id: UserId) -> Result<Option<User>, Failure> {
    let mut find = connection.prepare_cached(&format!("SELECT {USER} FROM users WHERE id = ?1"))?;
    Ok(find.query_row([id.to_bytes()], user).optional()?)
}

pub(super) fn by_name(
    connection: &Connection,
    folded: &str,
) -> Result<Option<(User, String)>, Failure> {
    let mut find = connection.prepare_cached(&format!(
        "SELECT {USER}, password_hash FROM users WHERE username_folded = ?1"
    ))?;
    let found = find.query_row([folded], |row| Ok((user(row)?, row.get(4)?)));
    Ok(found.optional()?)
}

pub(super) fn by_ids(connection: &Connection, ids: &[UserId]) -> Result<Vec<User>, Failure> {
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
) -> Result<Vec<User>, Failure> {
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
) -> Result<(), Failure> {
    let mut touch = connection.prepare_cached(
        "UPDATE users SET last_seen_at = ?2 WHERE id = ?1 AND (last_seen_at IS NULL OR last_seen_at < ?2)",
    )?;
    for user in users {
        touch.execute(params![user.to_bytes(), at.millis()])?;
    }
    Ok(())
}

/// Stores a token, and sweeps away a few that expired long ago, so that the table stays as small as it is in use.
pub(super) fn put_token(
    connection: &Connection,
    token: &RefreshToken,
    now: Timestamp,
) -> Result<(), Failure> {
    let mut sweep = connection.prepare_cached(
        "DELETE FROM refresh_tokens WHERE hash IN
         (SELECT hash FROM refresh_tokens WHERE expires_at < ?1 ORDER BY expires_at LIMIT 20)",
    )?;
    sweep.execute([now.millis().saturating_sub(KEPT_EXPIRED)])?;
    let mut put = connection.prepare_cached(
        "INSERT INTO refresh_tokens (hash, user, expires_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    put.execute(params![
        token.hash,
        token.user.to_bytes(),
        token.expires_at.millis()
    ])?;
    Ok(())
}

pub(super) fn take_token(
    connection: &Connection,
    hash: &[u8; 32],
) -> Result<Option<RefreshToken>, Failure> {
    let mut take = connection
        .prepare_cached("DELETE FROM refresh_tokens WHERE hash = ?1 RETURNING user, expires_at")?;
    let taken = take.query_row([hash], |row| {
        Ok(RefreshToken {
            hash: *hash,
            user: user_id(row, 0)?,
            expires_at: time(row, 1)?,
        })
    });
    Ok(taken.optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::schema;

    #[test]
    fn tokens_that_expired_long_ago_are_swept_and_later_ones_are_kept() {
        let connection = Connection::open_in_memory().unwrap();
        schema::migrate(&connection).unwrap();
        let put = |number: u8, expires_at: i64, now: i64| {
            let token = RefreshToken {
                hash: [number; 32],
                user: UserId::from_bytes([number; 12]),
                expires_at: Timestamp::from_millis(expires_at),
            };
            put_token(&connection, &token, Timestamp::from_millis(now)).unwrap();
        };
        put(1, 1_000, 0);
        put(2, 1_001, 0);
        put(3, 9_000, 1_001 + KEPT_EXPIRED);
        let there = |number: u8| take_token(&connection, &[number; 32]).unwrap().is_some();
        assert_eq!([1, 2, 3].map(there), [false, true, true]);
    }
}
