//! What comes over the bus. The signals are taken one by one, in order, and handed to whom they concern; everything
//! slow is a task of its own there, so that the bus is never kept waiting.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::catch_up::CatchUp;
use super::delegation::{DelegationClient, TakingOn};
use super::envelope::Envelope;
use super::offer::Offer;
use super::offering::Offering;
use super::presence::Board;
use super::reannouncer::Reannouncer;
use super::resync::Resync;
use super::tasks::Tasks;
use crate::bus::{Bus, Channel, Signal};
use crate::commit::frontier::Frontier;
use crate::domain::GatewayId;
use crate::metrics::Metrics;

pub(super) struct Inbox {
    gateway: GatewayId,
    bus: Arc<dyn Bus>,
    frontier: Arc<Frontier>,
    to: Addressees,
    tasks: Tasks,
    metrics: Metrics,
}

/// Whom payloads and signals concern.
pub(super) struct Addressees {
    pub(super) catch_up: Arc<CatchUp>,
    pub(super) offering: Arc<Offering>,
    pub(super) resync: Arc<Resync>,
    pub(super) reannouncer: Arc<Reannouncer>,
    pub(super) board: Arc<Board>,
    pub(super) asking: Arc<DelegationClient>,
    pub(super) taking_on: Arc<TakingOn>,
}

impl Inbox {
    pub(super) fn new(
        gateway: GatewayId,
        (bus, frontier): (Arc<dyn Bus>, Arc<Frontier>),
        to: Addressees,
        tasks: Tasks,
        metrics: Metrics,
    ) -> Self {
        Self {
            gateway,
            bus,
            frontier,
            to,
            tasks,
            metrics,
        }
    }

    pub(super) async fn listen(&self, stop: CancellationToken) {
        let Some(mut signals) = self.bus.signals() else {
            return;
        };
        // Never waited for: whatever the bus cannot confirm now it confirms later, with a gap.
        let (bus, own) = (Arc::clone(&self.bus), Channel::Gateway(self.gateway));
        self.tasks.spawn(async move {
            let _ = bus.subscribe(&[own]).await;
        });
        while let Some(Some(signal)) = stop.run_until_cancelled(signals.recv()).await {
            match signal {
                Signal::Payload { channel, payload } => self.take(channel, payload),
                Signal::Gap(doubt) => self.to.resync.doubt(doubt.name()),
                Signal::PublishDoubt(since) => {
                    self.metrics.hints.doubts.increment(1);
                    self.to.reannouncer.doubt(since);
                }
            }
        }
    }

    fn take(&self, channel: Channel, payload: Bytes) {
        self.metrics.hints.received.increment(1);
        let to = &self.to;
        match (channel, Envelope::decode(payload)) {
            (Channel::User(user), Some(Envelope::Event(offer))) => {
                to.catch_up.discover(offer.conversation, user);
                self.hear(offer);
            }
            (_, Some(Envelope::Event(offer))) => self.hear(offer),
            (Channel::User(user), Some(Envelope::Joined(conversation))) => {
                to.catch_up.discover(conversation, user)
            }
            (channel, Some(Envelope::Head(conversation, seq))) => {
                if let Channel::User(user) = channel {
                    to.catch_up.discover(conversation, user);
                }
                to.offering.hear_head(conversation, seq);
            }
            (Channel::Gateway(_), Some(Envelope::Gap)) => to.resync.doubt("publisher_lost"),
            (Channel::Gateway(_), Some(Envelope::Delegated(request))) => {
                to.taking_on.take_on(request)
            }
            (Channel::Gateway(_), Some(Envelope::Settled(answer))) => to.asking.settled(answer),
            (_, Some(Envelope::Passing(passing))) => to.offering.show(&passing),
            (_, Some(Envelope::Presence(change))) => to.board.hear(change),
            (channel, _) => tracing::debug!(?channel, "skipped a payload"),
        }
    }

    fn hear(&self, offer: Offer) {
        // A retry is announced again: its echo is not another gateway's.
        let writer = offer.writer.filter(|writer| *writer != self.gateway);
        self.frontier.hear(offer.conversation, offer.seq, writer);
        self.to.offering.offer(Arc::new(offer));
    }
}
