//! The engine: its sessions, and the routes they are served on. Knows nothing of what they carry.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::RwLock;
use serde_json::json;
use tokio_util::task::TaskTracker;

use super::body::Bodies;
use super::poller::Poller;
use super::request::{Checked, RequestRefusal, Transport, check};
use super::session::{EngineSession, Stage};
use super::task::run;
use super::upgrade::Claim;
use super::{
    EngineApp, EngineConfig, EngineHandler, EngineSocket, packet, polling, upgrade, websocket,
};
use crate::domain::Entropy;
use crate::logging::served::{current, serving};
use crate::transport::heartbeat::Wheel;
use crate::transport::lobby::LobbyPlace;
use crate::transport::outbox::{Frame, Reason};
use crate::transport::websocket::Handshake;

/// Random bytes in a session id; 128 bits cannot be guessed.
const SID_BYTES: usize = 16;

/// An Engine.IO server. Clones are handles to the same one.
#[derive(Clone)]
pub struct Engine(Arc<EngineInner>);

struct EngineInner {
    config: Arc<EngineConfig>,
    app: Arc<dyn EngineApp>,
    wheel: Wheel,
    entropy: Arc<Entropy>,
    /// As many as the lobby lets in and the application lets stay.
    sessions: RwLock<HashMap<Box<str>, Arc<EngineSession>>>,
    bodies: Bodies,
    refusing: AtomicBool,
    tasks: TaskTracker,
}

impl Engine {
    /// An engine that serves this application. Starts nothing; sessions need a tokio runtime.
    #[must_use]
    pub fn new(
        config: EngineConfig,
        app: Arc<dyn EngineApp>,
        wheel: Wheel,
        entropy: Arc<Entropy>,
    ) -> Self {
        Self(Arc::new(EngineInner {
            config: Arc::new(config),
            app,
            wheel,
            entropy,
            sessions: RwLock::default(),
            bodies: Bodies::default(),
            refusing: AtomicBool::new(false),
            tasks: TaskTracker::new(),
        }))
    }

    /// The routes, at the configured path with and without a trailing slash. Put no timeout or compression layer on it.
    pub fn router(&self) -> Router {
        let path = self.0.config.path.trim_end_matches('/');
        let router = Router::new()
            .route(path, any(handle))
            .route(&format!("{path}/"), any(handle))
            .with_state(self.clone());
        match self.0.config.cors.layer() {
            Some(cors) => router.layer(cors),
            None => router,
        }
    }

