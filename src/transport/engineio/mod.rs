//! Engine.IO 4 (<https://socket.io/docs/v4/engine-io-protocol/>) on axum: sessions over WebSocket and HTTP
//! long-polling, with upgrade from one to the other. Knows nothing of Socket.IO; serves an [`EngineApp`].
//!
//! One task per session calls its handler, in order, and sees its end. Requests only hand over to it, so a client that
//! gives up a request half-way cannot cancel a message half-way.

mod body;
mod config;
mod counting;
mod engine;
#[cfg(fuzzing)]
pub mod fuzzing;
mod handler;
mod packet;
mod payload;
mod poller;
mod polling;
mod request;
mod session;
mod task;
mod upgrade;
mod websocket;

use std::fmt;
use std::sync::Arc;

use axum::http::request::Parts;

pub use config::{Cors, EngineConfig};
pub use engine::Engine;
pub use handler::{EngineHandler, EngineMessage};
pub use packet::text_message;
use session::EngineSession;

use super::outbox::{Closed, Frame, Outbox, Reason};

/// What is served: one handler per session.
pub trait EngineApp: Send + Sync + 'static {
    /// A session has begun; `request` is its handshake. Must not block.
    fn open(&self, socket: EngineSocket, request: &Parts) -> Box<dyn EngineHandler>;
}

/// A handle to one session. Clones are handles to the same session; holding one does not keep the session alive.
#[derive(Clone)]
pub struct EngineSocket(Arc<EngineSession>);

impl EngineSocket {
    /// The session's id, `{prefix}.{random}`: the prefix names the gateway.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.id()
    }

    /// The session's outbox. A text frame must be a whole Engine.IO packet ([`text_message`]); a binary frame is a
    /// binary message as it is.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        self.0.outbox()
    }

    /// Sends one encoded packet; see [`EngineSocket::outbox`].
    ///
    /// # Errors
    /// [`Closed`] when the session has ended.
    pub fn send(&self, frame: Frame) -> Result<(), Closed> {
        self.outbox().push(frame)
    }

    /// The client has said what it wants: [`EngineConfig::settle_timeout`] no longer applies.
    pub fn settle(&self) {
        self.outbox().settle();
        self.0.settle();
    }

    /// Closes the transport; the official client then reconnects by itself.
    pub fn close(&self, reason: Reason) {
        self.outbox().close(reason);
    }
}

impl fmt::Debug for EngineSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EngineSocket").field(&self.id()).finish()
    }
}
