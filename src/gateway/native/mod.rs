//! The plain JSON WebSocket at `/ws`: one JSON object per text frame. Knows frames and the
//! handshake; what is asked and answered is the same as on Socket.IO.

mod frames;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Query, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::time::Instant;

use super::heartbeat::Wheel;
use super::requests::{Requests, error_json};
use crate::auth::{Caller, bearer};
use crate::chat::ChatError;
use crate::domain::Entropy;
use socket::Socket;

/// tungstenite's default of 128 KiB per connection is the largest part of an idle one (measured).
const READ_BUFFER: usize = 1024;

/// Every frame, for people and generators; `tests/asyncapi` holds it against what is really sent.
const DESCRIPTION: &str = include_str!("../../../docs/asyncapi.yaml");

/// Bounds and pace of `/ws`.
#[derive(Debug, Clone, Copy)]
pub struct NativeConfig {
    /// The largest frame or message taken, in bytes.
    pub frame_bytes: usize,
    /// What may wait to be written, in bytes.
    pub outbox_bytes: usize,
    /// Between two pings.
    pub ping_interval: Duration,
    /// For the answer to one.
    pub ping_timeout: Duration,
    /// For the first frame, when the handshake carried no token.
    pub hello_within: Duration,
}

/// What every connection shares.
pub(super) struct Shared {
    config: NativeConfig,
    requests: Requests,
    entropy: Arc<Entropy>,
    wheel: Wheel,
}

/// The route `/ws`, and `/asyncapi.yaml`, which describes it.
pub fn router(
    config: NativeConfig,
    requests: Requests,
    entropy: Arc<Entropy>,
    wheel: &Wheel,
) -> Router {
    let shared = Shared {
        config,
        requests,
        entropy,
        wheel: wheel.clone(),
    };
    Router::new()
        .route("/ws", get(upgrade))
        .route("/asyncapi.yaml", get(describe))
        .with_state(Arc::new(shared))
}

#[derive(Deserialize)]
struct Handshake {
    token: Option<String>,
}

async fn upgrade(
    State(shared): State<Arc<Shared>>,
    Query(handshake): Query<Handshake>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let begun = Instant::now();
    let refused = &shared.requests.hub().metrics().refused;
    if shared.requests.hub().is_draining() {
        refused.draining.increment(1);
        return busy();
    }
    let token = bearer_token(&headers)
        .map(str::to_owned)
        .or(handshake.token);
    let caller = match token
        .map(|token| shared.requests.chat().authenticate(&token))
        .transpose()
    {
        Ok(caller) => caller,
        Err(error) => {
            refused.unauthorized.increment(1);
            return refuse(&error);
        }
    };
    let limit = shared.config.frame_bytes;
    upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(limit)
        .max_frame_size(limit)
        .on_upgrade(move |socket| Socket::serve(shared, socket, caller, begun))
}

async fn describe() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "application/yaml"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, DESCRIPTION)
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    bearer(headers.get(AUTHORIZATION)?.to_str().ok()?)
}

/// This gateway is draining: another one takes the client.
fn busy() -> Response {
    let body = error_json(&ChatError::Busy);
    let headers = [(CONTENT_TYPE, "application/json"), (RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, body).into_response()
}

fn refuse(error: &ChatError) -> Response {
    (
        StatusCode::UNAUTHORIZED,
        [(CONTENT_TYPE, "application/json")],
        error_json(error),
    )
        .into_response()
}

/// Whose connection it is, once that is known.
type Known = Option<Caller>;
