//! The one thread that writes, with group commit: what waits is written in one transaction and made durable by one
//! sync of the disk, then everybody is answered. Knows nothing of what is written.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::failure::SqliteFailure;
use crate::store::{StoreError, StoreResult};

/// Pieces of work that may wait. When that many do, the next one is refused as unavailable.
const QUEUE: usize = 1024;

/// Pieces of work in one transaction; bounds how long its first one waits for its last one.
const GROUP: usize = 128;

/// Hands work to the writing thread.
pub(super) struct WriterThread {
    /// None once closed.
    queue: Mutex<Option<SyncSender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    time_limit: Duration,
}

impl WriterThread {
    /// Starts the thread. `held` (the directory's lock) is let go when the thread has ended and its connection is
    /// closed.
    pub(super) fn start(
        connection: Connection,
        held: impl Send + 'static,
        time_limit: Duration,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                write(&connection, &jobs);
                drop(connection);
                drop(held);
            })?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            thread: Mutex::new(Some(thread)),
            time_limit,
        })
    }

    /// Runs a piece of work in a transaction and answers when it is durable. All or nothing: a failed piece leaves no
    /// trace, and does not harm the others of its group.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, SqliteFailure> + Send + 'static,
    ) -> StoreResult<T> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Box::new(QueuedJob {
            work: Some(work),
            outcome: None,
            reply,
        }))?;
        match tokio::time::timeout(self.time_limit, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(unavailable("the writing thread has ended")),
            Err(_) => Err(unavailable("the disk did not answer in time")),
        }
    }

    fn enqueue(&self, job: Box<dyn Job>) -> StoreResult<()> {
        let queue = self.queue.lock();
        let queue = queue.as_ref().ok_or_else(|| unavailable("closed"))?;
        queue.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => unavailable("too many writes are waiting"),
            TrySendError::Disconnected(_) => unavailable("the writing thread has ended"),
        })
    }

    /// Takes no more work, and returns what waits for the end of what was taken. Blocks; a second call does not.
    pub(super) fn close(&self) -> impl FnOnce() + Send + 'static {
        drop(self.queue.lock().take());
        let thread = self.thread.lock().take();
        move || {
            if thread.is_some_and(|thread| thread.join().is_err()) {
                tracing::error!("the store's writing thread had panicked");
            }
        }
    }
}

impl Drop for WriterThread {
    /// Waits for the transaction in progress, so that the directory is free when the store is gone.
    fn drop(&mut self) {
        self.close()();
    }
}

fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}

/// A piece of work with its caller, whatever the answer's type.
trait Job: Send {
    /// Whether anybody still waits for the answer. Nobody does after the time limit: then the work is not begun,
    /// which relieves a disk that is too slow.
    fn is_awaited(&self) -> bool;
    /// Does the work, keeping the outcome. False when it failed.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Answers with the outcome, or with what befell the whole group.
    fn answer(self: Box<Self>, committed: &StoreResult<()>);
}

struct QueuedJob<T, W> {
    work: Option<W>,
    outcome: Option<StoreResult<T>>,
    reply: oneshot::Sender<StoreResult<T>>,
}

