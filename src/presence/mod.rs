//! The presence port: which users are online, on which gateways. This page is the contract; one suite
//! (`tests/contract/presence.rs`) runs over every adapter.
//!
//! - A user is online while a gateway with a live lease holds them.
//! - [`Presence::enter`] and [`Presence::exit`] are atomic: of concurrent calls by several gateways, exactly one sees
//!   the transition, and announces it.
//! - One lease per gateway, renewed by [`Presence::run`]; a gateway whose lease ends is offline with all its users, and
//!   exactly one other gateway is told to announce them ([`PresenceSignal::Offline`]; after a crash of that one, another
//!   is told again).
//! - An announcement is a hint: those of different gateways have no order among each other, and one too many does no
//!   harm. Who shows a user's presence asks [`Presence::online`] (D51).
//! - Whatever the backend loses, and however, it knows each user of a live gateway rightly again after
//!   [`PresenceConfig::verify`] and half of that, or at once after a new connection (D52).
//! - Presence is soft: when the backend is away, calls fail within their time limit and messages go on. What failed is
//!   made good when the backend is back, and then signalled.

mod local;
mod redis;

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::{GatewayId, UserId};

pub use local::{LocalPresence, LocalPresenceHub};
pub use redis::RedisPresence;

/// Signals waiting for the gateway. Full: whoever has something to tell waits, and leases are kept meanwhile.
const SIGNAL_QUEUE: usize = 1_024;

/// The backend did not answer in time.
#[derive(Debug, Clone, thiserror::Error)]
#[error("presence is unavailable: {0}")]
pub struct PresenceError(pub String);

/// Whether the call changed how others see the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Transition {
    /// The user was offline and is online, or the other way round: announce it.
    Changed,
    /// The user was online before and is now, or offline before and now.
    Unchanged,
}

/// What presence tells its gateway without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresenceSignal {
    /// The user is offline since a gateway died, or since a failed [`Presence::exit`] was made good: announce it.
    Offline(UserId),
    /// The user is online again since this gateway registered them anew after a lost lease, or a failed
    /// [`Presence::enter`] was made good: announce it.
    Online(UserId),
    /// This gateway's lease was lost and is held again: a doubt, like a gap of the bus (D10, D21).
    LeaseLost,
    /// A gateway that was there is not any more, orderly or not: what it committed last may not have been published.
    /// Every other gateway is told, not only the heir.
    GatewayGone,
}

/// The times of presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceConfig {
    /// How long a lease lives without a heartbeat.
    pub lease: Duration,
    /// Between heartbeats; a third of the lease, so that two may fail.
    pub heartbeat: Duration,
    /// How long the users of a gateway that ended orderly are shown online, for their reconnect elsewhere (D24).
    pub grace: Duration,
    /// How often heirs look for dead gateways.
    pub look: Duration,
    /// How long a user's presence is kept without being renewed, whatever else fails. Renewed three times as often.
    pub backstop: Duration,
    /// After how long, plus up to half of it, each user of this gateway is written anew, in case the backend has lost
    /// them (D52).
    pub verify: Duration,
}

impl Default for PresenceConfig {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            heartbeat: Duration::from_secs(5),
            grace: Duration::from_secs(5),
            look: Duration::from_secs(2),
            backstop: Duration::from_secs(300),
            verify: Duration::from_secs(40),
        }
    }
}

/// What hobnob needs of a presence service.
#[async_trait]
pub trait Presence: Send + Sync + 'static {
    /// This gateway holds sessions of the user from now on. Idempotent.
    ///
    /// # Errors
    /// When the backend does not answer in time; it is made good later.
    async fn enter(&self, user: UserId) -> Result<Transition, PresenceError>;

    /// This gateway holds no session of the user any more. Idempotent. The caller has waited the grace (D24).
    ///
    /// # Errors
    /// When the backend does not answer in time; it is made good later.
    async fn exit(&self, user: UserId) -> Result<Transition, PresenceError>;

    /// Whether each of these users is online, in the order given.
    ///
    /// # Errors
    /// When the backend does not answer in time.
    async fn online(&self, users: &[UserId]) -> Result<Vec<bool>, PresenceError>;

    /// The other gateways with a live lease, in no order.
    ///
    /// # Errors
    /// When the backend does not answer in time.
    async fn gateways(&self) -> Result<Vec<GatewayId>, PresenceError>;

    /// Holds this gateway's lease until `stop`, then leaves it to end with the grace: a draining gateway does not call
    /// [`Self::exit`] for its users, whose grace is its heir's to end (D24). Runs once, for the gateway's whole life; its
    /// users count as online only while it runs.
    async fn run(&self, stop: CancellationToken);

    /// What presence has to tell. Bounded; it must be read while [`Self::run`] runs. The first call gets it; later ones
    /// get `None`.
    fn signals(&self) -> Option<mpsc::Receiver<PresenceSignal>>;
}
