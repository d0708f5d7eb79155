//! Where clients are until they have said who they are, on either protocol: a small budget of places for all of them, of
//! which nobody has more than a share, and a rate for each address. So strangers, however many, take no session's place
//! from those who are known. Knows no token.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::{ClientNetwork, Origin, Tally};
use crate::metrics::Metrics;
use crate::throttle::{Meters, Rate, TooFast};

/// Which part of all places one address may have: a tenth, so that it takes ten to keep everybody else out.
const SHARES: usize = 10;
/// The most addresses whose rate is known at a time; further ones are bounded by the places alone.
const METERS: usize = 100_000;

/// How many strangers there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LobbyLimits {
    /// At a time. When it is full, who comes is told to try again or elsewhere.
    pub places: usize,
    /// From one address, of those who do not say who they are: who does has not been counted.
    pub rate: Rate,
}

/// See the module's documentation. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct Lobby(Arc<LobbyInner>);

#[derive(Debug)]
struct LobbyInner {
    places: AtomicUsize,
    rate: Meters<ClientNetwork>,
    state: Mutex<State>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct State {
    all: usize,
    of: Tally<ClientNetwork>,
}

/// Why a stranger is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAway {
    /// All places, or all that its address may have, are taken.
    Full,
    /// Too many came from its address and never said who they are.
    TooFast {
        /// How long until the next stranger will be let in.
        retry_after: Duration,
    },
}

impl Default for Lobby {
    /// No limits.
    fn default() -> Self {
        let limits = LobbyLimits {
            places: usize::MAX,
            rate: Rate::UNLIMITED,
        };
        Self::new(limits, Metrics::none())
    }
}

impl Lobby {
    /// A lobby in which nobody waits.
    #[must_use]
    pub fn new(limits: LobbyLimits, metrics: Metrics) -> Self {
        Self(Arc::new(LobbyInner {
            places: AtomicUsize::new(limits.places),
            rate: Meters::new(limits.rate, METERS),
            state: Mutex::default(),
            metrics,
        }))
    }

    /// Other limits from now on; who is inside stays.
    pub fn set(&self, limits: LobbyLimits) {
        self.0.places.store(limits.places, Ordering::Relaxed);
        self.0.rate.set_rate(limits.rate);
    }

    /// Whether nine tenths of the places are taken.
    #[must_use]
    pub fn is_nearly_full(&self) -> bool {
        let places = self.places();
        self.0.state.lock().all >= places - places / 10
    }

    /// Lets a stranger in.
    ///
    /// # Errors
    /// When there is no place, or too many came from there.
    pub fn enter(&self, origin: Option<&Origin>) -> Result<LobbyPlace, TurnedAway> {
        let network = origin.copied().and_then(Origin::counted);
        let refused = &self.0.metrics.refused;
        if !self.take_place(network) {
            refused.anonymous_limit.increment(1);
            return Err(TurnedAway::Full);
        }
        let stranger = LobbyPlace {
            lobby: self.clone(),
            network,
        };
        self.0.metrics.anonymous.increment(1.0);
        let Some(network) = network else {
            return Ok(stranger);
        };
        match self.0.rate.take(network, Instant::now()) {
            Ok(()) => Ok(stranger),
            Err(TooFast { retry_after }) => {
                refused.handshake_rate.increment(1);
                Err(TurnedAway::TooFast { retry_after })
            }
        }
    }

    fn places(&self) -> usize {
        self.0.places.load(Ordering::Relaxed)
    }

    fn take_place(&self, network: Option<ClientNetwork>) -> bool {
        let places = self.places();
        let share = (places / SHARES).max(1);
        let mut state = self.0.state.lock();
        let is_free =
            state.all < places && network.is_none_or(|network| state.of.add(network, share));
        state.all += usize::from(is_free);
        is_free
    }
}

/// One stranger's place, free again when this is dropped.
#[derive(Debug)]
pub struct LobbyPlace {
    lobby: Lobby,
    network: Option<ClientNetwork>,
}

impl LobbyPlace {
    /// They have said who they are: their coming does not count against their address.
    pub fn is_known(self) {
        if let Some(network) = &self.network {
            self.lobby.0.rate.give_back(network);
        }
    }
}

impl Drop for LobbyPlace {
    fn drop(&mut self) {
        let mut state = self.lobby.0.state.lock();
        state.all -= 1;
        if let Some(network) = &self.network {
            state.of.remove(network);
        }
        drop(state);
        self.lobby.0.metrics.anonymous.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lobby(places: usize, rate: u32) -> Lobby {
        let rate = Rate::per_second(rate);
        Lobby::new(LobbyLimits { places, rate }, Metrics::none())
    }

    fn from(address: &str) -> Origin {
        Origin {
            network: ClientNetwork::of(address.parse().unwrap()),
            is_proxy: false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_has_a_tenth_and_all_have_no_more_than_there_is() {
        let lobby = lobby(20, 0);
        let mut inside = Vec::new();
        for number in 0..10 {
            let origin = from(&format!("192.0.2.{number}"));
            inside.push(lobby.enter(Some(&origin)).unwrap());
            assert_eq!(lobby.is_nearly_full(), number == 9);
            inside.push(lobby.enter(Some(&origin)).unwrap());
            assert_eq!(lobby.enter(Some(&origin)).unwrap_err(), TurnedAway::Full);
        }
        let another = from("198.51.100.1");
        assert_eq!(lobby.enter(Some(&another)).unwrap_err(), TurnedAway::Full);
        inside.pop();
        inside.push(lobby.enter(Some(&another)).unwrap());
        drop(inside);
        assert_eq!(lobby.0.state.lock().all, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn only_those_who_never_say_who_they_are_count_against_their_address() {
        let lobby = lobby(1000, 1);
        let origin = from("192.0.2.1");
        for _ in 0..100 {
            lobby.enter(Some(&origin)).unwrap().is_known();
        }
        while lobby.enter(Some(&origin)).is_ok() {}
        let TurnedAway::TooFast { retry_after } = lobby.enter(Some(&origin)).unwrap_err() else {
            panic!("there are places")
        };
        assert!(lobby.enter(Some(&from("192.0.2.2"))).is_ok());
        tokio::time::advance(retry_after).await;
        assert!(lobby.enter(Some(&origin)).is_ok());
        // Who is turned away leaves no trace.
        assert_eq!(lobby.0.state.lock().all, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn behind_a_proxy_that_names_nobody_only_the_places_count() {
        let lobby = lobby(10, 1);
        let origin = Origin {
            is_proxy: true,
            ..from("10.0.0.1")
        };
        let enter = |_| lobby.enter(Some(&origin));
        let inside: Result<Vec<_>, _> = (0..10).map(enter).collect();
        assert!(inside.is_ok());
        assert_eq!(enter(0).unwrap_err(), TurnedAway::Full);
    }
}
