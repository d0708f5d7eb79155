//! What is served over Socket.IO: who may connect to which namespace, and what happens to their events. Knows no
//! packet.

use async_trait::async_trait;
use serde_json::Value;

use super::args::ReceivedEvent;
use super::handshake::HandshakeRequest;
use super::refused::ConnectRefused;
use super::socket::Socket;
use crate::transport::outbox::{Mark, Reason};

/// What is served: decides who may connect to which namespace.
#[async_trait]
pub trait Application: Send + Sync + 'static {
    /// Whether this namespace exists. A client of another one is refused with the protocol's own message.
    fn has_namespace(&self, namespace: &str) -> bool {
        namespace == "/"
    }

    /// A client asks for a namespace. `socket` sends nothing before [`NamespaceHandler::connected`]; until then its
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
    ) -> Result<Box<dyn NamespaceHandler>, ConnectRefused>;
}

/// The application's side of one client in one namespace. Calls never overlap and come in the order of what happened.
/// While one is running nothing more is read from the client; what may take long is spawned ([`super::Ack`] and
/// [`Socket`] go with it), and how much of it at a time is the application's decision.
#[async_trait]
pub trait NamespaceHandler: Send {
    /// The client has been told that it is connected: emissions reach it from here on.
    async fn connected(&mut self) {}

    /// The client has sent an event; its acknowledgement, if it wants one, is in there.
    async fn event(&mut self, event: ReceivedEvent<'_>);

    /// Everything sent before this mark was received (D28).
    fn proved(&mut self, mark: Mark);

    /// A poll has taken what waited: the next one will prove what is marked now.
    fn taken(&mut self) {}

    /// The client has left the namespace, or the session has ended. The last call.
    async fn disconnected(&mut self, reason: Reason);
}
