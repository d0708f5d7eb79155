//! The tasks of the fan-out: where they run, and when they stop. Knows nothing of what they do.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::{Backoff, Entropy, SessionId};
use crate::logging::served::{Served, serving, task};

/// The first and the longest wait before a read that has failed is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// See the module's documentation. Clones are handles to the same ones.
#[derive(Clone)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    entropy: Arc<Entropy>,
}

impl Tasks {
    pub(super) fn new(entropy: Arc<Entropy>) -> Self {
        Self {
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            entropy,
        }
    }

    /// Runs something beside everything else, until it ends by itself.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(work);
    }

    /// The same, in the service of a session, which log lines then name.
    pub(super) fn spawn_for(
        &self,
        session: SessionId,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tracker.spawn(serving(Served::Session(session), work));
    }

    /// The same, under a name that logs and the watchdog know: for what runs as long as the gateway does.
    pub(super) fn keep(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(task(name, work));
    }

    /// Waits for something; `None` when the tasks are to stop before that.
    pub(super) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.stop.run_until_cancelled(work).await
    }

    /// Waits before another attempt; `None` when the tasks are to stop before that.
    pub(super) async fn pause(&self, backoff: &mut Backoff) -> Option<()> {
        let pause = tokio::time::sleep(backoff.step(&self.entropy));
        self.unless_stopped(pause).await
    }

    /// A random time up to this one.
    pub(super) fn jitter(&self, up_to: Duration) -> Duration {
        self.entropy.jitter(up_to)
    }

    /// Asks until there is an answer, less and less often; none when the tasks are to stop.
    pub(super) async fn until_read<T, E, F>(&self, mut read: impl FnMut() -> F) -> Option<T>
    where
        E: std::fmt::Display,
        F: Future<Output = Result<T, E>>,
    {
        let mut backoff = Backoff::between(RETRY.0, RETRY.1);
        loop {
            match read().await {
                Ok(found) => return Some(found),
                Err(error) => tracing::warn!(%error, "resync, reading again"),
            }
            self.pause(&mut backoff).await?;
        }
    }

    /// Stops all of them, and waits until the last one has ended.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
