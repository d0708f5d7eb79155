//! Refresh tokens: rows of families, each begun by a log-in and named by the hash of its first token. Knows no user
//! but by id.

use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{time, user_id};
use super::failure::SqliteFailure;
use crate::domain::{Timestamp, UserId};
use crate::store::{REPEAT_GRACE, RefreshToken, Rotation};

/// How long an expired refresh token is kept, in milliseconds: who uses it meanwhile learns that it expired.
const KEPT_EXPIRED: i64 = 60 * 60 * 1000;

/// Stores the first token of a family, and sweeps away a few that expired long ago, so that the table stays as small as
/// it is in use.
pub(super) fn put(
    connection: &Connection,
    token: &RefreshToken,
    now: Timestamp,
) -> Result<(), SqliteFailure> {
    sweep(connection, now)?;
    insert(connection, token, &token.hash)
}

fn sweep(connection: &Connection, now: Timestamp) -> Result<(), SqliteFailure> {
    let mut sweep = connection.prepare_cached(
        "DELETE FROM refresh_tokens WHERE hash IN
         (SELECT hash FROM refresh_tokens WHERE expires_at < ?1 ORDER BY expires_at LIMIT 20)",
    )?;
    sweep.execute([now.millis().saturating_sub(KEPT_EXPIRED)])?;
    Ok(())
}

fn insert(
    connection: &Connection,
    token: &RefreshToken,
    family: &[u8],
) -> Result<(), SqliteFailure> {
    let mut put = connection.prepare_cached(
        "INSERT INTO refresh_tokens (hash, user, expires_at, family) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO NOTHING",
    )?;
    put.execute(params![
        token.hash,
        token.user.to_bytes(),
        token.expires_at.millis(),
        family
    ])?;
    Ok(())
}

/// A token as its row has it.
struct TokenRow {
    user: UserId,
    expires_at: Timestamp,
    family: Vec<u8>,
    used_at: Option<i64>,
}

fn find(connection: &Connection, hash: &[u8; 32]) -> Result<Option<TokenRow>, SqliteFailure> {
    // One from before there were families is a family of its own.
    let mut find = connection.prepare_cached(
        "SELECT user, expires_at, coalesce(family, hash), used_at FROM refresh_tokens WHERE hash = ?1",
    )?;
    let found = find.query_row([hash], |row| {
        Ok(TokenRow {
            user: user_id(row, 0)?,
            expires_at: time(row, 1)?,
            family: row.get(2)?,
            used_at: row.get(3)?,
        })
    });
    Ok(found.optional()?)
}

/// Exchanges a token, in the caller's transaction.
pub(super) fn rotate(
    connection: &Connection,
    hash: &[u8; 32],
    (successor, expires_at): ([u8; 32], Timestamp),
    now: Timestamp,
) -> Result<Rotation, SqliteFailure> {
    let Some(found) = find(connection, hash)? else {
        return Ok(Rotation::Unknown);
    };
    if found.expires_at <= now {
        return Ok(Rotation::Expired);
    }
    let user = found.user;
    if found
        .used_at
        .is_some_and(|used_at| Timestamp::from_millis(used_at).after(REPEAT_GRACE) < now)
    {
        delete_family(connection, &found.family)?;
        return Ok(Rotation::Reused);
    }
    let mut mark = connection.prepare_cached(
        "UPDATE refresh_tokens SET used_at = ?2, family = ?3 WHERE hash = ?1 AND used_at IS NULL",
    )?;
    mark.execute(params![hash, now.millis(), found.family])?;
    let next = RefreshToken {
        hash: successor,
        user,
        expires_at,
    };
    insert(connection, &next, &found.family)?;
    sweep(connection, now)?;
    Ok(Rotation::Rotated(user))
}

/// Ends the family of a token.
pub(super) fn end_family(connection: &Connection, hash: &[u8; 32]) -> Result<(), SqliteFailure> {
    match find(connection, hash)? {
        Some(found) => delete_family(connection, &found.family),
        None => Ok(()),
    }
}

fn delete_family(connection: &Connection, family: &[u8]) -> Result<(), SqliteFailure> {
    // The first of a family has its name as its hash, also from before there were families.
    let mut end =
        connection.prepare_cached("DELETE FROM refresh_tokens WHERE family = ?1 OR hash = ?1")?;
    end.execute([family])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::schema;

    #[test]
    fn tokens_that_expired_long_ago_are_swept_and_later_ones_are_kept() {
        let connection = Connection::open_in_memory().unwrap();
        schema::migrate(&connection).unwrap();
        let store = |number: u8, expires_at: i64, now: i64| {
            let token = RefreshToken {
                hash: [number; 32],
                user: UserId::from_bytes([number; 12]),
                expires_at: Timestamp::from_millis(expires_at),
            };
            put(&connection, &token, Timestamp::from_millis(now)).unwrap();
        };
        store(1, 1_000, 0);
        store(2, 1_001, 0);
        store(3, 9_000, 1_001 + KEPT_EXPIRED);
        let there = |number: u8| find(&connection, &[number; 32]).unwrap().is_some();
        assert_eq!([1, 2, 3].map(there), [false, true, true]);
    }
}
