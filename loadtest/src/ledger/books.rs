//! The books of a run, before they are closed. Compares nothing.

use std::ops::Range;
use std::time::Duration;

use super::Truth;
use crate::client::Record;

/// One conversation of a run.
#[derive(Debug, Clone)]
pub(crate) struct Conversation {
    /// Its members, as indexes of sessions.
    pub(crate) members: Vec<usize>,
    /// Where its history is read.
    pub(crate) history: String,
    /// The id of a room whose log begins with the event that made it, which is not in the history.
    pub(crate) made: Option<String>,
}

/// Everything that is compared.
#[derive(Debug)]
pub(crate) struct Books<'a> {
    pub(crate) conversations: &'a [Conversation],
    /// One per session.
    pub(crate) records: &'a [Record],
    /// Per conversation, what history shows: seq, and the message's number if it is of this run.
    pub(crate) stored: &'a [Vec<(u64, Option<u64>)>],
    /// When the first second of the series begins.
    pub(crate) origin: Duration,
    /// Within which time it counts how evenly senders are served.
    pub(crate) within: Range<Duration>,
    /// How many of the first sessions send more at once than the others.
    pub(crate) deep: usize,
    /// What is true of each conversation of a mixed load; nothing is known of others.
    pub(crate) truths: &'a [Truth],
    /// The ids of the sessions' users.
    pub(crate) users: &'a [String],
}
