//! What is counted against a quota: in the store, so that it holds whichever gateway is asked. Knows no quota in
//! particular.

use crate::domain::Timestamp;

/// An amount that is counted, if it fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// What, for whom and in which time: another time is another key, so nothing is ever reset.
    pub key: String,
    /// The most that may be counted under this key.
    pub limit: u32,
    /// When the key may be forgotten.
    pub until: Timestamp,
}
