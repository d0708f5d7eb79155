//! What can go wrong inside the adapter, and which of the port's two errors it is. Knows no statement.

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// Why a piece of work failed.
#[derive(Debug)]
pub(super) enum SqliteFailure {
    /// SQLite reports an error.
    Sqlite(rusqlite::Error),
    /// What is stored cannot be understood.
    Broken(String),
    /// SQLite has given up a transaction by itself (disk full, out of memory).
    GivenUp,
}

impl From<rusqlite::Error> for SqliteFailure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<SqliteFailure> for StoreError {
    fn from(failure: SqliteFailure) -> Self {
        match failure {
            SqliteFailure::Sqlite(error) if is_condition(&error) => {
                Self::Unavailable(error.to_string())
            }
            SqliteFailure::Sqlite(error) => Self::Broken(error.to_string()),
            SqliteFailure::Broken(what) => Self::Broken(what),
            SqliteFailure::GivenUp => Self::Unavailable("the transaction was given up".to_owned()),
        }
    }
}

/// The cause, when a failure is a fault and not a condition. SQLite has undone the statement then, and nothing else.
pub(super) fn fault(failure: SqliteFailure) -> Result<String, SqliteFailure> {
    match failure {
        SqliteFailure::Sqlite(error) if !is_condition(&error) => Ok(error.to_string()),
        SqliteFailure::Broken(what) => Ok(what),
        condition => Err(condition),
    }
}

/// Whether an error is about the machine's state (a full disk, a lock), which may pass, and not about the statement.
fn is_condition(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory
                | ErrorCode::ReadOnly
                | ErrorCode::OperationInterrupted
                | ErrorCode::SystemIoFailure
                | ErrorCode::DiskFull
                | ErrorCode::CannotOpen
                | ErrorCode::FileLockingProtocolFailed
        )
    )
}

/// A stored value that is not what its column holds.
pub(super) fn unreadable(column: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(
        0,
        rusqlite::types::Type::Null,
        format!("{column} is not understood").into(),
    )
}
