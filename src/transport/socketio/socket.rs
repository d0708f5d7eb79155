//! What an application holds of a client: to send to it, to answer it, to end it. Knows nothing of how packets arrive.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;

use super::ConnectRefused;
use super::packet::{Packet, PacketType, array, event_payload};
use crate::transport::engineio::EngineSocket;
use crate::transport::outbox::{Closed, Frame, Outbox, Reason};

/// One client in one namespace. Clones are handles to the same one; holding one keeps nothing open.
#[derive(Clone)]
pub struct Socket(Arc<SocketInner>);

struct SocketInner {
    engine: EngineSocket,
    namespace: Box<str>,
    id: Box<str>,
    stage: AtomicU8,
}

const CONNECTING: u8 = 0;
const CONNECTED: u8 = 1;
const GONE: u8 = 2;

impl Socket {
    pub(super) fn new(engine: EngineSocket, namespace: &str, id: String) -> Self {
        Self(Arc::new(SocketInner {
            engine,
            namespace: namespace.into(),
            id: id.into_boxed_str(),
            stage: AtomicU8::new(CONNECTING),
        }))
    }

    /// The Socket.IO id the client was told; another one than the session's.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The id of the Engine.IO session, which names the gateway.
    #[must_use]
    pub fn session_id(&self) -> &str {
        self.0.engine.id()
    }

    /// The namespace, `/` by default.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// Sends an event whose arguments are JSON values already, with the attachments their placeholders stand for.
    ///
    /// # Errors
    /// [`Closed`] when the client has left, is not connected yet, or does not read: then its session has just ended.
    pub fn emit_raw(
        &self,
        name: &str,
        args: &[&str],
        attachments: Vec<Bytes>,
    ) -> Result<(), Closed> {
        self.send(
            PacketType::Event,
            None,
            &event_payload(name, args),
            attachments,
        )
    }

    /// The session's outbox, shared by its namespaces: for events that are encoded already ([`super::encode_event`]), and
    /// for proof that what was sent was received ([`Outbox::mark`]), which comes to [`super::NamespaceHandler::proved`].
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        self.0.engine.outbox()
    }

    /// Closes the transport, for all namespaces. The official client reconnects by itself.
    pub fn close(&self, reason: Reason) {
        self.0.engine.close(reason);
    }

    /// Tells the client that it is connected; emissions follow.
    pub(super) fn accept(&self) {
        let payload = serde_json::json!({ "sid": self.id() }).to_string();
        // An ended session is noticed by its task.
        let _ = self.push(PacketType::Connect, None, &payload, Vec::new());
        self.0.stage.store(CONNECTED, Ordering::Release);
    }

    /// Tells the client why it may not connect.
    pub(super) fn refuse(&self, refused: &ConnectRefused) {
        self.forget();
        let payload = serde_json::to_string(refused).unwrap_or_default();
        // As above.
        let _ = self.push(PacketType::ConnectError, None, &payload, Vec::new());
    }

    /// The client left, or was refused.
    pub(super) fn forget(&self) {
        self.0.stage.store(GONE, Ordering::Release);
    }

    fn check_connected(&self) -> Result<(), Closed> {
        match self.0.stage.load(Ordering::Acquire) {
            CONNECTED => Ok(()),
            _ => Err(Closed),
        }
    }

    fn send(
        &self,
        kind: PacketType,
        id: Option<u64>,
        payload: &str,
        attachments: Vec<Bytes>,
    ) -> Result<(), Closed> {
        self.check_connected()?;
        self.push(kind, id, payload, attachments)
    }

    /// A packet and its attachments follow each other with nothing in between.
    fn push(
        &self,
        kind: PacketType,
        id: Option<u64>,
        payload: &str,
        attachments: Vec<Bytes>,
    ) -> Result<(), Closed> {
        let packet = Packet {
            kind: if attachments.is_empty() {
                kind
            } else {
                kind.with_attachments()
            },
            attachments: attachments.len(),
            namespace: self.namespace(),
            id,
            payload,
        };
        let frames = std::iter::once(packet.encode());
        self.outbox()
            .push_all(frames.chain(attachments.into_iter().map(Frame::Binary)))
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("id", &self.id())
            .field("session", &self.session_id())
            .field("namespace", &self.namespace())
            .finish()
    }
}

/// The right to answer one event, once; now or later, from any task. Dropping it leaves the client without an answer.
#[derive(Debug)]
pub struct Ack {
    socket: Socket,
    id: u64,
}

impl Ack {
    pub(super) const fn new(socket: Socket, id: u64) -> Self {
        Self { socket, id }
    }

    /// Answers with JSON values, and the attachments their placeholders stand for.
    ///
    /// # Errors
    /// [`Closed`] when the client has left.
    pub fn send_raw(self, values: &[&str], attachments: Vec<Bytes>) -> Result<(), Closed> {
        let payload = array(values.iter().copied());
        self.socket
            .send(PacketType::Ack, Some(self.id), &payload, attachments)
    }
}
