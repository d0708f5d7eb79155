//! Engine.IO and Socket.IO over real sockets: every case of the protocols' public suites, and what they leave out.
//! Knows nothing of chat.

mod bounds;
mod client;
mod conformance;
mod engine;
mod habits;
mod proof;
mod server;
mod socket;
mod upgrade;
