//! Frames as a transport sends them, and what is written at once. Knows no protocol.

use std::collections::VecDeque;

use bytes::Bytes;
use tungstenite::Utf8Bytes;

/// What a queued frame costs besides its bytes, in bytes: its place in the queue and its share of the encoding.
pub const FRAME_OVERHEAD: usize = 64;

/// One frame as the transport sends it. Cloning shares the bytes, so one encoding serves thousands of sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text frame.
    Text(Utf8Bytes),
    /// A binary frame.
    Binary(Bytes),
}

impl Frame {
    /// What the frame counts towards the outbox's limit, in bytes.
    #[must_use]
    pub fn cost(&self) -> usize {
        FRAME_OVERHEAD + self.len()
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.as_str().len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

impl From<String> for Frame {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

/// What the writer writes next: the frames in order, then perhaps a ping, then one flush.
#[derive(Debug, Default)]
pub struct Batch {
    /// Frames in the order they were pushed.
    pub frames: VecDeque<Frame>,
    /// A ping follows the frames; its pong goes to `Outbox::pong`.
    pub ping: bool,
}

impl Batch {
    /// The bytes of its frames, for counting.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.frames.iter().map(|frame| frame.len() as u64).sum()
    }
}

/// How pings may be used to prove receipt on the transport that takes a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pings {
    /// A mark is proved by a ping behind it (WebSocket).
    ForProof,
    /// Only the heartbeat pings; marks are proved by the next poll (long-polling).
    HeartbeatOnly,
    /// Every batch that has frames ends with a ping, and none leaves before the pong of the one before: each can be lost by
    /// itself, and nothing but its own pong says that it was not (long-polling, by a client whose polls look alike).
    EachBatch,
}
