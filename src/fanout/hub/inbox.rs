//! What comes over the bus. The signals are taken one by one, in order; everything slow is a task of its own, so that
//! the bus is never kept waiting.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::super::envelope::{Envelope, Passing};
use super::super::offer::Offer;
use super::super::session::Place;
use super::super::topic::Consequences;
use super::Hub;
use crate::bus::{Channel, Signal};

impl Hub {
    /// Takes signals until `stop`.
    pub(super) async fn listen(self: &Arc<Self>, stop: CancellationToken) {
        let Some(mut signals) = self.bus.signals() else {
            return;
        };
        // Never waited for: whatever the bus cannot confirm now it confirms later, with a gap.
        let hub = Arc::clone(self);
        self.tracker.spawn(async move {
            let own = [Channel::Gateway(hub.gateway)];
            let _ = hub.bus.subscribe(&own).await;
        });
        while let Some(Some(signal)) = stop.run_until_cancelled(signals.recv()).await {
            match signal {
                Signal::Payload { channel, payload } => self.take(channel, payload),
                Signal::Gap(doubt) => self.resync(doubt.name()),
                Signal::PublishDoubt(since) => {
                    self.metrics.hints.doubts.increment(1);
                    self.announce_again(since);
                }
            }
        }
    }

    fn take(self: &Arc<Self>, channel: Channel, payload: Bytes) {
        self.metrics.hints.received.increment(1);
        match (channel, Envelope::decode(payload)) {
            (Channel::User(user), Some(Envelope::Event(offer))) => {
                self.discover(offer.conversation, user);
                self.hear(offer);
            }
            (_, Some(Envelope::Event(offer))) => self.hear(offer),
            (Channel::User(user), Some(Envelope::Joined(conversation))) => {
                self.discover(conversation, user)
            }
            (channel, Some(Envelope::Head(conversation, seq))) => {
                if let Channel::User(user) = channel {
                    self.discover(conversation, user);
                }
                self.hear_head(conversation, seq);
            }
            (Channel::Gateway(_), Some(Envelope::Gap)) => self.resync("publisher_lost"),
            (Channel::Gateway(_), Some(Envelope::Delegated(request))) => self.take_on(request),
            (Channel::Gateway(_), Some(Envelope::Settled(answer))) => self.settled(answer),
            (_, Some(Envelope::Passing(passing))) => self.show(&passing),
            (_, Some(Envelope::Presence(change))) => self.hear_presence(change),
            (channel, _) => tracing::debug!(?channel, "skipped a payload"),
        }
    }

    fn hear(self: &Arc<Self>, offer: Offer) {
        // A retry is announced again: its echo is not another gateway's.
        let writer = offer.writer.filter(|writer| *writer != self.gateway);
        self.frontier.hear(offer.conversation, offer.seq, writer);
        self.offer(Arc::new(offer));
    }

    /// Offers a live event to the sessions of its conversation.
    pub(super) fn offer(self: &Arc<Self>, offer: Arc<Offer>) {
        let conversation = offer.conversation;
        let (at, is_local) = (offer.at, offer.writer.is_none());
        let consequences = self.topics.with(conversation, |topic| topic.offer(offer));
        if let Some(consequences) = consequences {
            self.count_offer(at, is_local, &consequences);
            self.follow(conversation, consequences);
        }
    }

    /// Does what an offer entails.
    pub(super) fn follow(
        self: &Arc<Self>,
        conversation: crate::domain::ConversationId,
        consequences: Consequences,
    ) {
        for (traced, delivery) in &consequences.traced {
            self.traces.deliver(traced, delivery);
        }
        for (session, seq) in consequences.ended {
            session.set_place(conversation, Place::Ended(seq));
            // The user may have been added again meanwhile (D7).
            if !consequences.is_closed {
                self.discover_session(conversation, &session);
            }
        }
        for (session, position) in consequences.detached {
            self.catch_up_again(conversation, &session, position);
        }
        if consequences.needs_repair {
            self.repair(conversation);
        }
    }

    fn show(&self, passing: &Passing) {
        self.topics.with(passing.conversation, |topic| {
            for session in topic.sessions_except(passing.from) {
                session.write_encoded(&passing.encoded);
            }
        });
    }
}
