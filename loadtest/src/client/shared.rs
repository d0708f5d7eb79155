//! What all sessions of a run share, and what they are told. Knows no connection.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::order::Order;
use super::protocol::Target;
use crate::accounts::Accounts;
use crate::gateways::Gateways;
use crate::mix::{Kind, Mix};

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
    /// Changes that are made, by kind.
    pub(crate) changed: [AtomicU64; Kind::ALL.len()],
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
    /// In loads that do more than send messages.
    pub(crate) mixed: Option<Mixed>,
}

/// What sessions need to know that make changes and fold what they are told.
#[derive(Debug)]
pub(crate) struct Mixed {
    /// The gateway, by number, that something is done to: what it answers, and when, is not judged.
    pub(crate) victim: Option<usize>,
    /// In the order in which the run numbers them.
    pub(crate) conversations: Vec<Common>,
    /// Their numbers, by id.
    pub(crate) numbers: HashMap<String, usize>,
}

/// What is known of a conversation beforehand.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) id: String,
    pub(crate) is_room: bool,
    /// The ids of those who belong to it all the time; a room's owner is the first.
    pub(crate) members: Vec<String>,
    /// Whom the owner adds and removes.
    pub(crate) guest: Option<String>,
    /// The end of its log, as far as anybody was told.
    pub(crate) head: AtomicU64,
}

impl Mixed {
    pub(crate) fn common(&self, conversation: &str) -> Option<&Common> {
        self.conversations.get(*self.numbers.get(conversation)?)
    }
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
        /// What is done.
        mix: Mix,
    },
}

impl Shared {
    /// What the message with this number says at first.
    pub(crate) fn content(&self, number: u64) -> String {
        format!("{} {number} {}", self.run, self.padding)
    }

    /// The clientMessageId of the message with this number.
    pub(super) fn own_id(&self, number: u64) -> String {
        format!("{}-{number}", self.run)
    }

    /// The number of a message: in what it says, or, when it was deleted, in its clientMessageId.
    pub(crate) fn number_in(&self, content: &str, own_id: Option<&str>) -> Option<u64> {
        let by_id = || own_id.and_then(|id| self.number_of_id(id));
        self.number_of(content).or_else(by_id)
    }

    fn number_of_id(&self, own_id: &str) -> Option<u64> {
        own_id
            .strip_prefix(&self.run)?
            .strip_prefix('-')?
            .parse()
            .ok()
    }

    /// Somebody knows of an event in this conversation, and perhaps has it now: settling waits until all who belong there
    /// have all that anybody knows of. Of mixed loads only.
    pub(super) fn progressed(&self, conversation: &str, seq: u64, user: &str, has_it: bool) {
        let mixed = self.mixed.as_ref();
        let Some(common) = mixed.and_then(|mixed| mixed.common(conversation)) else {
            return;
        };
        let before = common.head.fetch_max(seq, Ordering::Relaxed);
        let new = seq.saturating_sub(before) * common.members.len() as u64;
        self.counters.expected.fetch_add(new, Ordering::Relaxed);
        if has_it && common.guest.as_deref() != Some(user) {
            self.counters.delivered.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn number_of(&self, content: &str) -> Option<u64> {
        let mut words = content.split(' ');
        (words.next()? == self.run).then_some(())?;
        words.next()?.parse().ok()
    }
}
