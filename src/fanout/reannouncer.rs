//! Tells again what this gateway announced lately, when payloads may have been lost (D10); and where its memory does
//! not reach back far enough, tells every gateway to look for itself. Commits nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::envelope;
use super::presence::Arrivals;
use super::publisher::{Publisher, channels_of, lane};
use super::recall::Recall;
use crate::bus::{Bus, Channel};
use crate::domain::{ConversationId, Seq, UserId};
use crate::metrics::Metrics;
use crate::presence::Presence;

/// How many are published at once, and the pause after that.
const CHUNK: usize = 500;
const PAUSE: Duration = Duration::from_millis(10);
/// The pause before all gateways are told again.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Reannouncer {
    bus: Arc<dyn Bus>,
    presence: Arc<dyn Presence>,
    recall: Arc<Recall>,
    publisher: Arc<Publisher>,
    arrivals: Arc<Arrivals>,
    metrics: Metrics,
    /// Payloads of this gateway may have been lost: wakes the one task that announces again.
    wanted: Notify,
}

impl Reannouncer {
    pub(super) fn new(
        bus: Arc<dyn Bus>,
        presence: Arc<dyn Presence>,
        recall: Arc<Recall>,
        publisher: Arc<Publisher>,
        arrivals: Arc<Arrivals>,
        metrics: Metrics,
    ) -> Self {
        Self {
            bus,
            presence,
            recall,
            publisher,
            arrivals,
            metrics,
            wanted: Notify::new(),
        }
    }

    /// Payloads of this gateway since then may have been lost: tells again soon how far its conversations reach.
    pub(super) fn doubt(&self, since: Instant) {
        self.recall.doubt(since);
        self.wanted.notify_one();
    }

    /// Tells again what is doubted, until `stop`; at a pace that leaves the publishing queues room for what is live.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) {
        while stop
            .run_until_cancelled(self.wanted.notified())
            .await
            .is_some()
        {
            let again = self.recall.again();
            for heads in again.heads.chunks(CHUNK) {
                self.publish_heads(heads);
                tokio::time::sleep(PAUSE).await;
            }
            for joined in again.joined.chunks(CHUNK) {
                self.publish_joined(joined);
                tokio::time::sleep(PAUSE).await;
            }
            for users in again.presence.chunks(CHUNK) {
                for user in users {
                    self.arrivals.announce_again(*user);
                }
                tokio::time::sleep(PAUSE).await;
            }
            if again.is_incomplete {
                self.tell_gap().await;
            }
        }
    }

    fn publish_heads(&self, heads: &[(ConversationId, Seq)]) {
        for (conversation, seq) in heads {
            self.metrics.hints.heads_republished.increment(1);
            let payload = envelope::encode_head(*conversation, *seq);
            for channel in channels_of(*conversation) {
                self.publisher
                    .publish(channel, lane(*conversation), payload.clone());
            }
        }
    }

    fn publish_joined(&self, joined: &[(ConversationId, UserId)]) {
        for (conversation, user) in joined {
            let payload = envelope::encode_joined(*conversation);
            self.publisher
                .publish(Channel::User(*user), lane(*conversation), payload);
        }
    }

    /// Tells every gateway, on its own channel, that payloads of this one are lost. While presence cannot say which
    /// there are Redis is away for all of them, and its return makes each look for itself; the next doubt asks again.
    async fn tell_gap(&self) {
        let at = Instant::now();
        self.recall.told_gap(at);
        match self.presence.gateways().await {
            Ok(gateways) => gateways.into_iter().for_each(|gateway| {
                let payload: Bytes = envelope::encode_gap();
                self.bus
                    .publish(Channel::Gateway(gateway), gateway.to_u64(), payload);
            }),
            Err(error) => {
                tracing::warn!(%error, "other gateways are not told of a gap, trying again");
                tokio::time::sleep(RETRY).await;
                self.doubt(at);
            }
        }
    }
}
