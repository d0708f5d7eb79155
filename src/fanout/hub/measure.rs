//! What is counted of the hub beyond single events: ends of sessions, offers, and what is looked at when metrics are
//! rendered. Decides nothing.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::super::session::Session;
use super::super::topic::Consequences;
use super::Hub;
use crate::bus::Channel;
use crate::domain::Timestamp;
use crate::metrics::{Handles, Metrics};
use crate::transport::closing::closing;
use crate::transport::outbox::Reason;

/// Each way a session can end has its series from the start.
pub(super) fn expect_closings(metrics: &Metrics) {
    let all = Reason::ALL.into_iter();
    metrics.expect_closings(all.map(|reason| (reason.name(), closing(reason).class())));
}

impl Hub {
    pub(super) fn count_end(&self, session: &Session) {
        session.encoding().of(&self.metrics.sessions).decrement(1.0);
        let reason = session.reason().unwrap_or(Reason::TransportClosed);
        let class = closing(reason).class();
        self.metrics.session_closed(reason.name(), class);
        tracing::debug!(reason = reason.name(), "session ended");
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

    /// A live event was offered. `at` is when its message was accepted, if that is known, here or by another gateway,
    /// whose clock may differ.
    pub(super) fn count_offer(
        &self,
        at: Option<Timestamp>,
        is_local: bool,
        consequences: &Consequences,
    ) {
        if consequences.is_duplicate {
            self.metrics.duplicate_events.increment(1);
        }
        if consequences.delivered == 0 {
            return;
        }
        self.metrics.fan_out.record(consequences.delivered as f64);
        if let Some(at) = at {
            let milliseconds = (self.clock.now().millis() - at.millis()).max(0);
            let seconds = match is_local {
                true => &self.metrics.delivery_local_seconds,
                false => &self.metrics.delivery_remote_seconds,
            };
            seconds.record(milliseconds as f64 / 1000.0);
        }
    }

    /// Another watch_limit from now on; who watches more keeps what they have.
    pub fn set_watch_limit(&self, limit: usize) {
        self.watched.store(limit, Ordering::Relaxed);
    }

    /// Looks at what is cheaper to look at than to count. Takes each session's lock once.
    pub fn measure(&self, handles: &Handles) {
        let (mut all, mut largest) = (0, 0);
        for session in self.sessions() {
            let bytes = session.queued_bytes();
            all += bytes;
            largest = bytes.max(largest);
        }
        handles.outbox_bytes.set(all as f64);
        handles.outbox_largest.set(largest as f64);
        handles.topics.set(self.topics.in_use().len() as f64);
        handles.users.set(self.users.here().len() as f64);
        handles
            .hints
            .subscriptions
            .set(self.bus.subscriptions() as f64);
        let up = f64::from(u8::from(self.bus.health().is_ok()));
        handles.bus.up.set(up);
    }
}
