//! Socket.IO 5 (<https://socket.io/docs/v4/socket-io-protocol/>) over Engine.IO: namespaces, events, acknowledgements,
//! binary attachments. Knows nothing of chat; serves an [`Application`].
//!
//! When the server wants a client gone for a while (drain, slow consumer) it closes the transport ([`Socket::close`]):
//! the official client then reconnects by itself, which it does not after a DISCONNECT packet ([`Socket::disconnect`]).

mod args;
mod client;
#[cfg(fuzzing)]
pub mod fuzzing;
mod handshake;
mod packet;
mod socket;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

pub use args::Event;
use client::{Server, Serving};
pub use handshake::HandshakeRequest;
pub use packet::{encode_event, encode_event_in};
pub use socket::{Ack, EmitError, Socket};

use super::engineio::{Engine, EngineConfig};
use super::heartbeat::Wheel;
use super::outbox::{Mark, Reason};
use crate::domain::Entropy;

/// What is served: decides who may connect to which namespace.
#[async_trait]
pub trait Application: Send + Sync + 'static {
    /// Whether this namespace exists. A client of another one is refused with the protocol's own message.
    fn has_namespace(&self, namespace: &str) -> bool {
        namespace == "/"
    }

    /// A client asks for a namespace. `socket` sends nothing before [`Connection::connected`]; until then its
    /// emissions fail.
    ///
    /// # Errors
    /// What the client is told in its `connect_error`.
    async fn connect(
        &self,
        namespace: &str,
        auth: Option<Value>,
        request: &HandshakeRequest,
        socket: Socket,
    ) -> Result<Box<dyn Connection>, ConnectRefused>;
}

/// The application's side of one client in one namespace. Calls never overlap and come in the order of what happened.
/// While one is running nothing more is read from the client; what may take long is spawned ([`Ack`] and [`Socket`] go
/// with it), and how much of it at a time is the application's decision.
#[async_trait]
pub trait Connection: Send {
    /// The client has been told that it is connected: emissions reach it from here on.
    async fn connected(&mut self) {}

    /// An event came.
    async fn event(&mut self, event: Event<'_>);

    /// The answer to [`Socket::emit_with_ack`].
    async fn acknowledged(&mut self, _id: u64, _args: Vec<&RawValue>, _attachments: Vec<Bytes>) {}

    /// Everything sent before this mark was received (D28).
    fn proved(&mut self, mark: Mark);

    /// A poll has taken what waited: the next one will prove what is marked now.
    fn taken(&mut self) {}

    /// The client or the server has left the namespace, or the session has ended. The last call.
    async fn disconnected(&mut self, reason: Reason);
}

/// Why a client may not connect; becomes its `connect_error`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ConnectRefused {
    /// The error's `message`.
    pub message: String,
    /// The error's `data`, in the application's own shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl ConnectRefused {
    /// A refusal with a message alone.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: None,
        }
    }
}

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
        let server = Server {
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
            engine: Engine::new(engine, Arc::new(Serving(Arc::new(server))), wheel, entropy),
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
