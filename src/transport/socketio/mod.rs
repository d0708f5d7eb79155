//! Socket.IO 5 (<https://socket.io/docs/v4/socket-io-protocol/>) over Engine.IO: namespaces, events, acknowledgements,
//! binary attachments. Knows nothing of chat; serves an [`Application`].
//!
//! When the server wants a client gone for a while (drain, slow consumer) it closes the transport ([`Socket::close`]):
//! the official client then reconnects by itself, which it does not after a DISCONNECT packet.

mod application;
mod args;
mod client;
#[cfg(fuzzing)]
pub mod fuzzing;
mod handshake;
mod packet;
mod refused;
mod socket;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;

pub use application::{Application, NamespaceHandler};
pub use args::ReceivedEvent;
use client::{ServerContext, SocketIoApp};
pub use handshake::HandshakeRequest;
pub use packet::encode_event;
pub use refused::ConnectRefused;
pub use socket::{Ack, Socket};

use super::engineio::{Engine, EngineConfig};
use super::heartbeat::Wheel;
use crate::domain::Entropy;

/// The settings of a Socket.IO server.
#[derive(Debug, Clone)]
pub struct SocketIoConfig {
    /// The layer below. Its `settle_timeout` is set from `connect_timeout`.
    pub engine: EngineConfig,
    /// From the handshake to the first accepted CONNECT, else the transport is closed.
    pub connect_timeout: Duration,
    /// Binary attachments in one packet; more end the session. Together they may have `max_payload` bytes.
    pub max_attachments: usize,
}

impl Default for SocketIoConfig {
    fn default() -> Self {
        Self {
            engine: EngineConfig {
                path: "/socket.io".to_owned(),
                ..EngineConfig::default()
            },
            connect_timeout: Duration::from_secs(45),
            max_attachments: 10,
        }
    }
}

/// A Socket.IO server. Clones are handles to the same one.
#[derive(Clone)]
pub struct SocketIo {
    engine: Engine,
}

impl SocketIo {
    /// A server of this application. Starts nothing; sessions need a tokio runtime.
    #[must_use]
    pub fn new(
        config: SocketIoConfig,
        application: Arc<dyn Application>,
        wheel: Wheel,
        entropy: Arc<Entropy>,
    ) -> Self {
        let server = ServerContext {
            application,
            entropy: Arc::clone(&entropy),
            max_attachments: config.max_attachments,
            max_attachment_bytes: config.engine.max_payload,
        };
        let engine = EngineConfig {
            settle_timeout: Some(config.connect_timeout),
            ..config.engine
        };
        Self {
            engine: Engine::new(
                engine,
                Arc::new(SocketIoApp(Arc::new(server))),
                wheel,
                entropy,
            ),
        }
    }

    /// The routes; see [`Engine::router`].
    pub fn router(&self) -> Router {
        self.engine.router()
    }

    /// The sessions below: to count, to drain, to await their end.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }
}

impl fmt::Debug for SocketIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketIo")
            .field("engine", &self.engine)
            .finish()
    }
}
