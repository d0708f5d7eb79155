//! A conversation as this gateway's hub holds it: its position, what is held until a gap is filled, and the local
//! sessions attached to it. A state machine without I/O, tasks or locks of its own; the hub calls it under its lock.
//!
//! Invariant: every attached session was offered every event up to the position (its own log's part of it), in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::offer::{Effect, Offer};
use super::roster::Roster;
use super::session::Session;
use crate::domain::{ConversationId, Seq, SessionId, UserId};
use crate::traces::{DeliveryAttributes, Traced};
use crate::transport::outbox::Reason;

/// How many events are held behind a gap; beyond it only the highest seq is kept and the rest is read from the log.
const HELD: usize = 512;
/// How many events are remembered while sessions catch up, so that one in a busy conversation can attach.
const RECENT: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Topic {
    /// The last seq offered to the attached sessions; meaningless while there are none.
    position: Seq,
    /// The highest seq known to exist.
    heard: Seq,
    /// Events behind a gap.
    held: BTreeMap<Seq, Arc<Offer>>,
    /// The last events, kept only while sessions catch up.
    recent: BTreeMap<Seq, Arc<Offer>>,
    attached: Roster<SessionId, Attachment>,
    /// How many sessions are catching up.
    catching_up: usize,
    /// A task is filling the gap.
    is_repairing: bool,
}

#[derive(Debug)]
struct Attachment {
    session: Arc<Session>,
    /// The last seq it had been given when it was attached; it may have been ahead of the topic.
    from: Seq,
}

/// What the hub must do after an event was offered.
#[derive(Debug, Default)]
pub(super) struct Consequences {
    /// There is a gap, and nobody fills it yet.
    pub(super) needs_repair: bool,
    /// The conversation is over for everybody: its room was deleted.
    pub(super) is_closed: bool,
    /// These sessions could not take a repair at once: they catch up from this position (D18).
    pub(super) detached: Vec<(Arc<Session>, Seq)>,
    /// The event is at or below the position: it was offered before.
    pub(super) is_duplicate: bool,
    /// How many sessions it was given to, with what it freed from behind a gap.
    pub(super) delivered: usize,
    /// What of it is traced; not allocated as long as nothing is.
    pub(super) traced: Vec<(Traced, DeliveryAttributes)>,
    /// The conversation is over for these sessions: their user was removed.
    pub(super) ended: Vec<(Arc<Session>, Seq)>,
}

/// Whether a session is attached now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attach {
    /// It is, from this seq on, and gets what follows.
    Attached(Seq),
    /// There is more in the log than it has, or has room for: read on after this seq, the last it was given.
    Behind(Seq),
    /// The session's user was removed meanwhile, by the event with this seq.
    Ended(Seq),
}

impl Topic {
    /// Offers an event that is live: a session that has no room for it is closed as slow by its outbox.
    pub(super) fn offer(&mut self, offer: Arc<Offer>) -> Consequences {
        self.take(offer, false)
    }

    /// Offers an event read from the log to fill a gap: a session that has no room is detached (D18).
    pub(super) fn repair(&mut self, offer: Arc<Offer>) -> Consequences {
        self.take(offer, true)
    }

    fn take(&mut self, offer: Arc<Offer>, is_repair: bool) -> Consequences {
        let mut consequences = Consequences::default();
        self.heard = self.heard.max(offer.seq);
        if self.attached.is_empty() {
            self.remember(&offer);
            return consequences;
        }
        if offer.seq <= self.position {
            consequences.is_duplicate = true;
            return consequences;
        }
        self.hold(offer);
        while let Some(next) = self.held.remove(&self.position.next()) {
            self.deliver(&next, is_repair, &mut consequences);
        }
        consequences.needs_repair =
            self.has_gap() && !std::mem::replace(&mut self.is_repairing, true);
        consequences
    }

    fn hold(&mut self, offer: Arc<Offer>) {
        let is_next = offer.seq == self.position.next();
        if self.held.len() >= HELD && !is_next {
            self.held.clear();
            return;
        }
        // Keep the first copy: one of this gateway's own knows of its trace, and that nothing came over the bus; the copy
        // that comes back from there does not.
        self.held.entry(offer.seq).or_insert(offer);
    }

    fn deliver(&mut self, offer: &Arc<Offer>, is_repair: bool, consequences: &mut Consequences) {
        let (before, given) = (self.position, consequences.delivered);
        self.position = offer.seq;
        self.remember(offer);
        consequences.is_closed |= offer.effect == Effect::Closed;
        self.attached.retain(|attachment| {
            if attachment.from >= offer.seq {
                return true;
            }
            let session = &attachment.session;
            if is_repair && !session.has_room() {
                consequences
                    .detached
                    .push((Arc::clone(session), before.max(attachment.from)));
                return false;
            }
            session.give(offer);
            consequences.delivered += 1;
            let ends = offer.effect.ends_for(session.user());
            if ends {
                consequences.ended.push((Arc::clone(session), offer.seq));
            }
            !ends
        });
        if let Some(traced) = offer.traced {
            let delivery = DeliveryAttributes {
                conversation: offer.conversation,
                seq: offer.seq,
                sessions: consequences.delivered - given,
                is_local: offer.writer.is_none(),
            };
            consequences.traced.push((traced, delivery));
        }
        if self.attached.is_empty() {
            self.held.clear();
        }
    }

