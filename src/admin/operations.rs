//! What operators may do to a running gateway, behind a token: drain it, look at its connections, end some. Without a
//! configured token there are no such routes. Knows the clients only through [`Clients`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use axum::extract::{Query, Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::sync::mpsc;

use crate::auth::Secret;
use crate::auth::bearer;

/// How many sessions are listed when the request does not say, and at most.
const LISTED: (usize, usize) = (100, 1000);

/// What the drain's sender is told, where a signal's name would be.
pub const DRAIN: &str = "/admin/drain";

/// One session, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedSession {
    /// Its id, which its log lines bear.
    pub session_id: String,
    /// The user whose session it is.
    pub user_id: String,
    /// `socketio` or `websocket`.
    pub protocol: &'static str,
    /// Whether delivery has begun.
    pub joined: bool,
    /// What waits to be written to it.
    pub queued_bytes: usize,
}

/// Which sessions an operator means to end: all of a user's, or one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Whom {
    /// All sessions of this user.
    pub user_id: Option<String>,
    /// The session with this id.
    pub session_id: Option<String>,
}

/// The clients of this gateway.
pub trait Clients: Send + Sync + 'static {
    /// How many sessions there are, and the first `most` of those that are meant.
    fn sessions(&self, whom: &Whom, most: usize) -> (usize, Vec<ListedSession>);

    /// Ends those that are meant; they may come back, elsewhere or here. Returns how many.
    fn disconnect(&self, whom: &Whom) -> usize;
}

/// What operators may do to this gateway through the admin port.
pub struct Operations {
    token: Option<Secret>,
    drain: mpsc::Sender<&'static str>,
    is_draining: AtomicBool,
    clients: OnceLock<Arc<dyn Clients>>,
}

impl std::fmt::Debug for Operations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Operations")
    }
}

impl Operations {
    /// Operations for who knows the token; `drain` is told when the gateway is to be drained, as by a signal.
    #[must_use]
    pub fn new(token: Option<Secret>, drain: mpsc::Sender<&'static str>) -> Self {
        Self {
            token,
            drain,
            is_draining: AtomicBool::new(false),
            clients: OnceLock::new(),
        }
    }

    /// There are clients from now on. Once.
    pub fn serve(&self, clients: Arc<dyn Clients>) {
        let _ = self.clients.set(clients);
    }

    fn clients(&self) -> Result<&Arc<dyn Clients>, OperatorRefusal> {
        self.clients.get().ok_or(OperatorRefusal::Unavailable)
    }
}

/// The routes under `/admin`; none without a token.
pub(super) fn router(operations: Arc<Operations>) -> Router {
    if operations.token.is_none() {
        return Router::new();
    }
    Router::new()
        .route(DRAIN, post(drain))
        .route("/admin/connections", get(connections))
        .route("/admin/disconnect", post(disconnect))
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(&operations),
            authenticate,
        ))
        .with_state(operations)
}

async fn authenticate(
    State(operations): State<Arc<Operations>>,
    request: Request,
    next: Next,
) -> Response {
    match knows_token(&operations, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

fn knows_token(operations: &Operations, headers: &HeaderMap) -> Result<(), OperatorRefusal> {
    let header = headers
        .get(AUTHORIZATION)
        .ok_or(OperatorRefusal::TokenMissing)?;
    let given = header.to_str().ok().and_then(bearer);
    let given = given.ok_or(OperatorRefusal::TokenInvalid)?.as_bytes();
    let token = operations.token.as_ref().map_or(&[][..], Secret::expose);
    // Whoever measures how long this takes learns nothing of the token.
    match bool::from(token.ct_eq(given)) {
        true => Ok(()),
        false => Err(OperatorRefusal::TokenInvalid),
    }
}

/// Begins to drain, as SIGTERM does: the process ends with status 0. Changes nothing while it drains.
async fn drain(State(operations): State<Arc<Operations>>) -> Response {
    if !operations.is_draining.swap(true, Ordering::Relaxed) {
        tracing::info!("an operator asks to drain");
        // Full or closed: it is stopping already.
        let _ = operations.drain.try_send(DRAIN);
    }
    (StatusCode::ACCEPTED, Json(json!({ "draining": true }))).into_response()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    user_id: Option<String>,
    limit: Option<usize>,
}

async fn connections(
    State(operations): State<Arc<Operations>>,
    listing: Result<Query<Listing>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, OperatorRefusal> {
    let Query(listing) = listing.map_err(|_| OperatorRefusal::InvalidRequest)?;
    let most = listing.limit.unwrap_or(LISTED.0).clamp(1, LISTED.1);
    let whom = Whom {
        user_id: listing.user_id,
        session_id: None,
    };
    let (total, sessions) = operations.clients()?.sessions(&whom, most);
    Ok(Json(json!({ "total": total, "sessions": sessions })).into_response())
}

async fn disconnect(
    State(operations): State<Arc<Operations>>,
    body: Bytes,
) -> Result<Response, OperatorRefusal> {
    let whom: Whom = serde_json::from_slice(&body).map_err(|_| OperatorRefusal::InvalidRequest)?;
    if whom.user_id.is_some() == whom.session_id.is_some() {
        return Err(OperatorRefusal::InvalidRequest);
    }
    let count = operations.clients()?.disconnect(&whom);
    tracing::info!(?whom, count, "an operator has ended sessions");
    Ok(Json(json!({ "disconnected": count })).into_response())
}

/// Why an operator is not obeyed; the codes are those of docs/errors.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OperatorRefusal {
    TokenMissing,
    TokenInvalid,
    InvalidRequest,
    Unavailable,
}

impl IntoResponse for OperatorRefusal {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            Self::TokenMissing => (401, "token_missing", "the admin token is needed"),
            Self::TokenInvalid => (401, "token_invalid", "that is not the admin token"),
            Self::InvalidRequest => (400, "invalid_request", "not of the documented form"),
            Self::Unavailable => (503, "unavailable", "the gateway is still starting"),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = Json(json!({ "error": { "code": code, "message": message } }));
        let mut response = (status, body).into_response();
        let header = match status {
            StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, "Bearer")),
            StatusCode::SERVICE_UNAVAILABLE => Some((RETRY_AFTER, "1")),
            _ => None,
        };
        if let Some((name, value)) = header {
            let value = axum::http::HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}
