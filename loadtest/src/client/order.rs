//! What a session is told to do. Knows nobody who does it.

use std::time::Duration;

use super::protocol::Target;
use crate::mix::Kind;

/// Something to do: to send a message, or to change something where there is something to change.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// Its number in this run.
    pub(crate) number: u64,
    pub(crate) kind: Kind,
    /// Its conversation, as the run numbers them.
    pub(crate) conversation: usize,
    /// Whom a message would be for.
    pub(crate) target: Target,
    /// When it should leave, from the start of the run: latencies count from here, however late it really leaves.
    pub(crate) intended: Duration,
}
