//! What one session saw and did. Knows no wire and judges nothing beyond what [`super::place`] says of each arrival.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::hindsight::{Hindsight, Numbering};
use super::place::Arrival;
use crate::fold::{Effect, Folded};
use crate::mix::Kind;

/// A message of this run that a session has, as an event or as the answer to its own direct send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Receipt {
    /// The message's number in this run.
    pub(crate) number: u64,
    /// Its seq in its conversation; 0 until [`Hindsight`] knows it.
    pub(crate) seq: u64,
    /// When it arrived first, from the start of the run.
    pub(crate) at: Duration,
}

/// A message that a session was told to send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// Its number in this run.
    pub(crate) number: u64,
    /// When it should have left, from the start of the run.
    pub(crate) intended: Duration,
}

/// A change that a session was told to make.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) kind: Kind,
    /// Its conversation, as the run numbers them.
    pub(crate) conversation: usize,
    /// What is to become of it.
    pub(crate) effect: Effect,
    /// When it was written first, from the start of the run.
    pub(crate) begun: Option<Duration>,
    /// How often it was written: it has no id that would tell a repetition from another change.
    pub(crate) tries: u32,
    pub(crate) outcome: Ending,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing is known.
    Unanswered,
    /// It is so.
    Done {
        /// The place of its event, if the answer told it.
        seq: Option<u64>,
        /// When it was answered, from the start of the run.
        at: Duration,
    },
    /// It cannot be any more: its message was deleted, or its member has gone.
    Moot,
    /// Refused for good, with this code.
    Refused(String),
}

/// What a device has of one conversation, where that is kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    /// The events it has, in the order of arrival, without repeats.
    pub(crate) seqs: Vec<u64>,
    /// What they make of the conversation.
    pub(crate) state: Folded,
}

/// What the gateways said to which nothing was done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waits {
    /// How often they refused, for the time being or for good.
    pub(crate) refused: BTreeMap<Kind, u64>,
    /// The longest time from the first attempt at one of them to its answer, or to the end of the connection.
    pub(crate) slowest: Option<(Duration, Kind)>,
}

impl Waits {
    pub(super) fn refuse(&mut self, kind: Kind) {
        *self.refused.entry(kind).or_default() += 1;
    }

    pub(super) fn wait(&mut self, wait: Duration, kind: Kind) {
        self.slowest = self.slowest.max(Some((wait, kind)));
    }
}

/// Everything one session saw.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// What it was told to send.
    pub(crate) sent: Vec<Sent>,
    /// What it has, in the order of arrival; repeats are only counted.
    pub(crate) receipts: Vec<Receipt>,
    /// The rooms, by id, of which it was told that they were made.
    pub(crate) made: HashSet<String>,
    /// Its own sends that were acknowledged.
    pub(crate) acknowledged: Vec<Receipt>,
    /// Its own sends that were refused for good, with the error's code.
    pub(crate) refused: Vec<(u64, String)>,
    /// Arrivals after a later one.
    pub(crate) out_of_order: u64,
    /// Arrivals of what it had and had not asked for again.
    pub(crate) repeated: u64,
    /// Arrivals of what it had, but could not have proved to have (P4).
    pub(crate) repeated_after_reconnect: u64,
    /// The sender's own direct messages that came as the answer to a repeated send, and as the event of the first (D29).
    pub(crate) repeated_after_retry: u64,
    /// Messages that are not of this run.
    pub(crate) foreign: u64,
    /// Frames that are not of the documented form.
    pub(crate) unreadable: u64,
    /// Connections it had.
    pub(crate) connections: u64,
    /// Attempts that led to none.
    pub(crate) failed_connects: u64,
    /// Answers that asked for a retry, and refused connections, by code.
    pub(crate) errors: BTreeMap<String, u64>,
    /// The changes it was told to make, by number.
    pub(crate) changes: BTreeMap<u64, Wanted>,
    /// What it has of each conversation, by id; kept in mixed loads only.
    pub(crate) held: HashMap<String, Held>,
    pub(crate) waits: Waits,
    /// What came without a seq.
    pub(crate) hindsight: Hindsight,
    /// Descriptions of the first few violations.
    pub(crate) examples: Vec<String>,
}

impl Record {
    /// Counts an arrival.
    pub(super) fn note(&mut self, arrival: Arrival, describe: impl FnOnce() -> String) {
        const EXAMPLES: usize = 5;
        match arrival {
            Arrival::New => return,
            Arrival::PermittedAfterReconnect => {
                self.repeated_after_reconnect += 1;
                return;
            }
            Arrival::PermittedAfterRetry => {
                self.repeated_after_retry += 1;
                return;
            }
            Arrival::OutOfOrder => self.out_of_order += 1,
            Arrival::Repeated => self.repeated += 1,
        }
        if self.examples.len() < EXAMPLES {
            self.examples.push(format!("{arrival:?}: {}", describe()));
        }
    }

    /// Judges what came without a seq, by the seqs of history. What history does not know stays without.
    pub(crate) fn judge(&mut self, numbering: &Numbering) {
        if self.hindsight.is_empty() && self.acknowledged.iter().all(|receipt| receipt.seq > 0) {
            return;
        }
        for (arrival, description) in self.hindsight.arrivals(numbering) {
            self.note(arrival, || description);
        }
        for receipt in self.receipts.iter_mut().chain(&mut self.acknowledged) {
            let known = numbering.get(receipt.number);
            receipt.seq = known.map_or(receipt.seq, |(_, seq)| seq);
        }
    }

    /// Counts an error's code.
    pub(super) fn error(&mut self, code: &str) {
        *self.errors.entry(code.to_owned()).or_default() += 1;
    }
}
