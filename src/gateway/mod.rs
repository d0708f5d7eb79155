//! The gateway: connections of clients, and what is sent to them. Protocol layers below know nothing of chat.

pub mod engineio;
pub mod heartbeat;
pub mod outbox;
pub mod socketio;
