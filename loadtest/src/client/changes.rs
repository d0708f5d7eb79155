//! How a session of a mixed load makes changes: chooses them, asks over the socket or over REST, and takes the answers.
//! Knows neither how frames travel nor what the books will say.

use std::sync::atomic::Ordering;

use super::deed::Deed;
use super::order::Order;
use super::outstanding::Unanswered;
use super::own::Spot;
use super::record::{Ending, Held, Sent, Wanted};
use super::rest_answer::RestAnswer;
use super::session::Session;
use crate::fold::{Effect, Folded};
use crate::rest::Failed;

impl Session {
    /// Takes up an order: chooses what to do, and notes that it is to be done.
    pub(super) fn order(&mut self, order: &Order) {
        let deed = self.choose(order);
        match deed.effect() {
            None => self.record.sent.push(Sent {
                number: order.number,
                intended: order.intended,
            }),
            Some(effect) => {
                let wanted = Wanted {
                    kind: deed.kind(),
                    conversation: order.conversation,
                    effect: effect.clone(),
                    begun: None,
                    tries: 0,
                    outcome: Ending::Unanswered,
                };
                self.record.changes.insert(order.number, wanted);
            }
        }
        self.outstanding.add(order.number, order.conversation, deed);
    }

    fn choose(&mut self, order: &Order) -> Deed {
        let mixed = self.shared.mixed.as_ref();
        let common = mixed.and_then(|mixed| mixed.conversations.get(order.conversation));
        let Some(common) = common else {
            return Deed::Send(order.target.clone());
        };
        let is_owner = common.members.first() == Some(&self.user.id);
        let scene = Spot {
            conversation: &common.id,
            target: &order.target,
            guest: common.guest.as_deref().filter(|_| is_owner),
            run: &self.shared.run,
        };
        let own = self.own.entry(order.conversation).or_default();
        own.choose(order.kind, order.number, &scene)
    }

    /// Whether what the present gateway answers, and when, is judged.
    pub(super) fn is_timed(&self) -> bool {
        let mixed = self.shared.mixed.as_ref();
        let victim = mixed.and_then(|mixed| mixed.victim);
        victim.is_some_and(|victim| victim != self.gateway)
    }

    /// Another attempt begins.
    pub(super) fn note_begun(&mut self, number: u64) {
        if let Some(wanted) = self.record.changes.get_mut(&number) {
            let now = self.shared.start.elapsed();
            wanted.begun.get_or_insert(now);
            wanted.tries += 1;
        }
    }

    /// The connection is over: what was not answered has waited in vain until now.
    pub(super) fn note_waits(&mut self) {
        if !self.is_timed() {
            return;
        }
        for send in self.outstanding.all() {
            if let Some(wait) = send.timed_wait() {
                self.record.waits.wait(wait, send.deed.kind());
            }
        }
    }

    /// Asks over REST, at the gateway of the session. The answer comes as [`RestAnswer`].
    pub(super) fn ask(&self, number: u64, deed: &Deed) {
        let rest = self.shared.accounts.gateway(self.gateway).cloned();
        let (Some(rest), Some((method, path, body))) = (rest, deed.asked()) else {
            return;
        };
        let tries = self.outstanding.get(number).map_or(0, |send| send.tries);
        let (token, telling) = (self.user.token.clone(), self.telling.clone());
        tokio::spawn(async move {
            let answered = rest.send(method, &path, Some(&token), body.as_ref()).await;
            let told = RestAnswer {
                number,
                tries,
                outcome: answered.map(drop),
            };
            // The session is over: then nobody wants to know.
            let _ = telling.send(told).await;
        });
    }

    pub(super) fn take_told(&mut self, told: RestAnswer) {
        let Some(asked) = self.outstanding.get(told.number) else {
            return;
        };
        let effect = asked.deed.effect().cloned();
        match (told.outcome, effect) {
            // It is so already, by an attempt whose answer was lost; the books say whether there was one.
            (Ok(()), _)
            | (Err(Failed::Status(409)), Some(Effect::Added(..)))
            | (Err(Failed::Status(404)), Some(Effect::Removed(..))) => {
                self.changed(told.number, None);
            }
            // An earlier attempt failed late; the present one will be answered.
            (Err(_), _) if told.tries < asked.tries => {}
            (Err(Failed::Status(404)), Some(Effect::Appointed(..))) => {
                self.unchanged(told.number, "no_such_member");
            }
            (Err(Failed::Status(status)), _) if !matches!(status, 429 | 503) => {
                self.refused(told.number, &format!("status {status}"));
            }
            (Err(_), _) => self.refused(told.number, "unavailable"),
        }
    }

    /// A change is made, at this place if the answer tells it.
    pub(super) fn changed(&mut self, number: u64, seq: Option<u64>) {
        let Some(send) = self.take_answered(number) else {
            return;
        };
        if let Some(seq) = seq
            && let Deed::Change(conversation, _) = &send.deed
        {
            self.shared
                .progressed(conversation, seq, &self.user.id, false);
        }
        let at = self.shared.start.elapsed();
        let changed = &self.shared.counters.changed[send.deed.kind() as usize];
        changed.fetch_add(1, Ordering::Relaxed);
        self.settle(number, &send, Ending::Done { seq, at });
    }

    /// A change is refused for good.
    pub(super) fn unchanged(&mut self, number: u64, code: &str) {
        let Some(send) = self.take_answered(number) else {
            return;
        };
        let outcome = match code {
            "message_deleted" | "no_such_member" => Ending::Moot,
            code => Ending::Refused(code.to_owned()),
        };
        self.settle(number, &send, outcome);
    }

    fn settle(&mut self, number: u64, send: &Unanswered, outcome: Ending) {
        let is_done = matches!(outcome, Ending::Done { .. });
        if let Some(wanted) = self.record.changes.get_mut(&number) {
            wanted.outcome = outcome;
        }
        if let Some(effect) = send.deed.effect() {
            let own = self.own.entry(send.conversation).or_default();
            own.settled(effect, is_done);
        }
    }

    /// An answer came, and is the last; `None` when there was one before.
    pub(super) fn take_answered(&mut self, number: u64) -> Option<Unanswered> {
        let send = self.outstanding.remove(number)?;
        if let Some(wait) = send.timed_wait() {
            self.record.waits.wait(wait, send.deed.kind());
        }
        let outstanding = &self.shared.counters.outstanding;
        outstanding.fetch_sub(1, Ordering::Relaxed);
        Some(send)
    }

    /// This device has an event that it did not have before.
    pub(super) fn hold(&mut self, conversation: &str, seq: u64, sender: &str, effect: &Effect) {
        let Some(mixed) = &self.shared.mixed else {
            return;
        };
        let (Some(common), Some(number)) = (
            mixed.common(conversation),
            mixed.numbers.get(conversation).copied(),
        ) else {
            return;
        };
        let held = self.record.held.entry(conversation.to_owned());
        let held = held.or_insert_with(|| Held {
            seqs: Vec::new(),
            state: Folded::of(common.members.iter().map(String::as_str)),
        });
        held.seqs.push(seq);
        held.state.take(seq, sender, effect);
        if matches!(effect, Effect::Said(_)) {
            self.own.entry(number).or_default().saw(seq);
        }
        self.shared
            .progressed(conversation, seq, &self.user.id, true);
    }
}
