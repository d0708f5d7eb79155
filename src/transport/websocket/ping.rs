//! How a WebSocket is pinged, so that an answer can be told from a pong that nobody asked for. Knows no connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a protocol pings on a WebSocket.
#[derive(Debug)]
pub(crate) enum Ping {
    /// By a text frame of its own.
    Text(&'static str),
    /// By the WebSocket's ping, with a number.
    Numbered(Arc<PingCount>),
}

/// The number of the last ping. A pong must name it: one that the client sent of its own accord proves nothing (D28).
#[derive(Debug, Default)]
pub(crate) struct PingCount(AtomicU64);

impl PingCount {
    /// The payload of the next ping.
    pub(super) fn next(&self) -> [u8; 8] {
        (self.0.fetch_add(1, Ordering::Relaxed) + 1).to_be_bytes()
    }

    /// Whether a pong's payload names the last ping.
    pub(crate) fn is_last(&self, payload: &[u8]) -> bool {
        payload == self.0.load(Ordering::Relaxed).to_be_bytes()
    }
}
