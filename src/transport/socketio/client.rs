//! One Engine.IO session as a Socket.IO client: its namespaces, and the packet whose attachments are still coming.

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::Value;

use super::args::{ReceivedEvent, parse_args, parse_event};
use super::packet::{Packet, PacketType};
use super::socket::{Ack, Socket};
use super::{Application, ConnectRefused, HandshakeRequest, NamespaceHandler};
use crate::domain::Entropy;
use crate::transport::brake::Brake;
use crate::transport::engineio::{EngineApp, EngineHandler, EngineMessage, EngineSocket};
use crate::transport::outbox::{Mark, Reason};

/// Namespaces one session may have asked for; more are refused.
const MAX_NAMESPACES: usize = 16;
/// The largest auth payload of a CONNECT, in bytes: it is parsed before anybody is authenticated.
const MAX_AUTH_BYTES: usize = 16 * 1024;
/// Random bytes in a Socket.IO id.
const SID_BYTES: usize = 15;

/// What all clients of a server share.
pub(super) struct ServerContext {
    pub(super) application: Arc<dyn Application>,
    pub(super) entropy: Arc<Entropy>,
    pub(super) max_attachments: usize,
    pub(super) max_attachment_bytes: usize,
}

/// The Socket.IO server as an application of Engine.IO.
pub(super) struct SocketIoApp(pub(super) Arc<ServerContext>);

impl EngineApp for SocketIoApp {
    fn open(&self, socket: EngineSocket, request: &Parts) -> Box<dyn EngineHandler> {
        Box::new(Client {
            server: Arc::clone(&self.0),
            engine: socket,
            request: HandshakeRequest::new(request),
            namespaces: Vec::new(),
            partial: None,
            brake: Brake::default(),
        })
    }
}

struct Client {
    server: Arc<ServerContext>,
    engine: EngineSocket,
    request: HandshakeRequest,
    /// At most [`MAX_NAMESPACES`]; a left one stays, so that packets that crossed the leaving are told from strays.
    namespaces: Vec<Namespace>,
    partial: Option<Partial>,
    /// Slows down packets that are no events; the application meters those.
    brake: Brake,
}

struct Namespace {
    socket: Socket,
    connection: Option<Box<dyn NamespaceHandler>>,
}

/// A binary packet whose attachments are still coming.
struct Partial {
    text: Box<str>,
    attachments: Vec<Bytes>,
    missing: usize,
    bytes: usize,
}

#[async_trait]
impl EngineHandler for Client {
    async fn message(&mut self, message: EngineMessage<'_>) -> Result<(), Reason> {
        match message {
            EngineMessage::Text(text) => self.text(text).await,
            EngineMessage::Binary(bytes) => self.binary(bytes).await,
        }
    }

    fn proved(&mut self, mark: Mark) {
        for namespace in &mut self.namespaces {
            if let Some(connection) = &mut namespace.connection {
                connection.proved(mark);
            }
        }
    }

    fn taken(&mut self) {
        for namespace in &mut self.namespaces {
            if let Some(connection) = &mut namespace.connection {
                connection.taken();
            }
        }
    }

    async fn closed(&mut self, reason: Reason) {
        for namespace in &mut self.namespaces {
            namespace.leave(reason).await;
        }
    }
}

impl Client {
    async fn text(&mut self, text: &str) -> Result<(), Reason> {
        if self.partial.is_some() {
            return Err(Reason::ProtocolError);
        }
        let packet = Packet::parse(text).map_err(|_| Reason::ProtocolError)?;
        if packet.attachments == 0 {
            return self.packet(packet, Vec::new()).await;
        }
        if packet.attachments > self.server.max_attachments {
            return Err(Reason::ProtocolError);
        }
        self.partial = Some(Partial {
            missing: packet.attachments,
            attachments: Vec::new(),
            bytes: 0,
            text: text.into(),
        });
        Ok(())
    }

    async fn binary(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        let partial = self.partial.as_mut().ok_or(Reason::ProtocolError)?;
        partial.bytes += bytes.len();
        if partial.bytes > self.server.max_attachment_bytes {
            return Err(Reason::TooLarge);
        }
        partial.attachments.push(Bytes::copy_from_slice(bytes));
        partial.missing -= 1;
        if partial.missing > 0 {
            return Ok(());
        }
        let Some(whole) = self.partial.take() else {
            return Ok(());
        };
        let packet = Packet::parse(&whole.text).map_err(|_| Reason::ProtocolError)?;
        self.packet(packet, whole.attachments).await
    }