impl<T, W> Job for QueuedJob<T, W>
where
    T: Send,
    W: FnOnce(&Connection) -> Result<T, SqliteFailure> + Send,
{
    fn is_awaited(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run(&mut self, connection: &Connection) -> bool {
        let Some(work) = self.work.take() else {
            return false;
        };
        let outcome = work(connection).map_err(StoreError::from);
        let done = outcome.is_ok();
        self.outcome = Some(outcome);
        done
    }

    fn answer(self: Box<Self>, committed: &StoreResult<()>) {
        let outcome = match (committed, self.outcome) {
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(unavailable("not begun")),
            (Err(error), _) => Err(error.clone()),
        };
        // The caller may have stopped waiting meanwhile; then the outcome is unknown to them, which they expect.
        let _ = self.reply.send(outcome);
    }
}

/// Writes until the queue is closed and empty.
fn write(connection: &Connection, jobs: &Receiver<Box<dyn Job>>) {
    while let Ok(first) = jobs.recv() {
        let mut group: Vec<_> = std::iter::once(first)
            .chain(jobs.try_iter())
            .take(GROUP)
            .filter(|job| job.is_awaited())
            .collect();
        let committed = commit(connection, &mut group).map_err(StoreError::from);
        if let Err(error) = &committed {
            tracing::error!(%error, "a group of writes was not committed");
            // What is left of the transaction must not become part of the next; there may be nothing left.
            let _ = connection.execute_batch("ROLLBACK");
        }
        for job in group {
            job.answer(&committed);
        }
    }
}

/// Runs a group in one transaction, each job in a savepoint of its own.
fn commit(connection: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), SqliteFailure> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for job in group {
        connection.prepare_cached("SAVEPOINT job")?.execute([])?;
        if !job.run(connection) {
            // With the transaction the jobs before are lost as well: it is the group that failed.
            if connection.is_autocommit() {
                return Err(SqliteFailure::GivenUp);
            }
            connection.prepare_cached("ROLLBACK TO job")?.execute([])?;
        }
        connection.prepare_cached("RELEASE job")?.execute([])?;
    }
    connection.execute_batch("COMMIT")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use futures_util::future::join_all;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn writer(time_limit: Duration) -> WriterThread {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
            .unwrap();
        WriterThread::start(connection, (), time_limit).unwrap()
    }

    fn insert(
        number: i64,
    ) -> impl FnOnce(&Connection) -> Result<(), SqliteFailure> + Send + 'static {
        move |connection| {
            connection.execute("INSERT INTO numbers VALUES (?1)", [number])?;
            Ok(())
        }
    }

    async fn count(writer: &WriterThread) -> i64 {
        let count = |connection: &Connection| {
            Ok(connection.query_row("SELECT count(*) FROM numbers", [], |row| row.get(0))?)
        };
        writer.run(count).await.unwrap()
    }

    /// Keeps the thread busy until the sender returned is dropped.
    fn block(
        writer: &WriterThread,
    ) -> (
        std::sync::mpsc::Sender<()>,
        oneshot::Receiver<StoreResult<()>>,
    ) {
        let (gate, opened) = channel::<()>();
        let (begins, begun) = channel();
        let (reply, answer) = oneshot::channel();
        let work = move |_: &Connection| {
            let _ = begins.send(());
            let _ = opened.recv();
            Ok(())
        };
        let job = QueuedJob {
            work: Some(work),
            outcome: None,
            reply,
        };
        writer.enqueue(Box::new(job)).unwrap();
        begun.recv().unwrap();
        (gate, answer)
    }

    #[tokio::test]
    async fn a_failed_job_leaves_no_trace_and_does_not_harm_its_group() {
        let writer = writer(LIMIT);
        let (gate, _answer) = block(&writer);
        let fails = writer.run(|connection: &Connection| -> Result<(), SqliteFailure> {
            insert(2)(connection)?;
            Err(SqliteFailure::Broken("on purpose".to_owned()))
        });
        let one = writer.run(insert(1));
        let three = writer.run(insert(3));
        let opening = async { drop(gate) };
        let (one, fails, three, ()) = tokio::join!(one, fails, three, opening);
        assert!(one.is_ok() && three.is_ok());
        assert!(matches!(fails, Err(StoreError::Broken(_))));
        assert_eq!(count(&writer).await, 2);
    }

    #[tokio::test]
    async fn a_lost_transaction_is_the_outcome_of_its_whole_group() {
        let writer = writer(LIMIT);
        let (gate, _answer) = block(&writer);
        let one = writer.run(insert(1));
        // As SQLite itself does when the disk is full.
        let lost = writer.run(|connection: &Connection| -> Result<(), SqliteFailure> {
            connection.execute_batch("ROLLBACK")?;
            Err(SqliteFailure::Broken("on purpose".to_owned()))
        });
        let opening = async { drop(gate) };
        let (one, lost, ()) = tokio::join!(one, lost, opening);
        assert!(one.is_err() && lost.is_err());
        assert_eq!(count(&writer).await, 0);
        assert!(writer.run(insert(1)).await.is_ok());
    }

    #[tokio::test]
    async fn a_full_queue_refuses() {
        let writer = writer(LIMIT);
        let (gate, _answer) = block(&writer);
        let waiting = (0..2 * QUEUE as i64).map(|number| writer.run(insert(number)));
        let opening = async { drop(gate) };
        let (answers, ()) = tokio::join!(join_all(waiting), opening);
        assert!(answers[..QUEUE].iter().all(Result::is_ok));
        let refused = |answer: &StoreResult<()>| matches!(answer, Err(StoreError::Unavailable(_)));
        assert!(answers[QUEUE..].iter().all(refused));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_disk_is_unavailable_and_what_nobody_awaits_is_not_begun() {
        let writer = writer(Duration::from_secs(5));
        let (gate, answer) = block(&writer);
        let (begins, begun) = channel();
        let outcome = writer.run(move |_: &Connection| {
            let _ = begins.send(());
            Ok(())
        });
        assert!(matches!(outcome.await, Err(StoreError::Unavailable(_))));
        drop(gate);
        assert!(answer.await.unwrap().is_ok());
        writer.close()();
        assert!(begun.try_recv().is_err());
        let closed = writer.run(insert(2)).await;
        assert!(matches!(closed, Err(StoreError::Unavailable(_))));
    }

    #[tokio::test]
    async fn closing_finishes_what_was_taken() {
        let writer = writer(LIMIT);
        let (gate, _answer) = block(&writer);
        let (done, seen) = channel();
        let last = writer.run(move |_: &Connection| {
            let _ = done.send(());
            Ok(())
        });
        let closing = async {
            let wait = writer.close();
            drop(gate);
            tokio::task::spawn_blocking(wait).await
        };
        let (last, closed) = tokio::join!(last, closing);
        assert!(last.is_ok() && closed.is_ok() && seen.try_recv().is_ok());
    }
}
