//! The plain JSON WebSocket at `/ws`: one JSON object per text frame. Knows frames and the
//! handshake; what is asked and answered is the same as on Socket.IO.

mod frames;
#[cfg(fuzzing)]
pub mod fuzzing;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::time::Instant;

use super::heartbeat::Wheel;
use super::outbox::Flusher;
use super::requests::{Requests, error_json};
use super::websocket::{Bounds, Handshake};
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
    flusher: Flusher,
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
        flusher: Flusher::default(),
    };
    Router::new()
        .route("/ws", get(upgrade))
        .route("/asyncapi.yaml", get(describe))
        .with_state(Arc::new(shared))
}

#[derive(Deserialize)]
struct Parameters {
    token: Option<String>,
}

async fn upgrade(
    State(shared): State<Arc<Shared>>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    request: Request,
) -> Response {
    let begun = Instant::now();
    let Ok(Query(parameters)) = parameters else {
        let problem = "the query has one token at most".to_owned();
        return refuse(StatusCode::BAD_REQUEST, &ChatError::InvalidRequest(problem));
    };
    let (mut parts, _) = request.into_parts();
    let handshake = match Handshake::of(&mut parts) {
        Ok(handshake) => handshake,
        Err(refusal) => return refusal.into_response(),
    };
    let refused = &shared.requests.hub().metrics().refused;
    if shared.requests.hub().is_draining() {
        refused.draining.increment(1);
        return busy();
    }
    let token = bearer_token(&parts.headers)
        .map(str::to_owned)
        .or(parameters.token);
    let caller = match token
        .map(|token| shared.requests.chat().authenticate(&token))
        .transpose()
    {
        Ok(caller) => caller,
        Err(error) => {
            refused.unauthorized.increment(1);
            return refuse(StatusCode::UNAUTHORIZED, &error);
        }
    };
    let bounds = Bounds {
        message: shared.config.frame_bytes,
        read_buffer: READ_BUFFER,
    };
    handshake.accept(bounds, move |socket| {
        Socket::serve(shared, socket, caller, begun)
    })
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

fn refuse(status: StatusCode, error: &ChatError) -> Response {
    (
        status,
        [(CONTENT_TYPE, "application/json")],
        error_json(error),
    )
        .into_response()
}

/// Whose connection it is, once that is known.
type Known = Option<Caller>;
