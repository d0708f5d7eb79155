//! The server of both ports: HTTP/1.1 on the gate's connections, with the limits of time that axum's own server does not set. A
//! client that never finishes a request's head, or leaves its connection idle, is closed. Knows no route.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::gate::{Admitted, Gate};
use super::guard::Guard;
use crate::domain::Origin;
use crate::logging::served::{self, Served};

/// The most one connection buffers of what it reads, in bytes. A head that does not fit is answered by hyper, without a
/// body; the guard's limit is lower, so that almost nobody meets this one.
const READ_BUFFER: usize = 64 * 1024;

/// A server of routes; runs until stopped.
pub(super) struct HttpServer {
    pub(super) task: JoinHandle<()>,
    pub(super) stop: CancellationToken,
}

impl HttpServer {
    pub(super) fn start(router: Router, gate: Gate) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(accept(gate, router, stop.clone()));
        Self { task, stop }
    }

    /// Accepts no more, and waits for requests in flight until the deadline.
    pub(super) async fn stop(mut self, deadline: Instant) {
        self.stop.cancel();
        if timeout_at(deadline, &mut self.task).await.is_err() {
            tracing::warn!("some requests did not end in time");
        }
    }
}

/// Routes behind their port's guard.
#[derive(Clone)]
struct Guarded(Router, Guard);

impl Guarded {
    async fn answer(self, request: Request<Body>) -> Result<Response, Infallible> {
        let Self(router, guard) = self;
        let (parts, body) = request.into_parts();
        let mut response = match guard.refuse(&parts) {
            Some(refusal) => refusal,
            None => router.oneshot(Request::from_parts(parts, body)).await?,
        };
        guard.complete(&mut response);
        Ok(response)
    }
}

async fn accept(mut gate: Gate, router: Router, stop: CancellationToken) {
    let connections = TaskTracker::new();
    while let Some((stream, peer)) = stop.run_until_cancelled(gate.accept()).await {
        let (router, stop) = (Guarded(router.clone(), gate.guard.clone()), stop.clone());
        let all = Arc::clone(&gate.connections);
        let origin = move |headers: &HeaderMap| all.origin(peer, headers);
        let serving = serve(stream, origin, router, gate.patience, stop);
        connections.spawn(served::serving(Served::Task("connection"), serving));
    }
    drop(gate);
    connections.close();
    connections.wait().await;
}

/// One connection, to its end; when stopped, to the end of the request in flight.
async fn serve(
    stream: Admitted,
    origin: impl Fn(&HeaderMap) -> Origin + Send + 'static,
    router: Guarded,
    patience: Duration,
    stop: CancellationToken,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        let origin = origin(request.headers());
        request.extensions_mut().insert(origin);
        router.clone().answer(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(READ_BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection failed");
    }
}
