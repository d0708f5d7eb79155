//! When users were last seen, stored in batches by a task of its own: nobody who comes or goes waits for the store. Knows
//! no presence.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::domain::{Clock, UserId};
use crate::store::Store;

/// How many users are stored at once.
const BATCH: usize = 500;

/// How many users may wait to be stored, while the store is slow; of more, the time is not noted, and a log line says so.
const LIMIT: usize = 100_000;

/// Users who have gone, and of whom that is to be stored.
pub(in crate::fanout) struct Departures {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    waiting: Mutex<HashSet<UserId>>,
    wanted: Notify,
}

impl Departures {
    pub(in crate::fanout) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            waiting: Mutex::default(),
            wanted: Notify::new(),
        }
    }

    pub(super) fn note(&self, users: &[UserId]) {
        let mut waiting = self.waiting.lock();
        if waiting.len() + users.len() > LIMIT {
            tracing::warn!(users = users.len(), "last seen not noted, too many wait");
            return;
        }
        waiting.extend(users);
        drop(waiting);
        self.wanted.notify_one();
    }

    fn take(&self) -> Vec<UserId> {
        let mut waiting = self.waiting.lock();
        let taken: Vec<UserId> = waiting.iter().take(BATCH).copied().collect();
        for user in &taken {
            waiting.remove(user);
        }
        taken
    }

    /// Stores, until `stop`, and then what still waits.
    pub(in crate::fanout) async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let goes_on = stop
                .run_until_cancelled(self.wanted.notified())
                .await
                .is_some();
            loop {
                let users = self.take();
                if users.is_empty() {
                    break;
                }
                if let Err(error) = self.store.touch_last_seen(&users, self.clock.now()).await {
                    tracing::warn!(%error, "last seen not stored");
                }
            }
            if !goes_on {
                return;
            }
        }
    }
}
