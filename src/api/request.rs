//! The id of a request: from the proxy before us or made here, on the answer and on every log line between. Knows
//! nothing of routes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, timeout};

use super::ApiError;
use super::error::RefusalCode;
use crate::domain::Entropy;
use crate::logging::served::{Served, serving};
use crate::metrics::Metrics;

/// The header that carries it, both ways.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id taken over from a request, in bytes; a longer one is replaced.
const LONGEST: usize = 64;

/// Makes the ids of requests.
#[derive(Debug)]
pub(super) struct Ids {
    entropy: Entropy,
    metrics: Metrics,
}

impl Ids {
    /// Apart from the entropy of users' and events' ids: a request's id need not be reproducible, and must not wait.
    pub(super) fn new(metrics: Metrics) -> Self {
        let entropy = Entropy::from_os();
        Self { entropy, metrics }
    }

    fn of(&self, request: &Request) -> HeaderValue {
        let given = request.headers().get(HEADER);
        let usable = |value: &&HeaderValue| {
            (1..=LONGEST).contains(&value.len())
                && value.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        given.filter(usable).cloned().unwrap_or_else(|| {
            let id = format!("{:016x}", self.entropy.next_u64());
            HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
        })
    }
}

/// Gives the request its id, and counts it.
pub(super) async fn identify(
    State(ids): State<Arc<Ids>>,
    request: Request,
    next: Next,
) -> Response {
    let id = ids.of(&request);
    let answer = answer(&ids.metrics, request, next);
    named(serving(served(&id), answer).await, id)
}

/// The same for a request that is not counted: one of a socket.
pub(super) async fn identify_only(
    State(ids): State<Arc<Ids>>,
    request: Request,
    next: Next,
) -> Response {
    let id = ids.of(&request);
    named(serving(served(&id), next.run(request)).await, id)
}

fn served(id: &HeaderValue) -> Served {
    Served::Request(id.to_str().unwrap_or_default().into())
}

fn named(mut response: Response, id: HeaderValue) -> Response {
    response.headers_mut().insert(HEADER, id);
    response
}

/// Ends a request that takes longer than any valid one: a body that trickles in holds its place no longer.
pub(super) async fn end_in_time(
    State(within): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    let answer = timeout(within, next.run(request)).await;
    answer.unwrap_or_else(|_| ApiError::RequestTimeout.into_response())
}

async fn answer(metrics: &Metrics, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    // The route, not the path: a path has ids in it, and a stranger's may have anything.
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unknown", MatchedPath::as_str);
    let response = next.run(request).await;
    let status = response.status().as_u16();
    if let Some(RefusalCode(code)) = response.extensions().get() {
        metrics.request_failed(code);
    }
    metrics.http_request(method.as_str(), route, status, began.elapsed());
    let milliseconds = began.elapsed().as_millis();
    tracing::debug!(%method, route, status, milliseconds, "answered");
    response
}
