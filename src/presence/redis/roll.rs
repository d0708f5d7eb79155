//! Which users this gateway holds, and which of them Redis may not know rightly. Knows no Redis.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::{Entropy, UserId};

/// For how long those who have left are remembered: what an older snapshot of Redis brings back is found by the gateway's
/// index, or asked for by nobody.
const LEFT: Duration = Duration::from_secs(600);

/// How many of those who have left are remembered; beyond it, whoever leaves is forgotten at once.
const LEFT_LIMIT: usize = 20_000;

/// The users of this gateway. Bounded by its sessions, those who left lately, and those who left while Redis was away.
#[derive(Debug, Default)]
pub(super) struct Roll {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<UserId, KnownUser>,
    left: usize,
    /// Whose entry in Redis may differ from what is here; true when others may have been told nothing, or something else.
    unsettled: HashMap<UserId, bool>,
    is_index_doubtful: bool,
}

/// A user who is here, or has left lately.
#[derive(Debug)]
struct KnownUser {
    left: Option<Instant>,
    /// When Redis is to be told again.
    due: Instant,
}

impl Roll {
    /// The user is here. Renewal is due after the given time plus up to half of it, so that it is spread.
    pub(super) fn arrive(&self, user: UserId, renewal: Duration, entropy: &Entropy) {
        let due = Instant::now() + renewal + entropy.jitter(renewal / 2);
        let mut state = self.state.lock();
        let before = state.known.insert(user, KnownUser { left: None, due });
        state.left -= usize::from(before.is_some_and(|known| known.left.is_some()));
    }

    /// The user is not here any more; false when they were not.
    pub(super) fn leave(&self, user: UserId, renewal: Duration) -> bool {
        let now = Instant::now();
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let Some(known) = state
            .known
            .get_mut(&user)
            .filter(|known| known.left.is_none())
        else {
            return false;
        };
        (known.left, known.due) = (Some(now), now + renewal);
        if state.left >= LEFT_LIMIT {
            state.known.remove(&user);
        } else {
            state.left += 1;
        }
        true
    }

    pub(super) fn is_here(&self, user: UserId) -> bool {
        let state = self.state.lock();
        state
            .known
            .get(&user)
            .is_some_and(|known| known.left.is_none())
    }

    /// Redis may not know this user rightly, and others may have been told nothing of a change.
    pub(super) fn unsettle(&self, user: UserId) {
        self.state.lock().unsettled.insert(user, true);
    }

    /// Marks a user whose entry in Redis may be wrong.
    pub(super) fn suspect(&self, user: UserId) {
        self.state.lock().unsettled.entry(user).or_insert(false);
    }

    /// A user's entry in Redis was written or found right.
    pub(super) fn settled(&self, user: UserId) {
        self.state.lock().unsettled.remove(&user);
    }

    /// Redis may know none of them, or those who have left.
    pub(super) fn unsettle_all(&self) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.is_index_doubtful = true;
        for user in state.known.keys() {
            state.unsettled.entry(*user).or_insert(false);
        }
    }

    /// Whether the index in Redis may name others than are here, since the last call.
    pub(super) fn take_index_doubt(&self) -> bool {
        std::mem::take(&mut self.state.lock().is_index_doubtful)
    }

    pub(super) fn doubt_index(&self) {
        self.state.lock().is_index_doubtful = true;
    }

    /// Takes some of the unsettled, each with whether it is to be told whatever Redis says; who cannot be settled must be
    /// unsettled again.
    pub(super) fn take_unsettled(&self, count: usize) -> Vec<(UserId, bool)> {
        let mut state = self.state.lock();
        let taken = state.unsettled.iter().take(count);
        let taken: Vec<(UserId, bool)> = taken.map(|(user, tell)| (*user, *tell)).collect();
        for (user, _) in &taken {
            state.unsettled.remove(user);
        }
        taken
    }

    /// Some of those of whom Redis is to be told again now, put off by the same time as in [`Self::arrive`]. Who has left
    /// long ago is forgotten.
    pub(super) fn take_due(
        &self,
        count: usize,
        renewal: Duration,
        entropy: &Entropy,
    ) -> Vec<UserId> {
        let now = Instant::now();
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let due = state.known.iter_mut().filter(|(_, known)| known.due <= now);
        let mut taken = Vec::new();
        let mut gone = Vec::new();
        for (user, known) in due.take(count) {
            known.due = now + renewal + entropy.jitter(renewal / 2);
            match known.left {
                Some(left) if now.duration_since(left) > LEFT => gone.push(*user),
                _ => taken.push(*user),
            }
        }
        state.left -= gone.len();
        for user in gone {
            state.known.remove(&user);
        }
        taken
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
        assert!(leave(&roll, 2) && !leave(&roll, 2));
        roll.unsettle_all();
        let mut unsettled = roll.take_unsettled(10);
        unsettled.sort_unstable();
        // Who has left, too: an old snapshot may have them.
        assert_eq!(unsettled, [(user(1), false), (user(2), false)]);
        assert!(roll.take_unsettled(10).is_empty());
        assert!(roll.take_index_doubt() && !roll.take_index_doubt());
    }

    fn leave(roll: &Roll, byte: u8) -> bool {
        roll.leave(user(byte), Duration::from_secs(1))
    }

    #[test]
    fn what_was_not_told_stays_to_be_told() {
        let roll = Roll::default();
        roll.unsettle(user(1));
        roll.suspect(user(1));
        assert_eq!(roll.take_unsettled(10), [(user(1), true)]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_left_is_looked_after_for_a_while() {
        let (roll, entropy) = (Roll::default(), Entropy::seeded(3));
        let renewal = Duration::from_secs(40);
        roll.arrive(user(1), renewal, &entropy);
        assert!(leave(&roll, 1));
        tokio::time::advance(renewal * 2).await;
        assert_eq!(roll.take_due(10, renewal, &entropy), [user(1)]);
        tokio::time::advance(LEFT).await;
        assert!(roll.take_due(10, renewal, &entropy).is_empty());
        assert!(roll.state.lock().known.is_empty());
        assert_eq!(roll.state.lock().left, 0);
    }
}
