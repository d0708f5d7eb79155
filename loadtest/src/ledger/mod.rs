//! The books of a run: what was sent, acknowledged, stored and received, and whether they agree. Knows no wire.

mod balance;
mod changes;
mod devices;
#[cfg(test)]
mod doctored;
mod reconcile;
mod series;
mod shares;
mod truth;

pub use balance::{Balance, Elsewhere, Tally};
pub(crate) use reconcile::{Books, Closed, Conversation, reconcile};
pub(crate) use series::Series;
pub(crate) use shares::Shares;
pub(crate) use truth::{Logged, Truth};
