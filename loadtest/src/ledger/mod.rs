//! The books of a run: what was sent, acknowledged, stored and received, and whether they agree. Knows no wire.

mod balance;
mod reconcile;
mod series;
mod shares;

pub use balance::Balance;
pub(crate) use reconcile::{Books, Closed, Conversation, reconcile};
pub(crate) use series::Series;
pub(crate) use shares::Shares;
