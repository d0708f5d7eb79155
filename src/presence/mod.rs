//! The presence port: which users are online, on which gateways. This page is the contract; one suite
//! (`tests/contract/presence.rs`) runs over every adapter.
//!
//! - A user is online while a gateway with a live lease holds them (DESIGN.md section 5).
//! - [`Presence::enter`] and [`Presence::exit`] are atomic: of concurrent calls by several gateways, exactly one sees
//!   the transition, and announces it.
//! - One lease per gateway, renewed by [`Presence::run`]; a gateway whose lease ends is offline with all its users.
//! - Presence is soft: when the backend is away, calls fail within their time limit and messages go on.

use async_trait::async_trait;

use tokio_util::sync::CancellationToken;

use crate::domain::UserId;

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
    /// Nobody sees a difference.
    Unchanged,
}

/// What hobnob needs of a presence service.
#[async_trait]
pub trait Presence: Send + Sync + 'static {
    /// This gateway holds sessions of the user from now on. Idempotent.
    async fn enter(&self, user: UserId) -> Result<Transition, PresenceError>;

    /// This gateway holds no session of the user any more. Idempotent. The caller has waited the grace (D24).
    async fn exit(&self, user: UserId) -> Result<Transition, PresenceError>;

    /// Whether each of these users is online, in the order given.
    async fn online(&self, users: &[UserId]) -> Result<Vec<bool>, PresenceError>;

    /// Holds this gateway's lease until `stop`, then releases it. Runs once, for the gateway's whole life.
    async fn run(&self, stop: CancellationToken);
}
