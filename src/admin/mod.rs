//! The operators' port: liveness, readiness, metrics, version. Knows the readiness registry and the metrics, and
//! nothing of chat; must answer while everything else is in trouble, so nothing here waits.

mod liveness;
mod operations;
mod readiness;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Map, Value, json};

use crate::metrics::Exporter;
pub use liveness::Liveness;
pub use operations::{Clients, DRAIN, ListedSession, Operations, Whom};
pub use readiness::{Health, Readiness, Report};

#[derive(Debug, Clone)]
struct AdminState {
    readiness: Arc<Readiness>,
    exporter: Exporter,
}

/// What the program is: `{"version": "0.1.0"}`.
#[must_use]
pub fn version() -> Value {
    json!({ "version": env!("CARGO_PKG_VERSION") })
}

/// The routes of the admin port.
pub fn router(
    readiness: Arc<Readiness>,
    exporter: Exporter,
    operations: Arc<Operations>,
) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/version", get(|| async { axum::Json(version()) }))
        .with_state(AdminState {
            readiness,
            exporter,
        })
        .merge(operations::router(operations))
}

/// For whoever restarts processes: only what a restart helps against is told as a failure.
async fn live(State(state): State<AdminState>) -> Response {
    match state.readiness.liveness().trouble() {
        None => "ok\n".into_response(),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, format!("{trouble}\n")).into_response(),
    }
}

async fn ready(
    State(state): State<AdminState>,
    Query(query): Query<Map<String, Value>>,
) -> Response {
    let report = state.readiness.report();
    let status = if report.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let verbose = query.get("verbose").is_some_and(|value| value != "false");
    (status, axum::Json(shown(&report, verbose))).into_response()
}

/// The report as JSON: every check when asked for, else those that are not well.
fn shown(report: &Report, verbose: bool) -> Value {
    let checks: Map<String, Value> = report
        .checks
        .iter()
        .filter(|(_, health)| verbose || *health != Health::Well)
        .map(|(name, health)| ((*name).to_owned(), shown_health(health)))
        .collect();
    json!({ "status": report.status(), "checks": checks })
}

fn shown_health(health: &Health) -> Value {
    match health {
        Health::Well => json!({ "status": "ok" }),
        Health::Degraded(reason) => json!({ "status": "degraded", "reason": reason }),
        Health::Failed(reason) => json!({ "status": "failed", "reason": reason }),
    }
}

async fn metrics(State(state): State<AdminState>) -> Response {
    let format = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    // Sets the gauge of readiness, which otherwise moves only when somebody asks for /readyz.
    let _ = state.readiness.report();
    (format, state.exporter.render()).into_response()
}

#[cfg(test)]
mod operations_tests;
#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::metrics::Metrics;

    fn closed() -> Arc<Operations> {
        Arc::new(Operations::new(None, tokio::sync::mpsc::channel(1).0))
    }

    async fn ask(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_follows_the_life_of_the_process_and_liveness_does_not() {
        let (metrics, exporter) = Metrics::exported().unwrap();
        let readiness = Arc::new(Readiness::new(metrics));
        let router = router(Arc::clone(&readiness), exporter, closed());
        let (status, body) = ask(&router, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("\"started\""), "{body}");
        readiness.set_started();
        assert_eq!(ask(&router, "/readyz").await.0, StatusCode::OK);
        assert!(
            ask(&router, "/metrics")
                .await
                .1
                .contains("hobnob_ready 1\n")
        );
        readiness.set_draining();
        let (status, body) = ask(&router, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("\"draining\""), "{body}");
        assert_eq!(
            ask(&router, "/livez").await,
            (StatusCode::OK, "ok\n".to_owned())
        );
    }

    #[tokio::test]
    async fn a_degraded_gateway_stays_ready_and_says_why() {
        let (metrics, exporter) = Metrics::exported().unwrap();
        let readiness = Arc::new(Readiness::new(metrics));
        readiness.set_started();
        readiness.check("mongodb", || Health::Degraded("no primary".to_owned()));
        let router = router(Arc::clone(&readiness), exporter, closed());
        let (status, body) = ask(&router, "/readyz").await;
        assert_eq!(status, StatusCode::OK);
        assert!(
            body.contains("\"status\":\"degraded\"") && body.contains("no primary"),
            "{body}"
        );
        assert!(!body.contains("started"), "{body}");
        assert!(
            ask(&router, "/readyz?verbose")
                .await
                .1
                .contains("\"started\":{\"status\":\"ok\"}")
        );
        readiness.check("subscriber", || Health::Failed("deaf".to_owned()));
        assert_eq!(
            ask(&router, "/readyz").await.0,
            StatusCode::SERVICE_UNAVAILABLE
        );
    }

    #[tokio::test]
    async fn the_version_is_told() {
        let (metrics, exporter) = Metrics::exported().unwrap();
        let router = router(Arc::new(Readiness::new(metrics)), exporter, closed());
        let (status, body) = ask(&router, "/version").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains(env!("CARGO_PKG_VERSION")), "{body}");
    }
}
