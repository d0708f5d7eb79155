//! The way to other gateways: on which channels of the bus something of a conversation goes out, and in which order.
//! Knows no payload.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::bus::{Bus, Channel};
use crate::domain::{ConversationId, GatewayId};
use crate::metrics::Metrics;

pub(super) struct Publisher {
    gateway: GatewayId,
    bus: Arc<dyn Bus>,
    metrics: Metrics,
}

impl Publisher {
    pub(super) fn new(gateway: GatewayId, bus: Arc<dyn Bus>, metrics: Metrics) -> Self {
        Self {
            gateway,
            bus,
            metrics,
        }
    }

    /// The gateway that publishes: this one.
    pub(super) const fn gateway(&self) -> GatewayId {
        self.gateway
    }

    /// Publishes to other gateways, and counts it.
    pub(super) fn publish(&self, channel: Channel, lane: u64, payload: Bytes) {
        self.metrics.hints.published.increment(1);
        self.bus.publish(channel, lane, payload);
    }

    /// The same, and tells when the bus has it.
    pub(super) fn publish_told(
        &self,
        channel: Channel,
        lane: u64,
        payload: Bytes,
    ) -> oneshot::Receiver<()> {
        self.metrics.hints.published.increment(1);
        self.bus.publish_told(channel, lane, payload)
    }

    /// Whether the bus carries anything at present.
    pub(super) fn is_up(&self) -> bool {
        self.bus.health().is_ok()
    }
}

/// The channel on which a room's events are published; direct ones go to their users'.
pub(super) fn channels_of(conversation: ConversationId) -> impl Iterator<Item = Channel> {
    let room = match conversation {
        ConversationId::Room(room) => Some(Channel::Room(room)),
        ConversationId::Direct(..) => None,
    };
    room.into_iter()
        .chain(conversation.direct_users().map(Channel::User))
}

/// What is published in one lane arrives in that order: one conversation always takes the same publishing connection
/// (D9).
pub(super) fn lane(conversation: ConversationId) -> u64 {
    let mut hasher = DefaultHasher::new();
    conversation.hash(&mut hasher);
    hasher.finish()
}
