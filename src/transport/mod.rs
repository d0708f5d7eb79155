//! Transports: bytes to and from clients over WebSocket, Engine.IO and Socket.IO, what waits to be written to each, and
//! who may connect before it is known who they are. Knows nothing of chat.

pub(crate) mod brake;
pub mod closing;
pub mod engineio;
pub mod heartbeat;
pub mod lobby;
pub mod outbox;
mod reason;
pub mod socketio;
pub(crate) mod websocket;
