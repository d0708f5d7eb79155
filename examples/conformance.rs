//! A server for the protocols' public test suites (`socketio/engine.io-protocol`, `socketio/socket.io-protocol`): a
//! bare Engine.IO echo at `/engine.io/` and a Socket.IO application at `/socket.io/`, with the timings they expect.
//! Knows nothing of chat.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::http::request::Parts;
use bytes::Bytes;
use clap::Parser;
use hobnob::domain::Entropy;
use hobnob::transport::engineio::{
    Cors, Engine, EngineApp, EngineConfig, EngineHandler, EngineMessage, EngineSocket, text_message,
};
use hobnob::transport::heartbeat::Wheel;
use hobnob::transport::outbox::{Frame, Mark, Reason};
use hobnob::transport::socketio::{
    Application, ConnectRefused, HandshakeRequest, NamespaceHandler, ReceivedEvent, Socket,
    SocketIo, SocketIoConfig,
};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// Between a CONNECT answer and `auth`. The suite listens for one message at a time, and in Node misses the second of
/// two that arrive in one segment.
const BETWEEN_MESSAGES: Duration = Duration::from_millis(20);

/// Serves what the public test suites of Engine.IO 4 and Socket.IO 5 expect.
#[derive(Debug, Parser)]
struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let listener = TcpListener::bind(options.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, router()).await
}

fn router() -> Router {
    let entropy = Arc::new(Entropy::from_os());
    let wheel = Wheel::default();
    let engine = Engine::new(
        timings("/engine.io"),
        Arc::new(Echo),
        wheel.clone(),
        Arc::clone(&entropy),
    );
    let config = SocketIoConfig {
        engine: timings("/socket.io"),
        connect_timeout: Duration::from_secs(1),
        ..SocketIoConfig::default()
    };
    let socket_io = SocketIo::new(config, Arc::new(Conformance), wheel, entropy);
    engine.router().merge(socket_io.router())
}

fn timings(path: &str) -> EngineConfig {
    EngineConfig {
        path: path.to_owned(),
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        max_payload: 1_000_000,
        cors: Cors::Any,
        ..EngineConfig::default()
    }
}

/// Engine.IO: every message comes back.
struct Echo;

impl EngineApp for Echo {
    fn open(&self, socket: EngineSocket, _request: &Parts) -> Box<dyn EngineHandler> {
        Box::new(EchoHandler(socket))
    }
}

struct EchoHandler(EngineSocket);

#[async_trait]
impl EngineHandler for EchoHandler {
    async fn message(&mut self, message: EngineMessage<'_>) -> Result<(), Reason> {
        let frame = match message {
            EngineMessage::Text(text) => text_message(text),
            EngineMessage::Binary(bytes) => Frame::Binary(Bytes::copy_from_slice(bytes)),
        };
        // A session that has just ended needs no echo.
        let _ = self.0.send(frame);
        Ok(())
    }

    fn proved(&mut self, _mark: Mark) {}

    async fn closed(&mut self, _reason: Reason) {}
}

/// Socket.IO: tells the handshake's payload, sends messages back, acknowledges.
struct Conformance;

#[async_trait]
impl Application for Conformance {
    fn has_namespace(&self, namespace: &str) -> bool {
        matches!(namespace, "/" | "/custom")
    }

    async fn connect(
        &self,
        _namespace: &str,
        auth: Option<Value>,
        _request: &HandshakeRequest,
        socket: Socket,
    ) -> Result<Box<dyn NamespaceHandler>, ConnectRefused> {
        let auth = auth.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        Ok(Box::new(Client { socket, auth }))
    }
}

struct Client {
    socket: Socket,
    auth: Value,
}

#[async_trait]
impl NamespaceHandler for Client {
    async fn connected(&mut self) {
        sleep(BETWEEN_MESSAGES).await;
        // Here and below: a session that has just ended needs no answer.
        let auth = self.auth.to_string();
        let _ = self.socket.emit_raw("auth", &[&auth], Vec::new());
    }

    async fn event(&mut self, event: ReceivedEvent<'_>) {
        let args: Vec<&str> = event.args.iter().map(|arg: &&RawValue| arg.get()).collect();
        match (event.name.as_ref(), event.ack) {
            ("message", _) => {
                let _ = self
                    .socket
                    .emit_raw("message-back", &args, event.attachments);
            }
            ("message-with-ack", Some(ack)) => {
                let _ = ack.send_raw(&args, event.attachments);
            }
            // Closes the transport, for tests of the client's reconnection.
            ("close-transport", _) => self.socket.close(Reason::Draining),
            _ => {}
        }
    }

    fn proved(&mut self, _mark: Mark) {}

    async fn disconnected(&mut self, _reason: Reason) {}
}
