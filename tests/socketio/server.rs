//! The applications under test, served on a free port: an Engine.IO echo and a Socket.IO application that takes orders.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::request::Parts;
use bytes::Bytes;
use hobnob::domain::Entropy;
use hobnob::transport::engineio::{
    Cors, Engine, EngineApp, EngineConfig, EngineHandler, EngineMessage, EngineSocket, text_message,
};
use hobnob::transport::heartbeat::Wheel;
use hobnob::transport::outbox::{Frame, Mark, Reason};
use hobnob::transport::socketio::{
    Ack, Application, ConnectRefused, HandshakeRequest, NamespaceHandler, ReceivedEvent, Socket,
    SocketIo, SocketIoConfig, encode_event,
};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::sleep;

pub(super) use crate::support::fold::DEADLINE as PATIENCE;
use crate::support::until;

/// What happened to the sessions, for tests to look at.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) marks: Vec<Mark>,
    pub(super) proofs: Vec<Mark>,
    pub(super) ends: Vec<Reason>,
    pub(super) received: Vec<String>,
    /// Lets the handlers of "hold" go on.
    pub(super) released: bool,
}

pub(super) type SharedLog = Arc<Mutex<Log>>;

/// One running server.
pub(super) struct Server {
    pub(super) address: String,
    pub(super) engine: Engine,
    pub(super) socket_io: SocketIo,
    pub(super) log: SharedLog,
}

/// The timings of the public suites.
pub(super) fn brisk() -> EngineConfig {
    EngineConfig {
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        cors: Cors::Any,
        sid_prefix: "gateway-1".to_owned(),
        ..EngineConfig::default()
    }
}

/// Pings as often, and leaves a busy machine time to answer.
pub(super) fn lively() -> EngineConfig {
    EngineConfig {
        ping_timeout: Duration::from_secs(10),
        ..brisk()
    }
}

/// No heartbeat within a test.
pub(super) fn calm() -> EngineConfig {
    EngineConfig {
        ping_interval: PATIENCE,
        ping_timeout: PATIENCE,
        ..brisk()
    }
}

impl AsRef<str> for Server {
    fn as_ref(&self) -> &str {
        &self.address
    }
}

impl Server {
    pub(super) async fn start(config: EngineConfig) -> Self {
        Self::start_with(config, PATIENCE).await
    }

    /// The same, where a client has so long to say which namespace it wants.
    pub(super) async fn start_with(config: EngineConfig, connect_timeout: Duration) -> Self {
        let entropy = Arc::new(Entropy::seeded(1));
        let (wheel, log) = (Wheel::default(), SharedLog::default());
        let engine = Engine::new(
            config.clone(),
            Arc::new(Echo(Arc::clone(&log))),
            wheel.clone(),
            Arc::clone(&entropy),
        );
        let config = SocketIoConfig {
            engine: EngineConfig {
                path: "/socket.io/".to_owned(),
                ..config
            },
            connect_timeout,
            ..SocketIoConfig::default()
        };
        let socket_io = SocketIo::new(config, Arc::new(App(Arc::clone(&log))), wheel, entropy);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = engine.router().merge(socket_io.router());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            engine,
            socket_io,
            log,
        }
    }

    /// Waits until the log shows this.
    pub(super) async fn until(&self, what: &str, condition: impl Fn(&Log) -> bool) {
        until(what, async || {
            let log = self.log.lock();
            condition(&log)
                .then_some(())
                .ok_or_else(|| format!("{log:?}"))
        })
        .await;
    }

    /// Ends every session of the Engine.IO echo.
    pub(super) fn close_all(&self, reason: Reason) {
        let sessions = self.engine.sessions();
        sessions.iter().for_each(|session| session.close(reason));
    }

    /// Waits until every session of the Engine.IO echo has gone.
    pub(super) async fn until_empty(&self) {
        until("no session stays", async || {
            self.engine.session_count() == 0
        })
        .await;
    }

    /// The same, and until so many have been told why: for these reasons.
    pub(super) async fn until_ended(&self, reasons: &[Reason]) {
        self.until_empty().await;
        self.until("the ends", |log| log.ends.len() >= reasons.len())
            .await;
        assert_eq!(self.log.lock().ends, reasons);
    }
}

struct Echo(SharedLog);

