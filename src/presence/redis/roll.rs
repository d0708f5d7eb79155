//! Which users this gateway holds, and which of them Redis may not know rightly. Knows no Redis.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::{Entropy, UserId};

/// The users of this gateway. Bounded by its sessions, and those who left while Redis was away.
#[derive(Debug, Default)]
pub(super) struct Roll {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Who is here, and when their presence is to be renewed.
    here: HashMap<UserId, Instant>,
    /// Whose entry in Redis may differ from what is here.
    unsettled: HashSet<UserId>,
}

impl Roll {
    /// The user is here. Renewal is due after the given time plus up to half of it, so that it is spread.
    pub(super) fn arrive(&self, user: UserId, renewal: Duration, entropy: &Entropy) {
        let due = Instant::now() + renewal + entropy.jitter(renewal / 2);
        self.state.lock().here.insert(user, due);
    }

    /// The user is not here any more; false when they were not.
    pub(super) fn leave(&self, user: UserId) -> bool {
        self.state.lock().here.remove(&user).is_some()
    }

    pub(super) fn is_here(&self, user: UserId) -> bool {
        self.state.lock().here.contains_key(&user)
    }

    /// Redis may not know this user rightly.
    pub(super) fn unsettle(&self, user: UserId) {
        self.state.lock().unsettled.insert(user);
    }

    /// Redis knows this user rightly.
    pub(super) fn settled(&self, user: UserId) {
        self.state.lock().unsettled.remove(&user);
    }

    /// Redis may know none of them.
    pub(super) fn unsettle_all(&self) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.unsettled.extend(state.here.keys());
    }

    /// Takes some of the unsettled; who cannot be settled must be unsettled again.
    pub(super) fn take_unsettled(&self, count: usize) -> Vec<UserId> {
        let mut state = self.state.lock();
        let taken: Vec<UserId> = state.unsettled.iter().take(count).copied().collect();
        for user in &taken {
            state.unsettled.remove(user);
        }
        taken
    }

    /// Some of those whose presence is to be renewed now, put off by the same time as in [`Self::arrive`].
    pub(super) fn take_due(
        &self,
        count: usize,
        renewal: Duration,
        entropy: &Entropy,
    ) -> Vec<UserId> {
        let now = Instant::now();
        let mut state = self.state.lock();
        let due = state.here.iter_mut().filter(|(_, due)| **due <= now);
        due.take(count)
            .map(|(user, due)| {
                *due = now + renewal + entropy.jitter(renewal / 2);
                *user
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(byte: u8) -> UserId {
        UserId::from_bytes([byte; 12])
    }

    #[tokio::test(start_paused = true)]
    async fn renewal_comes_due_for_everybody_and_spread() {
        let (roll, entropy) = (Roll::default(), Entropy::seeded(3));
        let renewal = Duration::from_secs(100);
        for byte in 0..50 {
            roll.arrive(user(byte), renewal, &entropy);
        }
        tokio::time::advance(Duration::from_secs(125)).await;
        let early = roll.take_due(100, renewal, &entropy).len();
        assert!((1..50).contains(&early), "{early}");
        tokio::time::advance(Duration::from_secs(25)).await;
        assert_eq!(roll.take_due(100, renewal, &entropy).len(), 50 - early);
    }

    #[test]
    fn a_lost_lease_unsettles_who_is_here() {
        let (roll, entropy) = (Roll::default(), Entropy::seeded(3));
        roll.arrive(user(1), Duration::ZERO, &entropy);
        roll.arrive(user(2), Duration::ZERO, &entropy);
        assert!(roll.leave(user(2)) && !roll.leave(user(2)));
        roll.unsettle_all();
        assert_eq!(roll.take_unsettled(10), [user(1)]);
        assert!(roll.take_unsettled(10).is_empty());
    }
}
