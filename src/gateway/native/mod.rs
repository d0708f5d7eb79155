//! The plain JSON WebSocket at `/ws`: one JSON object per text frame. Knows frames and the
//! handshake; what is asked and answered is the same as on Socket.IO.

mod frames;
#[cfg(fuzzing)]
pub mod fuzzing;
mod shared;
mod socket;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::HeaderMap;
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::time::Instant;

use super::requests::Requests;
use crate::auth::bearer;
use crate::chat::ChatError;
use crate::domain::Entropy;
use crate::refusal;
use crate::transport::heartbeat::Wheel;
use crate::transport::websocket::{Handshake, NoWebSocket, WebSocketBounds};
use crate::wire::{ErrorJson, encode};
pub use shared::NativeConfig;
use shared::NativeContext;
use socket::NativeSocket;

/// tungstenite's default of 128 KiB per connection is the largest part of an idle one (measured).
const READ_BUFFER: usize = 1024;

/// Every frame, for people and generators; `tests/asyncapi` holds it against what is really sent.
const DESCRIPTION: &str = include_str!("../../../docs/asyncapi.yaml");

/// The route `/ws`, and `/asyncapi.yaml`, which describes it.
pub fn router(
    config: NativeConfig,
    requests: Requests,
    entropy: Arc<Entropy>,
    wheel: &Wheel,
) -> Router {
    let shared = NativeContext::new(config, requests, entropy, wheel.clone());
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
    State(shared): State<Arc<NativeContext>>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    request: Request,
) -> Response {
    let begun = Instant::now();
    let Ok(Query(parameters)) = parameters else {
        let problem = "the query has one token at most".to_owned();
        return refuse(&ChatError::InvalidRequest(problem));
    };
    let (mut parts, _) = request.into_parts();
    let handshake = match Handshake::of(&mut parts) {
        Ok(handshake) => handshake,
        Err(refusal) => return refuse_upgrade(refusal),
    };
    let refused = &shared.requests.hub().metrics().refused;
    if shared.requests.hub().is_draining() {
        refused.draining.increment(1);
        return refuse(&ChatError::Busy);
    }
    let token = bearer_token(&parts.headers)
        .map(str::to_owned)
        .or(parameters.token);
    let origin = parts.extensions.get().copied();
    let guest = match shared.receive(token.as_deref(), origin) {
        Ok(guest) => guest,
        Err(error) => return refuse(&error),
    };
    let bounds = WebSocketBounds {
        message: shared.config.frame_bytes,
        read_buffer: READ_BUFFER,
    };
    handshake.accept(bounds, move |socket| {
        NativeSocket::serve(shared, socket, guest, origin, begun)
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

/// What is answered to a request for `/ws` that asks for no WebSocket.
fn refuse_upgrade(why: NoWebSocket) -> Response {
    match why {
        NoWebSocket::InvalidKey => {
            let problem = "Sec-WebSocket-Key must be the base64 of 16 bytes".to_owned();
            refuse(&ChatError::InvalidRequest(problem))
        }
        NoWebSocket::NotAsked => {
            let headers = [
                (UPGRADE, "websocket"),
                (CONNECTION, "upgrade"),
                (SEC_WEBSOCKET_VERSION, "13"),
            ];
            (headers, refuse(&ChatError::UpgradeRequired)).into_response()
        }
    }
}

fn refuse(error: &ChatError) -> Response {
    let json = [(CONTENT_TYPE, "application/json")];
    let body = encode(&ErrorJson::from(error));
    let mut response = (refusal::status(error), json, body).into_response();
    if let Some(wait) = refusal::retry_after(error) {
        response.headers_mut().insert(RETRY_AFTER, wait.into());
    }
    response
}
