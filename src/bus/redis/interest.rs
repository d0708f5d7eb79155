//! Which channels this gateway wants, and which of them the present connection has confirmed: our own set, since fred's
//! is wrong after a reconnect (trap 2). Knows no Redis.

use std::collections::HashSet;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::super::Channel;

/// The wanted and the confirmed channels. Bounded by what the hub wants.
#[derive(Debug, Default)]
pub(super) struct Interest {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    wanted: HashSet<Channel>,
    confirmed: HashSet<Channel>,
    /// Channels whose wanted and confirmed may differ.
    unsettled: HashSet<Channel>,
    waiters: Vec<Waiter>,
    /// A call gave up waiting: when its channels are confirmed, a gap must be signalled.
    overdue: bool,
}

#[derive(Debug)]
struct Waiter {
    channels: Vec<Channel>,
    done: oneshot::Sender<()>,
}

/// What is to be said to the server next.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Round {
    /// Channels that are wanted and not confirmed.
    pub(super) subscribe: Vec<Channel>,
    /// Channels that are confirmed and no longer wanted.
    pub(super) unsubscribe: Vec<Channel>,
}

impl Round {
    pub(super) fn is_empty(&self) -> bool {
        self.subscribe.is_empty() && self.unsubscribe.is_empty()
    }
}

impl Interest {
    /// Wants channels. The receiver resolves when all are confirmed; none when they already are.
    pub(super) fn want(&self, channels: &[Channel]) -> Option<oneshot::Receiver<()>> {
        let mut state = self.state.lock();
        state.wanted.extend(channels);
        let missing: Vec<Channel> = channels
            .iter()
            .copied()
            .filter(|channel| !state.confirmed.contains(channel))
            .collect();
        if missing.is_empty() {
            return None;
        }
        state.unsettled.extend(&missing);
        let (done, confirmed) = oneshot::channel();
        state.waiters.push(Waiter {
            channels: missing,
            done,
        });
        drop(state);
        self.changed.notify_one();
        Some(confirmed)
    }

    /// No longer wants channels. They are unsubscribed with the next round, which nothing hurries.
    pub(super) fn forget(&self, channels: &[Channel]) {
        let mut state = self.state.lock();
        for channel in channels {
            if state.wanted.remove(channel) {
                state.unsettled.insert(*channel);
            }
        }
    }

    /// How many channels are wanted.
    pub(super) fn count(&self) -> usize {
        self.state.lock().wanted.len()
    }

    /// A call gave up waiting for its channels: when they are confirmed, a gap is signalled.
    pub(super) fn give_up(&self) {
        let mut state = self.state.lock();
        state.overdue = true;
        state.waiters.retain(|waiter| !waiter.done.is_closed());
    }

    /// Waits until a channel is wanted.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// A new connection, which has confirmed nothing.
    pub(super) fn reset(&self) {
        let mut state = self.state.lock();
        state.confirmed.clear();
        state.unsettled = state.wanted.clone();
    }

    /// What the server has to be told. What is about to be unsubscribed counts as unconfirmed from here on, so that
    /// wanting it again subscribes again.
    pub(super) fn next_round(&self) -> Round {
        let mut state = self.state.lock();
        let mut round = Round::default();
        for channel in std::mem::take(&mut state.unsettled) {
            if state.wanted.contains(&channel) {
                if !state.confirmed.contains(&channel) {
                    round.subscribe.push(channel);
                }
            } else if state.confirmed.remove(&channel) {
                round.unsubscribe.push(channel);
            }
        }
        round
    }

    /// The server has confirmed these. True when a call had given up on one, and nothing is unsettled any more.
    pub(super) fn confirm(&self, channels: &[Channel]) -> bool {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        for channel in channels {
            state.confirmed.insert(*channel);
            if !state.wanted.contains(channel) {
                state.unsettled.insert(*channel);
            }
        }
        let (wanted, confirmed) = (&state.wanted, &state.confirmed);
        for waiter in &mut state.waiters {
            waiter
                .channels
                .retain(|channel| wanted.contains(channel) && !confirmed.contains(channel));
        }
        for waiter in state
            .waiters
            .extract_if(.., |waiter| waiter.channels.is_empty())
        {
            // Who gave up at this very moment says so by `give_up`.
            let _ = waiter.done.send(());
        }
        let settled = !state
            .unsettled
            .iter()
            .any(|channel| wanted.contains(channel));
        settled && std::mem::take(&mut state.overdue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UserId;

    fn channel(byte: u8) -> Channel {
        Channel::User(UserId::from_bytes([byte; 12]))
    }

    #[tokio::test]
    async fn calls_that_wait_share_a_round_and_end_when_theirs_is_confirmed() {
        let interest = Interest::default();
        let first = interest.want(&[channel(1)]).unwrap();
        let second = interest.want(&[channel(1), channel(2)]).unwrap();
        let mut round = interest.next_round();
        round.subscribe.sort();
        assert_eq!(round.subscribe, [channel(1), channel(2)]);
        assert!(!interest.confirm(&round.subscribe));
        assert_eq!((first.await, second.await), (Ok(()), Ok(())));
        assert!(interest.want(&[channel(2)]).is_none());
        assert!(interest.next_round().is_empty());
    }

    #[test]
    fn a_channel_wanted_again_while_it_is_unsubscribed_is_subscribed_again() {
        let interest = Interest::default();
        let _waiter = interest.want(&[channel(1)]);
        let round = interest.next_round();
        interest.confirm(&round.subscribe);
        interest.forget(&[channel(1)]);
        assert_eq!(interest.next_round().unsubscribe, [channel(1)]);
        assert!(interest.want(&[channel(1)]).is_some());
        assert_eq!(interest.next_round().subscribe, [channel(1)]);
    }

    #[test]
    fn a_channel_forgotten_while_it_is_subscribed_is_unsubscribed_afterwards() {
        let interest = Interest::default();
        let _waiter = interest.want(&[channel(1)]);
        let round = interest.next_round();
        interest.forget(&[channel(1)]);
        interest.confirm(&round.subscribe);
        assert_eq!(interest.next_round().unsubscribe, [channel(1)]);
    }

    #[test]
    fn a_new_connection_begins_with_everything_wanted() {
        let interest = Interest::default();
        let _waiter = interest.want(&[channel(1), channel(2)]);
        let round = interest.next_round();
        interest.confirm(&round.subscribe);
        interest.forget(&[channel(2)]);
        interest.reset();
        assert_eq!(interest.next_round().subscribe, [channel(1)]);
    }

    #[test]
    fn who_gave_up_is_owed_a_gap_once_the_channel_is_confirmed() {
        let interest = Interest::default();
        drop(interest.want(&[channel(1)]));
        interest.give_up();
        let round = interest.next_round();
        assert!(interest.confirm(&round.subscribe));
        assert!(!interest.confirm(&[]));
    }
}
