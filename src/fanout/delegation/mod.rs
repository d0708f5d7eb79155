//! Delegation between gateways (D38): requests and answers over their own channels of the bus. What is lost on the way
//! is an unknown outcome, which the committer resolves.

mod client;
mod taking_on;

pub(super) use client::DelegationClient;
pub(super) use taking_on::TakingOn;
