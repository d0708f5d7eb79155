//! The schema's version, and what makes any database fit for this program. Knows no row's meaning but the cursors'.

use rusqlite::Connection;

use super::failure::Failure;

/// The version this program reads and writes, in `PRAGMA user_version`.
const VERSION: i64 = 1;

/// Brings the schema up to date, within the caller's transaction, which SQLite gives to one process at a time, and
/// cursors back to their log's head, where a repaired or restored database has them beyond (D37).
///
/// # Errors
/// When the database was written by a newer program, or refuses.
pub(super) fn migrate(connection: &Connection) -> Result<(), Failure> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match found {
        0 => {
            connection.execute_batch(include_str!("schema.sql"))?;
            connection.pragma_update(None, "user_version", VERSION)?;
        }
        VERSION => clamp_cursors(connection)?,
        newer => {
            return Err(Failure::Broken(format!(
                "the schema is version {newer}, this program knows {VERSION}"
            )));
        }
    }
    Ok(())
}

/// A cursor beyond the head would hide the events that are yet to come. One probe of the log's key per membership.
fn clamp_cursors(connection: &Connection) -> Result<(), Failure> {
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
