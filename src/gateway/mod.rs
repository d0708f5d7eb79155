//! The gateway: connections of clients, and what is sent to them. Protocol layers below know nothing of chat.

pub mod envelope;
pub mod hub;
pub mod offer;
pub mod outbox;
mod pacer;
mod receipts;
pub mod requests;
pub mod session;
mod topic;
