//! The edges for clients with a socket: what may be asked and how it is answered, on `/ws` and over Socket.IO. Knows
//! the use cases and the fan-out; frames and connections are the transports'.

pub mod native;
pub mod requests;
pub mod socketio;
