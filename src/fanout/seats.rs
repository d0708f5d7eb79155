//! How many sessions there may be: in all, of one user, from one address. The newest is refused, and those that are
//! open stay: closing the oldest instead would have two devices that both come back take each other's place for ever.
//! Knows nothing of what a session is.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::chat::ChatError;
use crate::domain::{ClientNetwork, Origin, Tally, UserId};
use crate::metrics::Metrics;

/// How many sessions there may be at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeatLimits {
    /// The most sessions in all.
    pub all: usize,
    /// The most sessions of one user.
    pub user: usize,
    /// The most sessions from one address.
    pub network: usize,
}

/// See the module's documentation. Clones are handles to the same ones.
#[derive(Debug, Clone)]
pub struct Seats(Arc<SeatsInner>);

#[derive(Debug)]
struct SeatsInner {
    state: Mutex<State>,
    metrics: Metrics,
}

#[derive(Debug)]
struct State {
    limits: SeatLimits,
    taken: usize,
    users: Tally<UserId>,
    networks: Tally<ClientNetwork>,
}

impl Default for SeatLimits {
    /// No limits.
    fn default() -> Self {
        Self {
            all: usize::MAX,
            user: usize::MAX,
            network: usize::MAX,
        }
    }
}

impl Seats {
    /// Seats within these limits, all free.
    #[must_use]
    pub fn new(limits: SeatLimits, metrics: Metrics) -> Self {
        let state = State {
            limits,
            taken: 0,
            users: Tally::default(),
            networks: Tally::default(),
        };
        Self(Arc::new(SeatsInner {
            state: Mutex::new(state),
            metrics,
        }))
    }

    /// Other limits from now on; who has a seat keeps it.
    pub fn set(&self, limits: SeatLimits) {
        self.0.state.lock().limits = limits;
    }

    /// Whether nine tenths of all are taken.
    #[must_use]
    pub fn is_nearly_full(&self) -> bool {
        let state = self.0.state.lock();
        let all = state.limits.all;
        state.taken >= all - all / 10
    }

    /// A seat for one more session of a user.
    ///
    /// # Errors
    /// `busy` when none is left for anybody; `too_many_sessions` when the user or their address has as many as one may.
    pub fn take(&self, user: UserId, origin: Option<Origin>) -> Result<Seat, ChatError> {
        let network = origin.and_then(Origin::counted);
        let refused = &self.0.metrics.refused;
        let mut state = self.0.state.lock();
        let limits = state.limits;
        if state.taken >= limits.all {
            refused.session_limit.increment(1);
            return Err(ChatError::Busy);
        }
        if !state.users.add(user, limits.user) {
            refused.user_session_limit.increment(1);
            return Err(too_many("user", limits.user));
        }
        if network.is_some_and(|network| !state.networks.add(network, limits.network)) {
            state.users.remove(&user);
            refused.address_session_limit.increment(1);
            return Err(too_many("address", limits.network));
        }
        state.taken += 1;
        drop(state);
        Ok(Seat {
            seats: self.clone(),
            user,
            network,
        })
    }
}

const fn too_many(whose: &'static str, limit: usize) -> ChatError {
    ChatError::TooManySessions { whose, limit }
}

/// One session's seat, free again when this is dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Seats,
    user: UserId,
    network: Option<ClientNetwork>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.seats.0.state.lock();
        state.taken -= 1;
        state.users.remove(&self.user);
        if let Some(network) = &self.network {
            state.networks.remove(network);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: u8) -> UserId {
        UserId::from_bytes([id; 12])
    }

    fn from(address: &str) -> Option<Origin> {
        Some(Origin {
            network: ClientNetwork::of(address.parse().unwrap()),
            is_proxy: false,
        })
    }

    #[test]
    fn a_user_an_address_and_all_together_have_their_limits() {
        let limits = SeatLimits {
            all: 5,
            user: 2,
            network: 3,
        };
        let seats = Seats::new(limits, Metrics::none());
        let take = |id, address| seats.take(user(id), from(address));
        let code = |outcome: Result<Seat, ChatError>| outcome.map(drop).unwrap_err().code();
        let mut held = vec![take(1, "192.0.2.1").unwrap(), take(1, "192.0.2.1").unwrap()];
        assert_eq!(code(take(1, "192.0.2.2")), "too_many_sessions");
        held.push(take(2, "192.0.2.1").unwrap());
        assert_eq!(code(take(3, "192.0.2.1")), "too_many_sessions");
        // Whoever was refused for the address holds nothing as a user.
        held.push(take(3, "192.0.2.3").unwrap());
        assert!(!seats.is_nearly_full());
        held.push(take(3, "192.0.2.4").unwrap());
        assert!(seats.is_nearly_full());
        assert_eq!(code(take(4, "192.0.2.4")), "busy");
        held.remove(0);
        drop(take(1, "192.0.2.5").unwrap());
        drop(held);
        assert_eq!(seats.0.state.lock().taken, 0);
    }
}
