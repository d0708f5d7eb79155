//! Presence inside one process: for a single node, and for tests of several gateways in one process. Knows no network.
//! A gateway whose [`Presence::run`] is dropped counts as crashed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;

use super::{Presence, PresenceConfig, PresenceError, PresenceSignal, SIGNAL_QUEUE, Transition};
use crate::domain::{GatewayId, UserId};

/// What the gateways of one process share.
#[derive(Debug, Clone)]
pub struct LocalPresenceHub {
    config: PresenceConfig,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    leases: HashMap<GatewayId, Lease>,
    users: HashMap<UserId, HashSet<GatewayId>>,
}

#[derive(Debug, Clone, Copy)]
enum Lease {
    Held,
    Until(Instant),
}

impl State {
    fn is_live(&self, gateway: GatewayId) -> bool {
        match self.leases.get(&gateway) {
            Some(Lease::Held) => true,
            Some(Lease::Until(end)) => *end > Instant::now(),
            None => false,
        }
    }

    fn is_online(&self, user: UserId) -> bool {
        let gateways = self.users.get(&user);
        gateways.is_some_and(|gateways| gateways.iter().any(|gateway| self.is_live(*gateway)))
    }

    /// Whether a gateway other than this one keeps the user online.
    fn is_elsewhere(&self, user: UserId, gateway: GatewayId) -> bool {
        let gateways = self.users.get(&user).into_iter().flatten();
        gateways
            .filter(|other| **other != gateway)
            .any(|other| self.is_live(*other))
    }

    /// The gateways with a live lease, other than this one.
    fn others(&self, gateway: GatewayId) -> HashSet<GatewayId> {
        let others = self.leases.keys().copied();
        others
            .filter(|other| *other != gateway && self.is_live(*other))
            .collect()
    }

    fn remove(&mut self, user: UserId, gateway: GatewayId) -> bool {
        let Some(gateways) = self.users.get_mut(&user) else {
            return false;
        };
        let removed = gateways.remove(&gateway);
        if gateways.is_empty() {
            self.users.remove(&user);
        }
        removed
    }

    /// Forgets the gateways whose leases have ended; returns the users who are offline by it.
    fn clear_dead(&mut self) -> Vec<UserId> {
        let now = Instant::now();
        let dead: HashSet<GatewayId> = self
            .leases
            .extract_if(|_, lease| matches!(lease, Lease::Until(end) if *end <= now))
            .map(|(gateway, _)| gateway)
            .collect();
        if dead.is_empty() {
            return Vec::new();
        }
        let mut theirs = Vec::new();
        for (user, gateways) in &mut self.users {
            let before = gateways.len();
            gateways.retain(|gateway| !dead.contains(gateway));
            if gateways.len() < before {
                theirs.push(*user);
            }
        }
        self.users.retain(|_, gateways| !gateways.is_empty());
        theirs.retain(|user| !self.is_online(*user));
        theirs
    }
}

impl LocalPresenceHub {
    /// The presence of one more gateway.
    #[must_use]
    pub fn connect(&self, gateway: GatewayId) -> LocalPresence {
        let (sender, receiver) = mpsc::channel(SIGNAL_QUEUE);
        LocalPresence {
            hub: self.clone(),
            gateway,
            seen: Mutex::default(),
            sender,
            receiver: Mutex::new(Some(receiver)),
        }
    }
}

/// The presence of one gateway, inside one process.
#[derive(Debug)]
pub struct LocalPresence {
    hub: LocalPresenceHub,
    gateway: GatewayId,
    /// The other gateways at the last look.
    seen: Mutex<HashSet<GatewayId>>,
    sender: mpsc::Sender<PresenceSignal>,
    receiver: Mutex<Option<mpsc::Receiver<PresenceSignal>>>,
}

impl LocalPresence {
    /// A new hub, which the gateways of this process connect to.
    #[must_use]
    pub fn hub(config: PresenceConfig) -> LocalPresenceHub {
        LocalPresenceHub {
            config,
            state: Arc::default(),
        }
    }

    async fn clear_dead_gateways(&self) {
        let mut look = interval(self.hub.config.look);
        loop {
            look.tick().await;
            let (offline, others) = {
                let mut state = self.hub.state.lock();
                (state.clear_dead(), state.others(self.gateway))
            };
            let seen = std::mem::replace(&mut *self.seen.lock(), others.clone());
            if !seen.is_subset(&others) {
                let _ = self.sender.send(PresenceSignal::GatewayGone).await;
            }
            for user in offline {
                // Nobody listens any more when the gateway is going away.
                let _ = self.sender.send(PresenceSignal::Offline(user)).await;
            }
        }
    }
}

/// A held lease; dropped without a word it ends as a crashed gateway's does.
struct Held<'a> {
    presence: &'a LocalPresence,
    rest: std::time::Duration,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let end = Lease::Until(Instant::now() + self.rest);
        let mut state = self.presence.hub.state.lock();
        state.leases.insert(self.presence.gateway, end);
    }
}

#[async_trait]
impl Presence for LocalPresence {
    async fn enter(&self, user: UserId) -> Result<Transition, PresenceError> {
        let mut state = self.hub.state.lock();
        let elsewhere = state.is_elsewhere(user, self.gateway);
        let new = state.users.entry(user).or_default().insert(self.gateway);
        Ok(if new && !elsewhere {
            Transition::Changed
        } else {
            Transition::Unchanged
        })
    }

    async fn exit(&self, user: UserId) -> Result<Transition, PresenceError> {
        let mut state = self.hub.state.lock();
        let removed = state.remove(user, self.gateway);
        Ok(if removed && !state.is_online(user) {
            Transition::Changed
        } else {
            Transition::Unchanged
        })
    }

    async fn online(&self, users: &[UserId]) -> Result<Vec<bool>, PresenceError> {
        let state = self.hub.state.lock();
        Ok(users.iter().map(|user| state.is_online(*user)).collect())
    }

    async fn gateways(&self) -> Result<Vec<GatewayId>, PresenceError> {
        let others = self.hub.state.lock().others(self.gateway);
        Ok(others.into_iter().collect())
    }

    async fn run(&self, stop: CancellationToken) {
        self.hub
            .state
            .lock()
            .leases
            .insert(self.gateway, Lease::Held);
        let mut held = Held {
            presence: self,
            rest: self.hub.config.lease,
        };
        tokio::select! {
            () = stop.cancelled() => held.rest = self.hub.config.grace,
            () = self.clear_dead_gateways() => {}
        }
    }

    fn signals(&self) -> Option<mpsc::Receiver<PresenceSignal>> {
        self.receiver.lock().take()
    }
}
