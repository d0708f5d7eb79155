//! The schema's version, and what makes any database fit for this program. Knows no row.

use rusqlite::Connection;

use super::failure::SqliteFailure;

/// What each version adds to the one before. The last one's number is the version this program reads and writes, in
/// `PRAGMA user_version`.
const STEPS: [&str; 4] = [
    include_str!("schema.sql"),
    include_str!("quotas.sql"),
    include_str!("families.sql"),
    include_str!("makings.sql"),
];

/// Brings the schema up to date, within the caller's transaction, which SQLite gives to one process at a time.
///
/// # Errors
/// When the database was written by a newer program, or refuses.
pub(super) fn migrate(connection: &Connection) -> Result<(), SqliteFailure> {
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let last = (1..).zip(STEPS).last().map_or(0, |(version, _)| version);
    if found > last {
        return Err(SqliteFailure::Broken(format!(
            "the schema is version {found}, this program knows {last}"
        )));
    }
    for (version, step) in (1..).zip(STEPS).filter(|(version, _)| *version > found) {
        connection.execute_batch(step)?;
        connection.pragma_update(None, "user_version", version)?;
    }
    Ok(())
}
