//! What an engine is told: its timings and its bounds.

use std::time::Duration;

use axum::http::{HeaderValue, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

use crate::metrics::Metrics;
use crate::transport::lobby::Lobby;
use crate::transport::outbox::{Flusher, Reason};

/// Who may use the engine from a browser page of another origin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Cors {
    /// Nobody: no CORS headers.
    #[default]
    Closed,
    /// Every origin, without credentials.
    Any,
    /// These origins, with credentials.
    Origins(Vec<HeaderValue>),
}

/// An engine's settings.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Where it is served, with or without a trailing slash.
    pub path: String,
    /// From the start, or from a pong, to the next ping.
    pub ping_interval: Duration,
    /// From a ping to the end of the session when no pong comes.
    pub ping_timeout: Duration,
    /// The largest frame or packet accepted, in bytes. A larger one ends the session.
    pub max_payload: usize,
    /// The largest body of a polling request, in bytes, when that is more: some clients post all that waits at once. A
    /// larger one ends the session.
    pub max_body: usize,
    /// The outbox's bound, in bytes.
    pub outbox_bytes: usize,
    /// Where clients wait until [`super::EngineSocket::settle`]; a handshake that finds no place there is answered 503 or 429.
    pub lobby: Lobby,
    /// What writes to sessions on a WebSocket, whatever else it writes to.
    pub flusher: Flusher,
    /// From the upgrade's handshake to its end, else the session stays on polling.
    pub upgrade_timeout: Duration,
    /// From the handshake to [`super::EngineSocket::settle`]. `None`: no limit.
    pub settle_timeout: Option<Duration>,
    /// How long a session that ends gracefully may take to write what is queued.
    pub farewell: Duration,
    /// What a session id begins with: the gateway's id.
    pub sid_prefix: String,
    /// Browser pages of other origins.
    pub cors: Cors,
    /// The WebSocket close code of a reason.
    pub close_code: fn(Reason) -> u16,
    /// Where connections and bytes are counted.
    pub metrics: Metrics,
}

impl Default for EngineConfig {
    /// The protocol's usual timings, and bounds for a chat server.
    fn default() -> Self {
        Self {
            path: "/engine.io".to_owned(),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            max_payload: 1_000_000,
            max_body: 1_000_000,
            outbox_bytes: 1024 * 1024,
            lobby: Lobby::default(),
            flusher: Flusher::default(),
            upgrade_timeout: Duration::from_secs(10),
            settle_timeout: None,
            farewell: Duration::from_secs(2),
            sid_prefix: "local".to_owned(),
            cors: Cors::Closed,
            close_code: plain_close_code,
            metrics: Metrics::none(),
        }
    }
}

/// RFC 6455's codes, for an application without a table of its own.
const fn plain_close_code(reason: Reason) -> u16 {
    match reason {
        Reason::ProtocolError => 1002,
        Reason::UnsupportedData => 1003,
        Reason::InvalidUtf8 => 1007,
        Reason::TooLarge => 1009,
        Reason::Draining => 1001,
        Reason::SlowConsumer | Reason::Unauthorized => 1008,
        _ => 1000,
    }
}

impl Cors {
    /// The layer that answers preflights and marks answers; `None` when closed. Any header may be sent: clients add their
    /// own, and which origins may ask at all is decided above.
    pub(super) fn layer(&self) -> Option<CorsLayer> {
        let layer = CorsLayer::new()
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(AllowHeaders::mirror_request());
        match self {
            Self::Closed => None,
            Self::Any => Some(layer.allow_origin(Any)),
            Self::Origins(origins) => Some(
                layer
                    .allow_origin(AllowOrigin::list(origins.iter().cloned()))
                    .allow_credentials(true),
            ),
        }
    }
}
