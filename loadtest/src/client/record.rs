//! What one session saw. Knows no wire and judges nothing beyond what [`super::place`] says of each arrival.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::hindsight::{Hindsight, Numbering};
use super::place::Arrival;

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
            let known = numbering.get(&receipt.number);
            receipt.seq = known.map_or(receipt.seq, |(_, seq)| *seq);
        }
    }

    /// Counts an error's code.
    pub(super) fn error(&mut self, code: &str) {
        *self.errors.entry(code.to_owned()).or_default() += 1;
    }
}
