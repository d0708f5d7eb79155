//! What all sessions of a run share, and what they are told. Knows no connection.

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::outstanding::Order;
use super::protocol::Target;
use crate::accounts::Accounts;
use crate::gateways::Gateways;

/// Where a reconnecting client resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resume {
    /// From what this device has: nothing may come twice.
    Since,
    /// From the user's cursor on the server: what was not proved received may come twice.
    Cursor,
}

/// How long a client believes in its connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For the answer to a request; then it reconnects elsewhere.
    pub(crate) answer: Duration,
    /// Without any sign of life; more than the server's ping interval.
    pub(crate) silence: Duration,
    /// The mean life of a connection, which then is cut by the client itself; `None` to keep it.
    pub(crate) churn: Option<Duration>,
}

/// What all sessions are told at once.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Phase {
    /// Grows with every order to cut all connections without a word.
    pub(crate) cuts: u64,
    /// A closed loop sends on its own until told to stop.
    pub(crate) sending: bool,
    /// The run is over.
    pub(crate) over: bool,
}

/// How far a run is, over all sessions.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Sends ordered and neither acknowledged nor refused.
    pub(crate) outstanding: AtomicI64,
    /// Acknowledged sends.
    pub(crate) acknowledged: AtomicU64,
    /// Deliveries that the acknowledged sends must lead to.
    pub(crate) expected: AtomicU64,
    /// Deliveries had.
    pub(crate) delivered: AtomicU64,
    /// Sessions with a connection.
    pub(crate) connected: AtomicU64,
    /// The next message's number, where sessions number their own.
    pub(crate) next_number: AtomicU64,
}

/// What all sessions of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The run's own name, in each of its messages.
    pub(crate) run: String,
    /// What every content is filled up with.
    pub(crate) padding: String,
    pub(crate) gateways: Gateways,
    pub(crate) start: Instant,
    pub(crate) patience: Patience,
    pub(crate) resume: Resume,
    pub(crate) counters: Counters,
    /// How many sessions belong to each conversation.
    pub(crate) sizes: Vec<u64>,
    pub(crate) accounts: Accounts,
}

/// Where a session's sends come from.
#[derive(Debug)]
pub(crate) enum Supply {
    /// From outside, at their own time.
    Open(mpsc::Receiver<Order>),
    /// The next as soon as fewer than `window` are unanswered.
    Closed {
        /// How many at once.
        window: usize,
        /// Which conversation, as the run numbers them.
        conversation: usize,
        /// Whom for.
        target: Target,
    },
}

impl Shared {
    pub(super) fn content(&self, number: u64) -> String {
        format!("{} {number} {}", self.run, self.padding)
    }

    /// The number of one of this run's messages.
    pub(crate) fn number_of(&self, content: &str) -> Option<u64> {
        let mut words = content.split(' ');
        (words.next()? == self.run).then_some(())?;
        words.next()?.parse().ok()
    }
}
