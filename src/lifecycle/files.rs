//! The limit of open files: every connection is one, and so is every other thing that a gateway has to open. Knows how
//! many connections that allows, and whether it has run out; knows nothing of who connects.

use std::io;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::Instant;

use crate::admin::Health;
use crate::metrics::{open_file_count, open_file_limit};

/// The most connections of the admin port at once: Prometheus, probes and operators have a handful.
pub(super) const ADMIN_CONNECTIONS: usize = 128;

/// Files a gateway needs besides its client connections: the admin port's, databases, the store, logs.
const OTHER_FILES: u64 = 128 + ADMIN_CONNECTIONS as u64;
/// For so long after the last time that there was none left, a gateway takes no new clients.
const RECOVERY: Duration = Duration::from_secs(10);

/// Raises the soft limit to the hard one, which is what this process may allow itself; the limit that is then in force,
/// none where it is unlimited.
pub(super) fn raise_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files could not be raised");
        }
    }
    getrlimit(Resource::Nofile).current
}

/// How many of these connections the limit of files allows, when what else is needed is left free.
pub(super) fn affordable(connections: usize, files: Option<u64>) -> usize {
    let Some(files) = files else {
        return connections;
    };
    let left = files - OTHER_FILES.min(files / 2);
    connections.min(usize::try_from(left).unwrap_or(usize::MAX))
}

/// Whether an error says that no further file can be opened, here or on the whole machine.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let shortage = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    error
        .raw_os_error()
        .is_some_and(|raw| shortage.contains(&raw))
}

/// When there was last no file left for a connection.
#[derive(Debug, Default)]
pub(super) struct Shortage(Mutex<Option<Instant>>);

impl Shortage {
    pub(super) fn note(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    /// Whether new clients should go elsewhere: there was none left lately, or nine tenths are open.
    pub(super) fn health(&self) -> Health {
        let is_recent = |noted: Instant| noted.elapsed() < RECOVERY;
        if self.0.lock().is_some_and(is_recent) {
            return Health::Failed("no file was left for a connection".to_owned());
        }
        let (open, most) = (open_file_count(), open_file_limit());
        match open.zip(most) {
            Some((open, most)) if open >= most - most / 10 => {
                Health::Failed("nearly at the limit of open files".to_owned())
            }
            _ => Health::Well,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_else_is_needed_stays_free() {
        assert_eq!(affordable(10_000, None), 10_000);
        assert_eq!(affordable(10_000, Some(65_536)), 10_000);
        assert_eq!(affordable(10_000, Some(4_096)), 3_840);
        assert_eq!(affordable(10_000, Some(256)), 128);
        assert_eq!(affordable(100, Some(256)), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shortage_is_over_after_a_while() {
        let shortage = Shortage::default();
        assert_eq!(shortage.health(), Health::Well);
        assert!(is_shortage(&io::Error::from_raw_os_error(24)));
        assert!(!is_shortage(&io::Error::from(
            io::ErrorKind::ConnectionReset
        )));
        shortage.note();
        assert_ne!(shortage.health(), Health::Well);
        tokio::time::advance(RECOVERY).await;
        assert_eq!(shortage.health(), Health::Well);
    }
}
