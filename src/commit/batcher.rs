//! Group commit: collects the runs that are waiting and appends them together. Knows nothing of what is in them.
//!
//! A majority-committed insert costs mongod about 500 µs of CPU alone, about 15 µs in a batch of 200 (measured). No
//! timer: a batch leaves as soon as a slot is free, so a lone message waits for nobody.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::logging::served::task;
use crate::metrics::Metrics;
use crate::store::{Run, RunOutcome, Stop, Store};

/// How many batches may be on their way at once: one being committed while the next is being sent.
const SLOTS: usize = 2;
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
    store: Arc<dyn Store>,
    queue: Mutex<Queue>,
    alone: Semaphore,
    tracker: TaskTracker,
    metrics: Metrics,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    in_flight: usize,
}

struct Waiting {
    run: Run,
    is_contended: bool,
    answer: oneshot::Sender<Appended>,
}

/// What became of a run.
pub(super) struct Appended {
    pub(super) outcome: RunOutcome,
    /// How many messages were written together, this run's included.
    pub(super) batch: usize,
}

impl Batcher {
    pub(super) fn new(store: Arc<dyn Store>, tracker: TaskTracker, metrics: Metrics) -> Self {
        Self {
            store,
            queue: Mutex::default(),
            alone: Semaphore::new(ALONE),
            tracker,
            metrics,
        }
    }

    /// Appends a run; resolves when its outcome is known, or known to be unknown. A contended one, to which another
    /// gateway has written lately, may be cut to its first message.
    pub(super) async fn append(self: &Arc<Self>, run: Run, is_contended: bool) -> Appended {
        let (answer, outcome) = oneshot::channel();
        self.queue.lock().waiting.push_back(Waiting {
            run,
            is_contended,
            answer,
        });
        self.pump();
        outcome.await.unwrap_or_else(|_| abandoned())
    }

    /// Appends a run in a batch of its own that takes no slot, so that no other run waits for this one's outcome.
    pub(super) async fn append_alone(self: &Arc<Self>, run: Run) -> Appended {
        let Ok(_permit) = self.alone.try_acquire() else {
            return self.append(run, true).await;
        };
        let (answer, mut outcome) = oneshot::channel();
        let is_contended = true;
        self.commit(vec![Waiting {
            run,
            is_contended,
            answer,
        }])
        .await;
        outcome.try_recv().unwrap_or_else(|_| abandoned())
    }

    fn pump(self: &Arc<Self>) {
        while let Some(batch) = self.next_batch() {
            let this = Arc::clone(self);
            let committing = async move {
                // A panic leaves the outcome unknown, and must not keep the slot.
                if AssertUnwindSafe(this.commit(batch))
                    .catch_unwind()
                    .await
                    .is_err()
                {
                    tracing::error!("appending a batch has panicked");
                }
                this.queue.lock().in_flight -= 1;
                this.pump();
            };
            self.tracker.spawn(task("batch", committing));
        }
    }

    fn next_batch(&self) -> Option<Vec<Waiting>> {
        let mut queue = self.queue.lock();
        if queue.in_flight >= SLOTS || queue.waiting.is_empty() {
            return None;
        }
        let mut size = 0;
        let mut batch = Vec::new();
        while let Some(next) = queue.waiting.front() {
            size += next.run.events.len();
            if size > BATCH && !batch.is_empty() {
                break;
            }
            batch.extend(queue.waiting.pop_front());
        }
        queue.in_flight += 1;
        Some(batch)
    }

    async fn commit(&self, mut batch: Vec<Waiting>) {
        thin_out(&mut batch);
        let (runs, answers): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|waiting| (waiting.run, waiting.answer))
            .unzip();
        let events: usize = runs.iter().map(|run| run.events.len()).sum();
        let begun = Instant::now();
        let outcomes = self.store.append(runs).await;
        self.metrics.commit_batch.record(events as f64);
        self.metrics.commit_seconds.record(begun.elapsed());
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // Whoever has gone does not need the outcome.
            let _ = answer.send(Appended {
                outcome,
                batch: events,
            });
        }
    }
}

/// See [`CROWD`].
fn thin_out(batch: &mut [Waiting]) {
    let longer = batch.iter().filter(|waiting| waiting.run.events.len() > 1);
    if longer.count() > CROWD {
        for waiting in batch.iter_mut().filter(|waiting| waiting.is_contended) {
            waiting.run.events.truncate(1);
        }
    }
}

fn abandoned() -> Appended {
    let outcome = RunOutcome {
        committed: 0,
        stopped: Some(Stop::Unknown("the batch was abandoned".to_owned())),
    };
    Appended { outcome, batch: 0 }
}
