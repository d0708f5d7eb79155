//! The books of a run: what was sent, acknowledged, stored and received, and whether they agree. Knows no wire.

mod balance;
mod books;
mod changes;
mod devices;
#[cfg(test)]
mod doctored;
mod reconcile;
mod series;
mod shares;
mod truth;

pub use balance::{Balance, Elsewhere, Tally};
pub(crate) use books::{Books, Conversation};
pub(crate) use reconcile::{Closed, reconcile};
pub(crate) use series::Series;
pub(crate) use shares::Shares;
pub(crate) use truth::{Logged, Truth};
