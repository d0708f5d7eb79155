//! The connections that read, a few, each used by one call at a time. A call sees one snapshot of the database, and
//! never waits for the writer. Knows nothing of what is read.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::failure::SqliteFailure;
use crate::store::{StoreError, StoreResult};

/// Calls that may wait for a connection. When that many do, the next one is refused as unavailable.
const QUEUE: usize = 1024;

/// A bounded pool of reading connections.
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    /// One permit per connection; who has one finds a connection in `idle`.
    free: Arc<Semaphore>,
    places: Semaphore,
    time_limit: Duration,
}

impl Readers {
    pub(super) fn new(connections: Vec<Connection>, time_limit: Duration) -> Self {
        Self {
            free: Arc::new(Semaphore::new(connections.len())),
            idle: Arc::new(Mutex::new(connections)),
            places: Semaphore::new(QUEUE),
            time_limit,
        }
    }

    /// Runs a piece of work on a snapshot.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, SqliteFailure> + Send + 'static,
    ) -> StoreResult<T> {
        let _place = self
            .places
            .try_acquire()
            .map_err(|_| unavailable("too many reads are waiting"))?;
        tokio::time::timeout(self.time_limit, self.run_in_turn(work))
            .await
            .unwrap_or_else(|_| Err(unavailable("the disk did not answer in time")))
    }

    async fn run_in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, SqliteFailure> + Send + 'static,
    ) -> StoreResult<T> {
        let free = Arc::clone(&self.free);
        let permit = free
            .acquire_owned()
            .await
            .map_err(|_| unavailable("closed"))?;
        let idle = Arc::clone(&self.idle);
        let reading = tokio::task::spawn_blocking(move || {
            let lease = LentConnection::take(&idle).ok_or_else(|| unavailable("closed"))?;
            let outcome = lease.read(work);
            // The connection goes back before the permit does.
            drop(lease);
            drop(permit);
            outcome
        });
        reading
            .await
            .unwrap_or_else(|_| Err(unavailable("the read was given up")))
    }

    /// Takes no more work and closes the idle connections; the others end with the store.
    pub(super) fn close(&self) {
        self.free.close();
        self.idle.lock().clear();
    }
}

fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}

/// A connection that goes back to the pool, after a panic as well.
struct LentConnection<'a> {
    idle: &'a Mutex<Vec<Connection>>,
    connection: Option<Connection>,
}

impl<'a> LentConnection<'a> {
    fn take(idle: &'a Mutex<Vec<Connection>>) -> Option<Self> {
        let connection = Some(idle.lock().pop()?);
        Some(Self { idle, connection })
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, SqliteFailure>,
    ) -> StoreResult<T> {
        let connection = self.connection.as_ref();
        let connection = connection.ok_or_else(|| unavailable("closed"))?;
        let snapshot = connection
            .unchecked_transaction()
            .map_err(SqliteFailure::from)?;
        Ok(work(&snapshot)?)
    }
}

impl Drop for LentConnection<'_> {
    fn drop(&mut self) {
        self.idle.lock().extend(self.connection.take());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use futures_util::future::join_all;

    use super::*;

    fn one_reader() -> Readers {
        let connection = Connection::open_in_memory().unwrap();
        Readers::new(vec![connection], Duration::from_secs(60))
    }

    fn one(connection: &Connection) -> Result<i64, SqliteFailure> {
        Ok(connection.query_row("SELECT 1", [], |row| row.get(0))?)
    }

    #[tokio::test]
    async fn a_connection_comes_back_after_a_failure_and_after_a_panic() {
        let readers = one_reader();
        let fails = |_: &Connection| Err::<(), _>(SqliteFailure::Broken("on purpose".to_owned()));
        assert!(matches!(
            readers.run(fails).await,
            Err(StoreError::Broken(_))
        ));
        let panics = |_: &Connection| -> Result<(), SqliteFailure> { panic!("on purpose") };
        assert!(readers.run(panics).await.is_err());
        assert_eq!(readers.run(one).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn too_many_waiting_reads_are_refused() {
        let readers = one_reader();
        let (gate, opened) = channel::<()>();
        let blocking = readers.run(move |_| {
            let _ = opened.recv();
            Ok(1)
        });
        let waiting = (0..QUEUE).map(|_| readers.run(one));
        let opening = async { drop(gate) };
        let (first, answers, ()) = tokio::join!(blocking, join_all(waiting), opening);
        assert!(first.is_ok());
        let refused = answers.iter().filter(|answer| answer.is_err());
        assert_eq!(refused.count(), 1);
    }

    #[tokio::test]
    async fn a_closed_pool_is_unavailable() {
        let readers = one_reader();
        readers.close();
        let answer = readers.run(one).await;
        assert!(matches!(answer, Err(StoreError::Unavailable(_))));
    }
}
