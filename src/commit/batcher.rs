//! Group commit: appends the runs that are waiting together. Knows nothing of what is in them.
//!
//! A majority-committed insert costs mongod about 500 µs of CPU alone, about 15 µs in a batch of 200 (measured).

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::gather::{Gather, SLOTS, Trip};
use crate::metrics::Metrics;
use crate::store::{Run, RunOutcome, Stop, Store};

/// The most messages in one batch.
const BATCH: usize = 500;
/// The most messages on their way at once.
pub(super) const ROOM: usize = SLOTS * BATCH;
/// How many longer runs may share a batch before those that others write to as well are cut to one message: one
/// conflict would hold up what stands behind it in a common insert, while single messages go side by side.
const CROWD: usize = 4;
/// How many runs may be on their way alone, besides. When that many are, a whole store is in trouble rather than a
/// conversation, and the next one shares a batch.
const ALONE: usize = 4;

/// Appends runs in batches. At most one run per conversation may be submitted at a time.
pub(super) struct Batcher {
    log: Arc<Log>,
    runs: Gather<WaitingRun, Appended>,
    alone: Semaphore,
}

/// Where batches go, and what is counted of them.
struct Log {
    store: Arc<dyn Store>,
    metrics: Metrics,
}

struct WaitingRun {
    run: Run,
    is_contended: bool,
}

/// What became of a run.
pub(super) struct Appended {
    pub(super) outcome: RunOutcome,
    /// How many messages were written together, this run's included.
    pub(super) batch: usize,
}

impl Batcher {
    pub(super) fn new(store: Arc<dyn Store>, tracker: TaskTracker, metrics: Metrics) -> Self {
        let log = Arc::new(Log { store, metrics });
        let to = Arc::clone(&log);
        let commit = move |batch| {
            let log = Arc::clone(&to);
            async move { log.commit(batch).await }.boxed()
        };
        let trip = Trip {
            name: "batch",
            weight: |waiting: &WaitingRun| waiting.run.events.len(),
            most: BATCH,
            make: Box::new(commit),
        };
        Self {
            log,
            runs: Gather::new(tracker, trip),
            alone: Semaphore::new(ALONE),
        }
    }

    /// Appends a run; resolves when its outcome is known, or known to be unknown. A contended one, to which another
    /// gateway has written lately, may be cut to its first message.
    pub(super) async fn append(&self, run: Run, is_contended: bool) -> Appended {
        let appended = self.runs.ask(WaitingRun { run, is_contended }).await;
        appended.unwrap_or_else(abandoned)
    }

    /// Appends a run in a batch of its own that takes no slot, so that no other run waits for this one's outcome.
    pub(super) async fn append_alone(&self, run: Run) -> Appended {
        let is_contended = true;
        let Ok(_permit) = self.alone.try_acquire() else {
            return self.append(run, is_contended).await;
        };
        let batch = vec![WaitingRun { run, is_contended }];
        self.log.commit(batch).await.pop().unwrap_or_else(abandoned)
    }
}

impl Log {
    async fn commit(&self, mut batch: Vec<WaitingRun>) -> Vec<Appended> {
        thin_out(&mut batch);
        let runs: Vec<Run> = batch.into_iter().map(|waiting| waiting.run).collect();
        let events: usize = runs.iter().map(|run| run.events.len()).sum();
        let begun = Instant::now();
        let outcomes = self.store.append(runs).await;
        self.metrics.commit_batch.record(events as f64);
        self.metrics.commit_seconds.record(begun.elapsed());
        let appended = outcomes.into_iter().map(|outcome| Appended {
            outcome,
            batch: events,
        });
        appended.collect()
    }
}

/// See [`CROWD`].
fn thin_out(batch: &mut [WaitingRun]) {
    let longer = batch.iter().filter(|waiting| waiting.run.events.len() > 1);
    if longer.count() > CROWD {
        for waiting in batch.iter_mut().filter(|waiting| waiting.is_contended) {
            waiting.run.events.truncate(1);
        }
    }
}

/// The outcome of a run whose insert panicked or was cancelled: unknown.
fn abandoned() -> Appended {
    let outcome = RunOutcome {
        committed: 0,
        stopped: Some(Stop::Unknown("the batch was abandoned".to_owned())),
    };
    Appended { outcome, batch: 0 }
}