impl EngineApp for Echo {
    fn open(&self, socket: EngineSocket, _request: &Parts) -> Box<dyn EngineHandler> {
        Box::new(EchoHandler(socket, Arc::clone(&self.0)))
    }
}

struct EchoHandler(EngineSocket, SharedLog);

#[async_trait]
impl EngineHandler for EchoHandler {
    async fn message(&mut self, message: EngineMessage<'_>) -> Result<(), Reason> {
        let text = match message {
            EngineMessage::Text(text) => text,
            EngineMessage::Binary(bytes) => {
                let _ = self.0.send(Frame::Binary(Bytes::copy_from_slice(bytes)));
                return Ok(());
            }
        };
        self.1.lock().received.push(text.to_owned());
        match text {
            "flood" => flood(&self.0),
            "count" => drop(tokio::spawn(count(self.0.clone()))),
            "drain" => self.0.close(Reason::Draining),
            "hold" => self.hold().await,
            _ => drop(self.0.send(text_message(text))),
        }
        if text == "mark" {
            let mut log = self.1.lock();
            log.marks.push(self.0.outbox().mark());
        }
        Ok(())
    }

    fn proved(&mut self, mark: Mark) {
        self.1.lock().proofs.push(mark);
    }

    async fn closed(&mut self, reason: Reason) {
        self.1.lock().ends.push(reason);
    }
}

impl EchoHandler {
    /// Keeps the handler busy until the test says otherwise.
    async fn hold(&self) {
        // Part of the application, and no wait of a test: the test has its own deadline.
        while !self.1.lock().released {
            sleep(Duration::from_millis(1)).await;
        }
        self.1.lock().received.push("held".to_owned());
    }
}

/// Sends until the outbox ends the session.
fn flood(socket: &EngineSocket) {
    let frame = text_message(&"x".repeat(60_000));
    while socket.send(frame.clone()).is_ok() {}
}

/// Sends 0, 1, 2 … at a client that upgrades meanwhile.
async fn count(socket: EngineSocket) {
    for number in 0.. {
        if socket.send(text_message(&number.to_string())).is_err() {
            return;
        }
        if number % 8 == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

struct App(SharedLog);

#[async_trait]
impl Application for App {
    fn has_namespace(&self, namespace: &str) -> bool {
        matches!(namespace, "/" | "/custom")
    }

    async fn connect(
        &self,
        _namespace: &str,
        auth: Option<Value>,
        request: &HandshakeRequest,
        socket: Socket,
    ) -> Result<Box<dyn NamespaceHandler>, ConnectRefused> {
        assert!(
            socket.emit_raw("early", &["1"], Vec::new()).is_err(),
            "not connected yet"
        );
        let auth = auth.unwrap_or_else(|| json!({}));
        if auth["token"] == "bad" {
            return Err(ConnectRefused {
                message: "not you".to_owned(),
                data: Some(json!({ "code": "invalid_token" })),
            });
        }
        let user = request.token().unwrap_or_default().to_owned();
        Ok(Box::new(Client {
            socket,
            auth,
            user,
            later: Vec::new(),
            log: Arc::clone(&self.0),
        }))
    }
}

struct Client {
    socket: Socket,
    auth: Value,
    user: String,
    later: Vec<Ack>,
    log: SharedLog,
}

impl Client {
    fn emit(&self, name: &str, arg: &Value) {
        let _ = self.socket.emit_raw(name, &[&arg.to_string()], Vec::new());
    }
}

#[async_trait]
impl NamespaceHandler for Client {
    async fn connected(&mut self) {
        self.emit("auth", &self.auth);
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
            ("later", Some(ack)) => self.later.push(ack),
            ("now", _) => {
                while let Some(ack) = self.later.pop() {
                    drop(tokio::spawn(async move {
                        ack.send_raw(&["\"now\""], Vec::new())
                    }));
                }
            }
            ("who", _) => self.emit("you", &json!(self.user)),
            ("shared", _) => drop(self.socket.outbox().push(encode_event("all", &["2"]))),
            ("mark", _) => self.log.lock().marks.push(self.socket.outbox().mark()),
            _ => {}
        }
    }

    fn proved(&mut self, mark: Mark) {
        self.log.lock().proofs.push(mark);
    }

    async fn disconnected(&mut self, reason: Reason) {
        self.log.lock().ends.push(reason);
    }
}
