//! What a session makes of what it is told: arrivals, answers, refusals. Knows no connection.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use super::deed::Deed;
use super::outstanding::Unanswered;
use super::place::place_in;
use super::protocol::Target;
use super::record::Receipt;
use super::said::{Answered, Incoming, Message};
use super::session::Session;
use crate::fold::{Effect, Event};

impl Session {
    pub(super) fn take(&mut self, text: &str) {
        match self.protocol.read(text) {
            Some(Incoming::Message(message)) => self.arrived(&message),
            Some(Incoming::Changed(change, effect)) => self.heard_of(&change, &effect),
            Some(Incoming::Answer { id, outcome }) if id % 2 == 1 => {
                self.answered(id / 2, outcome.as_ref());
            }
            Some(_) => {}
            None => self.record.unreadable += 1,
        }
    }

    fn arrived(&mut self, message: &Message<'_>) {
        let own_id = message.client_message_id.as_deref();
        let Some(number) = self.shared.number_in(&message.content, own_id) else {
            self.record.foreign += 1;
            return;
        };
        let own_direct = message.receiver_id.is_some() && message.sender_id == self.user.id;
        let Some(seq) = message.seq else {
            let hindsight = &mut self.record.hindsight;
            if hindsight.arrived(number, own_direct, message.timestamp.as_deref()) {
                self.have(number, 0);
            }
            return;
        };
        let Some(place) = place_in(&mut self.places, &message.conversation_id) else {
            return;
        };
        let before = place.has(seq);
        let arrival = place.arrived(seq, own_direct);
        let user = &self.user.id;
        self.record.note(arrival, || {
            format!("{user} got {seq} of {}", message.conversation_id)
        });
        if !before {
            self.have(number, seq);
            self.hold_message(message, seq);
        }
    }

    fn hold_message(&mut self, message: &Message<'_>, seq: u64) {
        if self.shared.mixed.is_some() {
            let said = Effect::Said(message.saying());
            self.hold(&message.conversation_id, seq, &message.sender_id, &said);
        }
    }

    /// An event that is no message keeps the rules of the order all the same.
    fn heard_of(&mut self, change: &Event<'_>, effect: &Effect) {
        let Some(place) = place_in(&mut self.places, &change.conversation_id) else {
            return;
        };
        let before = place.has(change.seq);
        let arrival = place.arrived(change.seq, false);
        let user = &self.user.id;
        match effect {
            Effect::Added(added, _) if added == user => place.begins_at(change.seq),
            Effect::Made(_) => {
                let room = change.conversation_id.clone().into_owned();
                self.record.made.insert(room);
            }
            _ => {}
        }
        self.record.note(arrival, || {
            format!("{user} got {} of {}", change.seq, change.conversation_id)
        });
        if !before {
            self.hold(
                &change.conversation_id,
                change.seq,
                &change.sender_id,
                effect,
            );
        }
    }

    fn have(&mut self, number: u64, seq: u64) {
        let at = self.shared.start.elapsed();
        self.record.receipts.push(Receipt { number, seq, at });
        // In mixed loads all events count, when they are held.
        if self.shared.mixed.is_none() {
            let delivered = &self.shared.counters.delivered;
            delivered.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn answered(&mut self, number: u64, outcome: Result<&Answered<'_>, &Cow<'_, str>>) {
        let is_send = self
            .outstanding
            .get(number)
            .is_none_or(|send| matches!(send.deed, Deed::Send(_)));
        match outcome {
            Ok(made) if !is_send => self.changed(number, made.seq),
            Ok(made) => match &made.message {
                Some(message) => self.acknowledged(number, message),
                None => self.record.unreadable += 1,
            },
            Err(code) => self.refused(number, code),
        }
    }

    fn acknowledged(&mut self, number: u64, message: &Message<'_>) {
        let Some(send) = self.take_answered(number) else {
            return;
        };
        let (seq, at) = (message.seq.unwrap_or_default(), self.shared.start.elapsed());
        self.record.acknowledged.push(Receipt { number, seq, at });
        let counters = &self.shared.counters;
        counters.acknowledged.fetch_add(1, Ordering::Relaxed);
        match self.shared.mixed {
            None => {
                let size = self.shared.sizes[send.conversation];
                counters.expected.fetch_add(size, Ordering::Relaxed);
            }
            Some(_) => {
                let own = self.own.entry(send.conversation).or_default();
                own.sent(seq, number);
                self.shared
                    .progressed(&message.conversation_id, seq, &self.user.id, false);
            }
        }
        let to_user = matches!(send.deed, Deed::Send(Target::User(_)));
        if to_user && self.has_own(number, &send, message) {
            self.have(number, seq);
            self.hold_message(message, seq);
        }
    }

    /// The answer to an own direct send is its event too (D29). True if it was not had before.
    fn has_own(&mut self, number: u64, send: &Unanswered, message: &Message<'_>) -> bool {
        let is_first_try = send.tries == 1;
        match message.seq {
            Some(seq) => place_in(&mut self.places, &message.conversation_id)
                .is_some_and(|place| place.answered(seq, is_first_try)),
            None => self.record.hindsight.answered(number, is_first_try),
        }
    }

    pub(super) fn refused(&mut self, number: u64, code: &str) {
        self.record.error(code);
        let Some(send) = self.outstanding.get(number) else {
            return;
        };
        let (kind, is_send) = (send.deed.kind(), matches!(send.deed, Deed::Send(_)));
        let is_moot = !is_send && code == "message_deleted";
        if self.is_timed() && !is_moot {
            self.record.waits.refuse(kind);
        }
        if matches!(code, "busy" | "unavailable" | "rate_limited") {
            self.outstanding.postpone(number);
        } else if !is_send {
            self.unchanged(number, code);
        } else if self.take_answered(number).is_some() {
            self.record.refused.push((number, code.to_owned()));
        }
    }
}
