//! The gateway: connections of clients, and what is sent to them. Protocol layers below know nothing of chat.

mod brake;
pub mod closing;
mod drain;
pub mod engineio;
pub mod envelope;
pub mod heartbeat;
pub mod hub;
pub mod lobby;
pub mod native;
pub mod offer;
pub mod outbox;
mod pacer;
mod receipts;
pub mod requests;
mod roster;
pub mod seats;
pub mod session;
pub mod socketio;
mod topic;
mod websocket;
