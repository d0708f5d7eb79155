//! The schema's version and how a database gets there. Knows no row.

use rusqlite::Connection;

use super::failure::Failure;

/// The version this program reads and writes, in `PRAGMA user_version`.
const VERSION: i64 = 1;

/// Brings the schema up to date, within the caller's transaction, which SQLite gives to one process at a time.
///
/// # Errors
/// When the database was written by a newer program, or refuses.
pub(super) fn migrate(connection: &Connection) -> Result<(), Failure> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match found {
        0 => {
            connection.execute_batch(include_str!("schema.sql"))?;
            connection.pragma_update(None, "user_version", VERSION)?;
            Ok(())
        }
        VERSION => Ok(()),
        newer => Err(Failure::Broken(format!(
            "the schema is version {newer}, this program knows {VERSION}"
        ))),
    }
}
