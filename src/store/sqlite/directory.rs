//! The data directory: made when missing, and held by one process at a time (D36). Knows neither tables nor SQL
//! beyond the settings of a connection.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

/// The database, its log, and the log's index.
const FILES: [&str; 3] = ["hobnob.db", "hobnob.db-wal", "hobnob.db-shm"];

/// Statements kept prepared per connection; there are about fifty.
const STATEMENTS: usize = 64;

/// `FULL` syncs the log at every commit. The log is copied into the database every 4,000 pages (16 MiB), so that a page
/// that many commits touch is copied once; after a burst the log's file shrinks to 64 MiB. A cache of 32 MiB holds the
/// pages of some thousand conversations.
const WRITER_SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -32768;";

/// A cache of 8 MiB per connection.
const READER_SETTINGS: &str = "PRAGMA query_only = ON; PRAGMA cache_size = -8192;";

/// Why the data directory cannot be used. The process ends with status 2: waiting does not help.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has locked the directory.
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
        let lock = private_file(&path.join("lock")).map_err(unusable)?;
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

    /// The one connection that writes. SQLite gives its log and the log's index the mode of the database, so that file
    /// is made before SQLite would make it with whatever the process's umask leaves.
    pub(super) fn writer(&self) -> Result<Connection, OpenError> {
        for name in FILES {
            let path = self.path.join(name);
            let is_made = name == FILES[0] || path.exists();
            is_made
                .then(|| private_file(&path))
                .transpose()
                .map_err(|cause| unusable(&self.path, &cause))?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        self.connect(flags, WRITER_SETTINGS)
    }

    /// A connection that cannot write.
    pub(super) fn reader(&self) -> Result<Connection, OpenError> {
        self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY, READER_SETTINGS)
    }

    fn connect(&self, flags: OpenFlags, settings: &str) -> Result<Connection, OpenError> {
        let file = self.path.join(FILES[0]);
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

/// A file that its owner alone may read and write, whatever the folder's mode and the umask are, and whatever mode an
/// older hobnob gave it. Made when missing.
fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

/// Password hashes are in there: nobody else may read it.
fn make_directory(path: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> T {
        let ask = format!("PRAGMA {name}");
        connection.query_row(&ask, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn commits_are_synced_and_readers_cannot_write() {
        let place = tempfile::tempdir().unwrap();
        let directory = DataDirectory::lock(&place.path().join("new/data")).unwrap();
        let writer = directory.writer().unwrap();
        assert_eq!(setting::<String>(&writer, "journal_mode"), "wal");
        assert_eq!(setting::<i64>(&writer, "synchronous"), 2);
        writer.execute_batch("CREATE TABLE t (n INTEGER)").unwrap();
        let reader = directory.reader().unwrap();
        assert!(reader.execute_batch("INSERT INTO t VALUES (1)").is_err());
        assert_eq!(setting::<i64>(&reader, "cache_size"), -8192);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_the_files_of_a_folder_that_all_may_read() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let open = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        open(place.path(), 0o755);
        let modes = || -> Vec<(String, u32)> {
            let entries = std::fs::read_dir(place.path()).unwrap().map(Result::unwrap);
            let mode = |entry: &std::fs::DirEntry| entry.metadata().unwrap().permissions().mode();
            let modes =
                entries.map(|entry| (format!("{:?}", entry.file_name()), mode(&entry) & 0o777));
            modes.collect()
        };
        let directory = DataDirectory::lock(place.path()).unwrap();
        let writer = directory.writer().unwrap();
        writer.execute_batch("CREATE TABLE t (n INTEGER)").unwrap();
        let made = modes();
        assert_eq!(
            made.len(),
            4,
            "the database, two files of its log, the lock: {made:?}"
        );
        assert!(made.iter().all(|(_, mode)| *mode == 0o600), "{made:?}");
        // As an older hobnob made them; a crash leaves the log behind.
        std::fs::read_dir(place.path())
            .unwrap()
            .for_each(|entry| open(&entry.unwrap().path(), 0o644));
        std::mem::forget(writer);
        drop(directory);
        let directory = DataDirectory::lock(place.path()).unwrap();
        let _writer = directory.writer().unwrap();
        assert!(
            modes().iter().all(|(_, mode)| *mode == 0o600),
            "{:?}",
            modes()
        );
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_a_new_directory() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("data");
        let _directory = DataDirectory::lock(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
