//! One conversation's queue: work in its order, and among the messages between two pieces of other work a turn for each
//! sender. Knows neither the bounds nor the store.
//!
//! Each sender's messages keep their order (D2), and nothing else is promised of messages that wait: whoever answers
//! another's message has seen it, so it was stored by then. Who has many under way, here or on another gateway that
//! delegates (D38), waits behind his own, not the others behind him (D54): round robin, as in Nagle's "On Packet Switches
//! With Infinite Storage" (RFC 970), by messages.

use std::collections::{HashMap, VecDeque, hash_map};

use tokio::time::Instant;

use super::pending::{Duty, Entry, Work};
use super::portion::{Portion, Share};
use crate::domain::UserId;

/// How many messages a sender of another gateway's has at each turn, to one of a sender here. Whoever delegates (D38)
/// waits for the answer before it delegates more, and its senders stand idle meanwhile while those here go on: with one
/// they would get through half as much.
const DELEGATED_PER_TURN: usize = 2;

/// The most changes of messages that are decided and inserted together: for each of them its target is read.
const CHANGES: usize = 32;

/// What waits in one conversation. A lane exists while a driver works on it.
#[derive(Default)]
pub(super) struct Lane {
    parts: VecDeque<Part>,
    /// What it holds of the bounds: what its driver works on included.
    pub(super) held: Share,
}

enum Part {
    /// Messages with nothing else between them; never none.
    Messages(Senders),
    /// Changes of messages with nothing else between them, in the order they came; never none.
    Changes(VecDeque<(Work, Share)>),
    /// A change of the room or of its members, or the making of the conversation: what came before it is worked off first.
    Alone(Work, Share),
}

/// Messages by sender.
#[derive(Default)]
struct Senders {
    /// Those who have something waiting, each once, whose turn it is first.
    turns: VecDeque<UserId>,
    waiting: HashMap<UserId, VecDeque<(Work, Share)>>,
}

impl Lane {
    pub(super) fn push(&mut self, work: Work, share: Share) {
        let Work::Entry(pending) = &work else {
            return self.parts.push_back(Part::Alone(work, share));
        };
        let sender = pending.subject.sender();
        let part = match (&pending.subject, self.parts.back_mut()) {
            (Entry::Message(_), Some(Part::Messages(senders))) => {
                return senders.push(sender, work, share);
            }
            (Entry::Message(_), _) => {
                let mut senders = Senders::default();
                senders.push(sender, work, share);
                Part::Messages(senders)
            }
            (Entry::Change(change), last) if change.kind.target().is_some() => match last {
                Some(Part::Changes(changes)) => return changes.push_back((work, share)),
                _ => Part::Changes(VecDeque::from([(work, share)])),
            },
            (Entry::Change(_), _) => Part::Alone(work, share),
        };
        self.parts.push_back(part);
    }

    /// Takes at most so many messages or changes of messages, or one piece of other work; nothing when nothing waits.
    pub(super) fn take(&mut self, limit: usize) -> Portion {
        let mut portion = Portion::default();
        match self.parts.pop_front() {
            Some(Part::Alone(work, share)) => portion.add(work, share),
            Some(Part::Changes(mut changes)) => {
                let count = limit.min(CHANGES).min(changes.len());
                for (work, share) in changes.drain(..count) {
                    portion.add(work, share);
                }
                if !changes.is_empty() {
                    self.parts.push_front(Part::Changes(changes));
                }
            }
            Some(Part::Messages(mut senders)) => {
                while portion.share.count < limit && !senders.turns.is_empty() {
                    senders.take_turn(limit, &mut portion);
                }
                if !senders.turns.is_empty() {
                    self.parts.push_front(Part::Messages(senders));
                }
            }
            None => {}
        }
        portion
    }

    /// Takes out what is not begun and nobody waits for, of each sender from the first message on: what came first is due
    /// first.
    pub(super) fn give_up(&mut self, now: Instant) -> Share {
        let mut given_up = Share::default();
        self.parts.retain_mut(|part| match part {
            Part::Messages(senders) => {
                given_up.add(senders.give_up(now));
                !senders.turns.is_empty()
            }
            Part::Changes(changes) => {
                changes.retain(|(work, share)| {
                    let is_given_up = work.is_given_up(now);
                    if is_given_up {
                        given_up.add(*share);
                    }
                    !is_given_up
                });
                !changes.is_empty()
            }
            Part::Alone(work, share) => {
                let is_given_up = work.is_given_up(now);
                if is_given_up {
                    given_up.add(*share);
                }
                !is_given_up
            }
        });
        given_up
    }
}

impl Senders {
    fn push(&mut self, sender: UserId, work: Work, share: Share) {
        let waiting = self.waiting.entry(sender).or_default();
        if waiting.is_empty() {
            self.turns.push_back(sender);
        }
        waiting.push_back((work, share));
    }

    /// Adds to a portion what is due of the sender whose turn it is; who has more stands at the end of the line.
    fn take_turn(&mut self, limit: usize, portion: &mut Portion) {
        let Some(sender) = self.turns.pop_front() else {
            return;
        };
        let hash_map::Entry::Occupied(mut waiting) = self.waiting.entry(sender) else {
            return;
        };
        let messages = waiting.get_mut();
        let per_turn = match messages.front() {
            Some((Work::Entry(first), _)) if first.duty == Duty::TakenOn => DELEGATED_PER_TURN,
            _ => 1,
        };
        let count = per_turn
            .min(messages.len())
            .min(limit - portion.share.count);
        for (work, share) in messages.drain(..count) {
            portion.add(work, share);
        }
        if messages.is_empty() {
            waiting.remove();
        } else {
            self.turns.push_back(sender);
        }
    }

    fn give_up(&mut self, now: Instant) -> Share {
        let mut given_up = Share::default();
        let waiting = &mut self.waiting;
        self.turns.retain(|sender| {
            let Some(messages) = waiting.get_mut(sender) else {
                return false;
            };
            while let Some((work, share)) = messages.front()
                && work.is_given_up(now)
            {
                given_up.add(*share);
                messages.pop_front();
            }
            let is_left = !messages.is_empty();
            if !is_left {
                waiting.remove(sender);
            }
            is_left
        });
        given_up
    }
}
