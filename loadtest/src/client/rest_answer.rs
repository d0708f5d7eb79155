//! How a session hears from the tasks that ask over REST for it.

use crate::rest::Failed;

/// The answer to something that was asked over REST.
#[derive(Debug)]
pub(super) struct RestAnswer {
    pub(super) number: u64,
    /// Which attempt it answers.
    pub(super) tries: u32,
    pub(super) outcome: Result<(), Failed>,
}