    /// How many sessions live.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.0.sessions.read().len()
    }

    /// The sessions living now.
    #[must_use]
    pub fn sessions(&self) -> Vec<EngineSocket> {
        let sessions = self.0.sessions.read();
        sessions.values().cloned().map(EngineSocket).collect()
    }

    /// Answers further handshakes 503; living sessions go on.
    pub fn refuse_new(&self) {
        self.0.refusing.store(true, Ordering::Relaxed);
    }

    /// Refuses new sessions and waits until the last one's task has ended. Ends none by itself.
    pub async fn finished(&self) {
        self.refuse_new();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    fn find(&self, sid: &str) -> Result<Arc<EngineSession>, RequestRefusal> {
        let sessions = self.0.sessions.read();
        sessions
            .get(sid)
            .cloned()
            .ok_or(RequestRefusal::SessionUnknown)
    }

    /// Lets a new client into the lobby.
    fn admit(&self, parts: &Parts) -> Result<LobbyPlace, RequestRefusal> {
        if self.0.refusing.load(Ordering::Relaxed) {
            self.0.config.metrics.refused.draining.increment(1);
            return Err(RequestRefusal::Unavailable);
        }
        Ok(self.0.config.lobby.enter(parts.extensions.get())?)
    }

    fn new_sid(&self) -> String {
        let mut random = [0; SID_BYTES];
        self.0.entropy.fill(&mut random);
        let random = URL_SAFE_NO_PAD.encode(random);
        format!("{}.{random}", self.0.config.sid_prefix)
    }

    /// Registers a new session; `None` when the engine has stopped meanwhile.
    fn register(&self, stage: Stage, stranger: LobbyPlace) -> Option<Registration> {
        let config = Arc::clone(&self.0.config);
        let session = EngineSession::new(self.new_sid(), config, stage, stranger);
        let session = Arc::new(session);
        let mut sessions = self.0.sessions.write();
        if self.0.refusing.load(Ordering::Relaxed) {
            return None;
        }
        sessions.insert(session.id().into(), Arc::clone(&session));
        drop(sessions);
        session.count();
        Some(Registration {
            engine: self.clone(),
            session,
        })
    }

    fn open_packet(&self, session: &EngineSession, upgrades: &[&str]) -> String {
        let config = &self.0.config;
        let handshake = json!({
            "sid": session.id(),
            "upgrades": upgrades,
            "pingInterval": config.ping_interval.as_millis() as u64,
            "pingTimeout": config.ping_timeout.as_millis() as u64,
            "maxPayload": config.max_body.max(config.max_payload),
        });
        packet::open(&handshake.to_string())
    }

    fn open_handler(&self, session: &Arc<EngineSession>, parts: &Parts) -> Box<dyn EngineHandler> {
        let config = &self.0.config;
        session.outbox().start_heartbeat(
            &self.0.wheel,
            config.ping_interval,
            config.ping_timeout,
            config.settle_timeout,
        );
        self.0.app.open(EngineSocket(Arc::clone(session)), parts)
    }

    fn open_polling(
        &self,
        parts: &Parts,
        timestamp: Option<String>,
    ) -> Result<Response, RequestRefusal> {
        let registered = self.register(Stage::Polling, self.admit(parts)?);
        let registration = registered.ok_or(RequestRefusal::Unavailable)?;
        let session = Arc::clone(&registration.session);
        session.state.lock().poller = Poller::new(timestamp, &parts.headers);
        let handler = self.open_handler(&session, parts);
        self.0.tasks.spawn(serving(current(), async move {
            run(Arc::clone(&registration.session), handler, None).await;
            drop(registration);
        }));
        Ok(polling::text(self.open_packet(&session, &["websocket"])))
    }

    fn open_websocket(&self, mut parts: Parts) -> Result<Response, RequestRefusal> {
        let handshake = accept(&mut parts)?;
        let stranger = self.admit(&parts)?;
        let token = self.0.tasks.token();
        let engine = self.clone();
        let bounds = websocket::bounds(&self.0.config);
        Ok(handshake.accept(bounds, async move |socket| {
            let Some(registration) = engine.register(Stage::WebSocket, stranger) else {
                return;
            };
            let session = &registration.session;
            let open = engine.open_packet(session, &[]);
            // The outbox of a new session is empty: the open packet fits and comes first.
            let _ = session.outbox().push(Frame::from(open));
            let handler = engine.open_handler(session, &parts);
            drop((parts, engine));
            run(Arc::clone(session), handler, Some(socket)).await;
            drop((registration, token));
        }))
    }

    fn upgrade(
        &self,
        session: Arc<EngineSession>,
        mut parts: Parts,
    ) -> Result<Response, RequestRefusal> {
        let handshake = accept(&mut parts)?;
        let token = self.0.tasks.token();
        let farewell = self.0.config.farewell;
        // Claimed before the answer, so that a poll sent after it finds the session on its way.
        let claim = Claim::take(session);
        let bounds = websocket::bounds(&self.0.config);
        Ok(handshake.accept(bounds, async move |socket| {
            match claim {
                Some(claim) => upgrade::upgrade(claim, socket).await,
                None => upgrade::refuse(farewell, socket).await,
            }
            drop(token);
        }))
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("sessions", &self.session_count())
            .finish_non_exhaustive()
    }
}

/// A session's place among the living; left when dropped, also by a panic.
struct Registration {
    engine: Engine,
    session: Arc<EngineSession>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.session.outbox().close(Reason::ServerClosed);
        self.session.count_no_more();
        self.session.leave_lobby();
        self.engine.0.sessions.write().remove(self.session.id());
    }
}

fn accept(parts: &mut Parts) -> Result<Handshake, RequestRefusal> {
    Handshake::of(parts).map_err(|_| RequestRefusal::BadRequest)
}

async fn handle(State(engine): State<Engine>, request: Request) -> Response {
    let answered = answer(&engine, request).await;
    answered.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(engine: &Engine, request: Request) -> Result<Response, RequestRefusal> {
    let (parts, body) = request.into_parts();
    let Checked {
        transport,
        sid,
        timestamp,
    } = check(&parts.method, &parts.uri)?;
    match (transport, sid) {
        (Transport::Polling, None) => engine.open_polling(&parts, timestamp),
        (Transport::WebSocket, None) => engine.open_websocket(parts),
        (Transport::WebSocket, Some(sid)) => engine.upgrade(engine.find(&sid)?, parts),
        (Transport::Polling, Some(sid)) => {
            let session = engine.find(&sid)?;
            match parts.method {
                Method::GET => polling::poll(session, timestamp).await,
                Method::POST => polling::post(session, &engine.0.bodies, body).await,
                _ => Err(RequestRefusal::BadRequest),
            }
        }
    }
}