    async fn packet(&mut self, packet: Packet<'_>, attachments: Vec<Bytes>) -> Result<(), Reason> {
        if !matches!(packet.kind, PacketType::Event | PacketType::BinaryEvent) {
            self.brake.slow_down().await;
        }
        match packet.kind {
            PacketType::Connect => self.connect(packet.namespace, packet.payload).await,
            PacketType::Disconnect => {
                if let Some(namespace) = self.find(packet.namespace) {
                    namespace.leave(Reason::TransportClosed).await;
                }
                Ok(())
            }
            PacketType::Event | PacketType::BinaryEvent => self.event(packet, attachments).await,
            PacketType::Ack | PacketType::BinaryAck => self.check_ack(&packet),
            // Only a server says this.
            PacketType::ConnectError => Err(Reason::ProtocolError),
        }
    }

    async fn connect(&mut self, name: &str, payload: &str) -> Result<(), Reason> {
        if self.find(name).is_some_and(|it| it.connection.is_some()) {
            return Err(Reason::ProtocolError);
        }
        let auth = parse_auth(payload)?;
        self.namespaces.retain(|it| it.socket.namespace() != name);
        let socket = Socket::new(self.engine.clone(), name, self.new_sid());
        match self.admit(name, auth, socket.clone()).await {
            Ok(mut connection) => {
                self.engine.settle();
                socket.accept();
                connection.connected().await;
                self.namespaces.push(Namespace {
                    socket,
                    connection: Some(connection),
                });
            }
            Err(refused) => socket.refuse(&refused),
        }
        Ok(())
    }

    async fn admit(
        &mut self,
        name: &str,
        auth: Option<Value>,
        socket: Socket,
    ) -> Result<Box<dyn NamespaceHandler>, ConnectRefused> {
        let application = &self.server.application;
        if !application.has_namespace(name) {
            return Err(ConnectRefused::new("Invalid namespace"));
        }
        if self.namespaces.len() >= MAX_NAMESPACES {
            return Err(ConnectRefused::new("Too many namespaces"));
        }
        application.connect(name, auth, &self.request, socket).await
    }

    async fn event(&mut self, packet: Packet<'_>, attachments: Vec<Bytes>) -> Result<(), Reason> {
        let (name, args) = parse_event(packet.payload).ok_or(Reason::ProtocolError)?;
        // An event for a namespace never joined is a broken client's; for a left one it merely crossed the leaving.
        let namespace = self.find(packet.namespace).ok_or(Reason::ProtocolError)?;
        let ack = packet.id.map(|id| Ack::new(namespace.socket.clone(), id));
        if let Some(connection) = &mut namespace.connection {
            connection
                .event(ReceivedEvent {
                    name,
                    args,
                    attachments,
                    ack,
                })
                .await;
        }
        Ok(())
    }

    /// The server asks for no answers: one that comes all the same is to be well formed, and is dropped.
    fn check_ack(&mut self, packet: &Packet<'_>) -> Result<(), Reason> {
        packet.id.ok_or(Reason::ProtocolError)?;
        parse_args(packet.payload).ok_or(Reason::ProtocolError)?;
        self.find(packet.namespace).ok_or(Reason::ProtocolError)?;
        Ok(())
    }

    fn find(&mut self, name: &str) -> Option<&mut Namespace> {
        let mut namespaces = self.namespaces.iter_mut();
        namespaces.find(|it| it.socket.namespace() == name)
    }

    fn new_sid(&self) -> String {
        let mut random = [0; SID_BYTES];
        self.server.entropy.fill(&mut random);
        URL_SAFE_NO_PAD.encode(random)
    }
}

impl Namespace {
    async fn leave(&mut self, reason: Reason) {
        self.socket.forget();
        if let Some(mut connection) = self.connection.take() {
            connection.disconnected(reason).await;
        }
    }
}

/// The auth payload: an object, or nothing.
fn parse_auth(payload: &str) -> Result<Option<Value>, Reason> {
    if payload.is_empty() {
        return Ok(None);
    }
    if payload.len() > MAX_AUTH_BYTES {
        return Err(Reason::TooLarge);
    }
    match serde_json::from_str(payload) {
        Ok(auth @ Value::Object(_)) => Ok(Some(auth)),
        _ => Err(Reason::ProtocolError),
    }
}
