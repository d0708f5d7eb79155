//! Engine.IO and Socket.IO over real sockets: every case of the protocols' public suites, and what they leave out.
//! Knows nothing of chat.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod bounds;
mod client;
mod engine;
mod proof;
mod server;
mod socket;
mod upgrade;
