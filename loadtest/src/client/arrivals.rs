//! What a session makes of what it is told: arrivals, answers, refusals. Knows no connection.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use super::outstanding::Unanswered;
use super::place::place_in;
use super::protocol::Target;
use super::record::Receipt;
use super::said::{Incoming, Message, RoomUpdated};
use super::session::Session;

impl Session {
    pub(super) fn take(&mut self, text: &str) {
        match self.protocol.read(text) {
            Some(Incoming::Message(message)) => self.arrived(&message),
            Some(Incoming::RoomUpdated(update)) => self.updated(&update),
            Some(Incoming::Answer { id, outcome }) if id % 2 == 1 => {
                self.answered(id / 2, outcome.as_ref().map(Option::as_ref));
            }
            Some(_) => {}
            None => self.record.unreadable += 1,
        }
    }

    fn arrived(&mut self, message: &Message<'_>) {
        let Some(number) = self.shared.number_of(&message.content) else {
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
        }
    }

    /// An event that is no message keeps the rules of the order all the same.
    fn updated(&mut self, update: &RoomUpdated<'_>) {
        let Some(place) = place_in(&mut self.places, &update.conversation_id) else {
            return;
        };
        let arrival = place.arrived(update.seq, false);
        let user = &self.user.id;
        self.record.note(arrival, || {
            format!("{user} got {} of {}", update.seq, update.conversation_id)
        });
        if update.change == "created" {
            self.record
                .made
                .insert(update.conversation_id.clone().into_owned());
        }
    }

    fn have(&mut self, number: u64, seq: u64) {
        let at = self.shared.start.elapsed();
        self.record.receipts.push(Receipt { number, seq, at });
        self.shared
            .counters
            .delivered
            .fetch_add(1, Ordering::Relaxed);
    }

    fn answered(&mut self, number: u64, outcome: Result<Option<&Message<'_>>, &Cow<'_, str>>) {
        match outcome {
            Ok(Some(message)) => self.acknowledged(number, message),
            Ok(None) => self.record.unreadable += 1,
            Err(code) => self.refused(number, code),
        }
    }

    fn acknowledged(&mut self, number: u64, message: &Message<'_>) {
        let Some(send) = self.outstanding.remove(number) else {
            return;
        };
        let (seq, at) = (message.seq.unwrap_or_default(), self.shared.start.elapsed());
        self.record.acknowledged.push(Receipt { number, seq, at });
        let counters = &self.shared.counters;
        counters
            .expected
            .fetch_add(self.shared.sizes[send.conversation], Ordering::Relaxed);
        counters.acknowledged.fetch_add(1, Ordering::Relaxed);
        counters.outstanding.fetch_sub(1, Ordering::Relaxed);
        if matches!(send.target, Target::User(_)) && self.has_own(number, &send, message) {
            self.have(number, seq);
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

    fn refused(&mut self, number: u64, code: &str) {
        self.record.error(code);
        if matches!(code, "busy" | "unavailable" | "rate_limited") {
            self.outstanding.postpone(number);
        } else if self.outstanding.remove(number).is_some() {
            self.record.refused.push((number, code.to_owned()));
            self.shared
                .counters
                .outstanding
                .fetch_sub(1, Ordering::Relaxed);
        }
    }
}