    fn remember(&mut self, offer: &Arc<Offer>) {
        if self.catching_up == 0 {
            self.recent.clear();
            return;
        }
        self.recent.insert(offer.seq, Arc::clone(offer));
        if self.recent.len() > RECENT {
            self.recent.pop_first();
        }
    }

    /// Attaches a session that has been given everything up to `from` (D12).
    pub(super) fn attach(&mut self, session: &Arc<Session>, from: Seq) -> Attach {
        let goal = if self.attached.is_empty() {
            self.heard
        } else {
            self.position
        };
        let Some(missing) = self.remembered(from, goal) else {
            return Attach::Behind(from);
        };
        let mut place = from;
        for offer in missing {
            // Not live for this session: it must not overflow its outbox (D18).
            if !session.has_room() {
                return Attach::Behind(place);
            }
            session.give(&offer);
            place = offer.seq;
            if offer.effect.ends_for(session.user()) {
                return Attach::Ended(place);
            }
        }
        if self.attached.is_empty() {
            self.position = place;
            self.heard = self.heard.max(place);
        }
        let attachment = Attachment {
            session: Arc::clone(session),
            from: place,
        };
        self.attached.add(session.id(), attachment);
        Attach::Attached(place)
    }

    /// All events after `from` up to `goal`, if every one of them is remembered.
    fn remembered(&self, from: Seq, goal: Seq) -> Option<Vec<Arc<Offer>>> {
        let mut missing = Vec::new();
        let mut place = from;
        while place < goal {
            place = place.next();
            missing.push(Arc::clone(self.recent.get(&place)?));
        }
        Some(missing)
    }

    /// Takes a session off that goes on to answer requests: its position stays with it.
    pub(super) fn release(&mut self, session: &Session, conversation: ConversationId) {
        let Some(attachment) = self.attached.get(&session.id()) else {
            return;
        };
        let position = attachment.from.max(self.position);
        session.advance(conversation, position);
        self.detach(session.id());
    }

    /// Takes a session off; true when it was attached.
    pub(super) fn detach(&mut self, session: SessionId) -> bool {
        let was_attached = self.attached.remove(&session).is_some();
        if self.attached.is_empty() {
            self.held.clear();
        }
        was_attached
    }

    /// The last seq offered to the attached sessions, unless they were attached beyond it.
    pub(super) fn position(&self) -> Seq {
        self.position
    }

    /// Notes that the log reaches to here; true when that shows a gap that nobody fills yet.
    pub(super) fn hear(&mut self, head: Seq) -> bool {
        self.heard = self.heard.max(head);
        self.has_gap() && !std::mem::replace(&mut self.is_repairing, true)
    }

    /// A session begins to catch up: what comes meanwhile is remembered for it.
    pub(super) const fn pursued(&mut self) {
        self.catching_up += 1;
    }

    /// One that did has caught up, or does no more.
    pub(super) const fn pursued_no_more(&mut self) {
        self.catching_up = self.catching_up.saturating_sub(1);
    }

    /// The gap that whoever asks fills from now on: after this seq, up to that one. When there is none (left), nobody
    /// does.
    pub(super) fn gap_to_fill(&mut self) -> Option<(Seq, Seq)> {
        let gap = self.gap();
        self.is_repairing = gap.is_some();
        gap
    }

    fn gap(&self) -> Option<(Seq, Seq)> {
        let up_to = self
            .held
            .keys()
            .next()
            .map_or(self.heard, |first| first.previous());
        self.has_gap().then_some((self.position, up_to))
    }

    fn has_gap(&self) -> bool {
        !self.attached.is_empty() && self.heard > self.position
    }

    /// Nobody can fill the gap: ends the attached sessions, which resume elsewhere, rather than starve them in silence.
    pub(super) fn give_up(&mut self, reason: Reason) {
        self.is_repairing = false;
        for attachment in self.attached.iter() {
            attachment.session.close(reason);
        }
    }

    /// Whether no session is attached and none is being caught up.
    pub(super) fn is_unused(&self) -> bool {
        self.attached.is_empty() && self.catching_up == 0
    }

    /// The attached sessions of everybody but one user, if one is named.
    pub(super) fn sessions_except(
        &self,
        user: Option<UserId>,
    ) -> impl Iterator<Item = &Arc<Session>> {
        self.attached
            .iter()
            .map(|attachment| &attachment.session)
            .filter(move |session| Some(session.user()) != user)
    }
}

#[cfg(test)]
mod tests;
