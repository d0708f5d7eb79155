//! When users were last seen, stored in batches by a task of its own: nobody who comes or goes waits for the store. Knows
//! no presence.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Hub;
use crate::domain::UserId;

/// How many users are stored at once.
const BATCH: usize = 500;

/// How many users may wait to be stored, while the store is slow; of more, the time is not noted, and a log line says so.
const LIMIT: usize = 100_000;

/// Users who have gone, and of whom that is to be stored.
#[derive(Debug, Default)]
pub(super) struct Departures {
    waiting: Mutex<HashSet<UserId>>,
    wanted: Notify,
}

impl Departures {
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
}

impl Hub {
    /// Stores, until `stop`, and then what still waits.
    pub(super) async fn store_departures(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let goes_on = stop
                .run_until_cancelled(self.departures.wanted.notified())
                .await
                .is_some();
            loop {
                let users = self.departures.take();
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
