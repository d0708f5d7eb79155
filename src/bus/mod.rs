//! The bus port: hints between gateways. This page is the contract; one suite (`tests/contract/bus.rs`) runs over
//! every adapter.
//!
//! - **A hint, never the truth**: a payload may be lost, or arrive twice, and after any [`Signal::Gap`] it must be
//!   assumed that some were lost. What a lost hint announced is in the log; of a lost request between gateways (D38) the
//!   one that asked knows that it has no answer.
//! - **Ordered per lane**: payloads published with the same lane arrive at every subscriber in that order (D9).
//! - **Never blocks a sender**: [`Bus::publish`] queues; a full queue or a failure to publish drops the payload and is
//!   reported as [`Signal::PublishDoubt`] (D10).
//! - **Confirmed**: when [`Bus::subscribe`] returns Ok, everything published from then on by anybody arrives (D12).

mod local;
mod outlet;
mod redis;

pub use local::{LocalBus, LocalBusHub};
pub use redis::RedisBus;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::domain::{GatewayId, RoomId, UserId};

/// Where hints are published. In Redis a name begins with the configured prefix and the log's own (D49): `hobnob:{log}:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// A user's direct events, membership and session control. `user:{id}`
    User(UserId),
    /// A room's events. `room:{id}`
    Room(RoomId),
    /// The changes of a user's presence, for those who watch them. `watch:{id}`
    Watch(UserId),
    /// A gateway's own: probes, and orders to one gateway. `inbox:{id}`
    Gateway(GatewayId),
}

/// What the bus tells its gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// Somebody published this, perhaps this gateway.
    Payload {
        /// The channel it was published on.
        channel: Channel,
        /// The bytes that were given to [`Bus::publish`].
        payload: Bytes,
    },
    /// Payloads may have been lost on the way here: re-read from the log. Sent when the connection is usable again
    /// and every subscription is confirmed, so that a re-read after it leaves no hole.
    Gap(Doubt),
    /// Payloads of this gateway may have been lost on the way to others, none that was published before this moment:
    /// publish the heads since then again (D10).
    PublishDoubt(Instant),
}

/// Why something may have been lost; a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// The subscriber connection was lost and is back.
    Reconnected,
    /// Payloads came faster than they were taken.
    Lagged,
    /// The connection looked alive but heard nothing (D17).
    Deaf,
    /// What was heard was published too long ago to be told from a repetition, or the clocks of two gateways differ (D49).
    Late,
}

impl Doubt {
    /// Its name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reconnected => "reconnected",
            Self::Lagged => "lagged",
            Self::Deaf => "deaf",
            Self::Late => "late",
        }
    }
}

/// The bus did not confirm in time; the subscription is kept and confirmed later, with a [`Signal::Gap`].
#[derive(Debug, Clone, thiserror::Error)]
#[error("the bus is unavailable: {0}")]
pub struct BusError(pub String);

/// What hobnob needs of a message bus.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Publishes a payload. Payloads of one lane keep their order. Never waits.
    fn publish(&self, channel: Channel, lane: u64, payload: Bytes);

    /// The same; resolves when the bus has the payload, and fails when it is not known whether it has. For messages whose
    /// way is traced.
    fn publish_told(&self, channel: Channel, lane: u64, payload: Bytes) -> oneshot::Receiver<()> {
        let (told, taken) = oneshot::channel();
        self.publish(channel, lane, payload);
        // Nobody may have waited.
        let _ = told.send(());
        taken
    }

    /// Subscribes to channels (those already subscribed are left as they are) and waits until every one is confirmed.
    /// Concurrent calls are batched into few commands.
    ///
    /// # Errors
    /// When there is no confirmation in time. The channels stay wanted: they are subscribed when the bus is back,
    /// followed by a [`Signal::Gap`].
    async fn subscribe(&self, channels: &[Channel]) -> Result<(), BusError>;

    /// Ends subscriptions. Payloads on their way may still arrive. Never waits.
    fn unsubscribe(&self, channels: &[Channel]);

    /// The signals, in the order they happened. Bounded (the adapter's capacity): when the receiver is slow, payloads
    /// are dropped and a [`Signal::Gap`] says so. The first call gets them; later ones get `None`.
    fn signals(&self) -> Option<mpsc::Receiver<Signal>>;

    /// How many channels this gateway subscribes to.
    fn subscriptions(&self) -> usize;

    /// Whether hints arrive now: `Err` names what is wrong, for readiness and logs.
    ///
    /// # Errors
    /// With a short reason.
    fn health(&self) -> Result<(), String>;

    /// Publishes what is queued (bounded), then closes the connections.
    async fn close(&self);
}
