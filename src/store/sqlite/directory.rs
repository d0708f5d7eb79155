//! The data directory: made when missing, and held by one process at a time (D36). Knows neither tables nor SQL
//! beyond the settings of a connection.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

/// Statements kept prepared per connection; there are about fifty.
const STATEMENTS: usize = 64;

/// Why the data directory cannot be used. The process ends with status 2: waiting does not help.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the data directory {} is in use by another process", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// It cannot be made, written or read.
    #[error("the data directory {} cannot be used: {cause}", path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why, in the operating system's or SQLite's words.
        cause: String,
    },
}

/// A directory that is ours until this value is dropped.
#[derive(Debug)]
pub(super) struct DataDirectory {
    path: PathBuf,
    /// The operating system releases the lock when this is closed, by a crash as well.
    _lock: File,
}

impl DataDirectory {
    /// Makes the directory if need be, for this user only, and locks it.
    pub(super) fn lock(path: &Path) -> Result<Self, OpenError> {
        let unusable = |cause: std::io::Error| unusable(path, &cause);
        make_directory(path).map_err(unusable)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(cause)) => Err(unusable(cause)),
        }
    }

    /// The one connection that writes.
    pub(super) fn writer(&self) -> Result<Connection, OpenError> {
        // `journal_size_limit`: after a burst the log file shrinks again (64 MiB).
        self.connect(
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;",
        )
    }

    /// A connection that cannot write.
    pub(super) fn reader(&self) -> Result<Connection, OpenError> {
        self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY, "PRAGMA query_only = ON;")
    }

    fn connect(&self, flags: OpenFlags, settings: &str) -> Result<Connection, OpenError> {
        let file = self.path.join("hobnob.db");
        // No connection is used by two threads at once, so SQLite's own mutexes are left out.
        Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .and_then(|connection| {
                connection.execute_batch(settings)?;
                connection.set_prepared_statement_cache_capacity(STATEMENTS);
                Ok(connection)
            })
            .map_err(|cause| unusable(&self.path, &cause))
    }
}

fn unusable(path: &Path, cause: &dyn std::error::Error) -> OpenError {
    OpenError::Unusable {
        path: path.to_owned(),
        cause: cause.to_string(),
    }
}

/// Password hashes are in there: nobody else may read it.
fn make_directory(path: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
