//! One user's comings and goings reach the presence service one after the other, and nobody else's wait for them. Knows
//! neither the service nor what is told to it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard, Semaphore, SemaphorePermit};

use crate::domain::UserId;

/// How many users' comings and goings are told at once; the others wait, a millisecond or two each while the service is
/// well. More would only wait in the connection's own queue.
const AT_ONCE: usize = 1_024;

/// The users of whom something is being told. Bounded by those who come and go.
#[derive(Debug)]
pub(super) struct Comings {
    turns: Mutex<HashMap<UserId, Arc<Turn<()>>>>,
    places: Semaphore,
}

impl Default for Comings {
    fn default() -> Self {
        Self {
            turns: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
        }
    }
}

impl Comings {
    /// Waits for this user's turn, which lasts until the answer is dropped.
    pub(super) async fn turn_of(&self, user: UserId) -> Coming<'_> {
        let turn = Arc::clone(self.turns.lock().entry(user).or_default());
        let held = turn.lock_owned().await;
        Coming {
            comings: self,
            user,
            _held: held,
            // It is never closed.
            _place: self.places.acquire().await.ok(),
        }
    }
}

/// The right to announce a user's coming or going: one at a time for each user.
#[derive(Debug)]
pub(super) struct Coming<'a> {
    comings: &'a Comings,
    user: UserId,
    _held: OwnedMutexGuard<()>,
    _place: Option<SemaphorePermit<'a>>,
}

impl Drop for Coming<'_> {
    /// Forgets a user for whose turn nobody else waits.
    fn drop(&mut self) {
        const MINE: usize = 2;
        let mut turns = self.comings.turns.lock();
        if turns
            .get(&self.user)
            .is_some_and(|turn| Arc::strong_count(turn) <= MINE)
        {
            turns.remove(&self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn user(byte: u8) -> UserId {
        UserId::from_bytes([byte; 12])
    }

    #[tokio::test]
    async fn a_users_turns_come_one_after_the_other_and_nobody_elses_wait() {
        let comings = Comings::default();
        let first = comings.turn_of(user(1)).await;
        assert!(comings.turn_of(user(1)).now_or_never().is_none());
        for other in [2, 65, 129, 193] {
            assert!(comings.turn_of(user(other)).now_or_never().is_some());
        }
        drop(first);
        assert!(comings.turn_of(user(1)).now_or_never().is_some());
        assert!(comings.turns.lock().is_empty());
    }
}
