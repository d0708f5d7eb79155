//! What the books say of a run. Knows no run.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::measure::Percentiles;

/// How many violations are described in words.
const EXAMPLES: usize = 20;

/// What became of the changes of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Sessions were told to make so many.
    pub asked: u64,
    /// Of these, acknowledged.
    pub acknowledged: u64,
    /// In the logs.
    pub stored: u64,
    /// Refused because their message was deleted, or their member gone.
    pub moot: u64,
    /// Refused with a code that is not to be retried.
    pub refused: u64,
    /// Neither acknowledged nor refused when the time to settle was over.
    pub unanswered: u64,
}

/// What gateways said to which nothing was done, of sends and changes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Elsewhere {
    /// How often they refused one, for the time being or for good, by kind.
    pub refused: BTreeMap<&'static str, u64>,
    /// The longest time from the first attempt at one of them to its answer, or to the end of the connection, in
    /// milliseconds.
    pub slowest_ms: f64,
    /// Of which kind that was.
    pub slowest: Option<&'static str>,
}

impl Elsewhere {
    /// How often they refused, over all kinds.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }
}

/// The outcome of a run. Whatever [`Balance::broken`] adds up must be zero.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Balance {
    /// Messages that sessions were told to send.
    pub sent: u64,
    /// Of these, acknowledged.
    pub acknowledged: u64,
    /// Messages that history shows.
    pub stored: u64,
    /// What all members together should have received.
    pub deliveries: u64,
    /// Acknowledged, and not in history (P1, P6, P7).
    pub acknowledged_not_stored: u64,
    /// Stored, and missing on the device of a member (P4, P5), be it that their room was made; one per member.
    pub not_delivered: u64,
    /// Arrived on a device that had it and had not asked for it again (P4).
    pub repeated: u64,
    /// Arrived again after a reconnect, beyond where the device asked to resume: nothing proved the first arrival, so P4
    /// permits it (D28).
    pub repeated_after_reconnect: u64,
    /// The sender's own direct message: shown by the answer to a repeated send, and as the event of the first try (D29).
    pub repeated_after_retry: u64,
    /// Arrived after a later one (P2).
    pub out_of_order: u64,
    /// Numbers missing in a conversation's log (P2).
    pub holes: u64,
    /// The same message more than once in history (P3).
    pub stored_twice: u64,
    /// Arrived or acknowledged under another seq than history shows, or of another run.
    pub wrong: u64,
    /// Refused with a code that is not to be retried.
    pub refused: u64,
    /// Neither acknowledged nor refused when the time to settle was over.
    pub unanswered: u64,
    /// Changes, by kind; of mixed loads.
    pub changes: BTreeMap<&'static str, Tally>,
    /// Changes that are in the log once more because they were asked for again while the first attempt was under way: a
    /// change has no id of its client's that would tell.
    pub changed_again_after_retry: u64,
    /// Devices, and what REST shows, whose state is not the log's.
    pub differing: u64,
    /// How gateways fared to which nothing was done, where one is the victim.
    pub elsewhere: Elsewhere,
    /// From an acknowledgement to the last member's receipt, the longest of all, in milliseconds.
    pub longest_gap_ms: f64,
    /// From the intended time of sending to the acknowledgement.
    pub acknowledgement_latency: Percentiles,
    /// From the intended time of sending to a receipt, by anyone but the sender.
    pub delivery_latency: Percentiles,
    /// Connections beyond the first of each session.
    pub reconnects: u64,
    /// Error codes that sessions met, and how often.
    pub errors: BTreeMap<String, u64>,
    /// The first few violations, in words.
    pub examples: Vec<String>,
}

impl Balance {
    /// Lost in either way: acknowledged and not stored, or stored and not delivered.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.acknowledged_not_stored + self.not_delivered
    }

    /// Arrived again, as P4 permits.
    #[must_use]
    pub fn repeated_as_permitted(&self) -> u64 {
        self.repeated_after_reconnect + self.repeated_after_retry
    }

    /// How many times a promise was broken.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.lost()
            + self.repeated
            + self.out_of_order
            + self.holes
            + self.stored_twice
            + self.wrong
            + self.refused
            + self.unanswered
            + self.differing
    }

    /// Messages and changes that sessions were told to send or make.
    #[must_use]
    pub fn all_sent(&self) -> u64 {
        let changes = self.changes.values();
        self.sent + changes.map(|tally| tally.asked).sum::<u64>()
    }

    /// Of these, acknowledged.
    #[must_use]
    pub fn all_acknowledged(&self) -> u64 {
        let changes = self.changes.values();
        self.acknowledged + changes.map(|tally| tally.acknowledged).sum::<u64>()
    }

    /// Something is not as it is stored.
    pub(super) fn wrong(&mut self, what: String) {
        self.wrong += 1;
        self.example(what);
    }

    /// Describes a violation, if it is one of the first.
    pub(super) fn example(&mut self, what: String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(what);
        }
    }
}
