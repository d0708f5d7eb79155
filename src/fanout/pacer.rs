//! Paces the marks by which sessions prove what they received: one task for all sessions. Knows nothing of what was
//! given.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// How long gives are collected before they are marked; the pace of one session is its own ([`Paced::mark_if_due`]).
const TICK: Duration = Duration::from_millis(200);

/// A session of which proof of receipt is asked at a pace.
pub(super) trait Paced: std::fmt::Debug + Send + Sync {
    /// Marks what was given, unless it did so about a second ago. True when there is something left to mark, and the
    /// pacer must come again.
    fn mark_if_due(&self, now: Instant) -> bool;
}

/// The sessions that wait for a mark. At most once each per tick.
#[derive(Debug, Default)]
pub(super) struct Pacer(Mutex<Vec<Arc<dyn Paced>>>);

impl Pacer {
    /// A session has something unproved; called once until it is marked.
    pub(super) fn wants_mark(&self, session: Arc<dyn Paced>) {
        self.0.lock().push(session);
    }

    /// Marks sessions at their pace until `stop`.
    pub(super) async fn run(&self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let waiting = std::mem::take(&mut *self.0.lock());
            let now = Instant::now();
            let left = waiting
                .into_iter()
                .filter(|session| session.mark_if_due(now));
            let left: Vec<_> = left.collect();
            self.0.lock().extend(left);
        }
    }
}
