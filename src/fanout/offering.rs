//! Gives events to their topics, whether they are live or fill a gap, and does what follows from that: sessions that
//! are left out catch up, a gap is reported, deliveries are counted and traced. Knows neither the bus nor the log.

use std::sync::Arc;

use super::catch_up::CatchUp;
use super::envelope::Passing;
use super::gaps::Gaps;
use super::offer::Offer;
use super::topic::Consequences;
use super::topics::Topics;
use crate::domain::{Clock, ConversationId, Seq, Timestamp};
use crate::metrics::Metrics;
use crate::traces::Traces;

pub(super) struct Offering {
    topics: Arc<Topics>,
    catch_up: Arc<CatchUp>,
    gaps: Arc<Gaps>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    traces: Traces,
}

impl Offering {
    pub(super) fn new(
        topics: Arc<Topics>,
        catch_up: Arc<CatchUp>,
        gaps: Arc<Gaps>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        traces: Traces,
    ) -> Self {
        Self {
            topics,
            catch_up,
            gaps,
            clock,
            metrics,
            traces,
        }
    }

    /// Offers a live event to the sessions of its conversation.
    pub(super) fn offer(&self, offer: Arc<Offer>) {
        let conversation = offer.conversation;
        let (at, is_local) = (offer.at, offer.writer.is_none());
        let consequences = self.topics.with(conversation, |topic| topic.offer(offer));
        if let Some(consequences) = consequences {
            self.count(at, is_local, &consequences);
            self.follow(conversation, consequences);
        }
    }

    /// Offers them one that was read from the log to fill a gap.
    pub(super) fn repair(&self, offer: Arc<Offer>) {
        let conversation = offer.conversation;
        let consequences = self.topics.with(conversation, |topic| topic.repair(offer));
        if let Some(consequences) = consequences {
            self.follow(conversation, consequences);
        }
    }

    /// A log reaches at least to here: reports the gap if that shows one.
    pub(super) fn hear_head(&self, conversation: ConversationId, head: Seq) {
        if self.topics.with(conversation, |topic| topic.hear(head)) == Some(true) {
            self.gaps.found(conversation);
        }
    }

    /// Writes something to whoever is there, except its author's sessions.
    pub(super) fn show(&self, passing: &Passing) {
        self.topics.with(passing.conversation, |topic| {
            for session in topic.sessions_except(passing.from) {
                session.write_encoded(&passing.encoded);
            }
        });
    }

    /// Does what an offer entails.
    fn follow(&self, conversation: ConversationId, consequences: Consequences) {
        for (traced, delivery) in &consequences.traced {
            self.traces.deliver(traced, delivery);
        }
        for (session, seq) in consequences.ended {
            session.ended(conversation, seq);
            // The user may have been added again meanwhile (D7).
            if !consequences.is_closed {
                self.catch_up.discover_session(conversation, &session);
            }
        }
        for (session, position) in consequences.detached {
            self.catch_up.again(conversation, &session, position);
        }
        if consequences.needs_repair {
            self.gaps.found(conversation);
        }
    }

    /// A live event was offered. `at` is when its message was accepted, if that is known, here or by another gateway,
    /// whose clock may differ.
    fn count(&self, at: Option<Timestamp>, is_local: bool, consequences: &Consequences) {
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
}
