//! Who may operate, and what an answer says.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::ServiceExt;

use super::operations::router;
use super::{Clients, ListedSession, Operations, Whom};
use crate::auth::Secret;

const TOKEN: &str = "the-token-of-the-operators-tests";

struct One;

impl Clients for One {
    fn sessions(&self, _whom: &Whom, most: usize) -> (usize, Vec<ListedSession>) {
        (most, Vec::new())
    }

    fn disconnect(&self, whom: &Whom) -> usize {
        usize::from(whom.user_id.as_deref() == Some("one"))
    }
}

fn operated() -> (Arc<Operations>, Router, mpsc::Receiver<&'static str>) {
    let (drain, drains) = mpsc::channel(2);
    let token = Secret::parse(TOKEN).unwrap();
    let operations = Arc::new(Operations::new(Some(token), drain));
    (Arc::clone(&operations), router(operations), drains)
}

async fn ask(router: &Router, request: &str, token: Option<&str>, body: Value) -> (u16, Value) {
    let (method, path) = request.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Body::from(body.to_string())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn without_the_token_nothing_is_done() {
    let (_operations, router, mut drains) = operated();
    let all = [
        "POST /admin/drain",
        "GET /admin/connections",
        "POST /admin/disconnect",
    ];
    for request in all {
        let (status, body) = ask(&router, request, None, json!({})).await;
        assert_eq!(
            (status, &body["error"]["code"]),
            (401, &json!("token_missing"))
        );
        let (status, body) = ask(&router, request, Some("another"), json!({})).await;
        assert_eq!(
            (status, &body["error"]["code"]),
            (401, &json!("token_invalid"))
        );
    }
    assert!(drains.try_recv().is_err());
    let closed = super::operations::router(Arc::new(Operations::new(None, mpsc::channel(1).0)));
    for request in all {
        assert_eq!(ask(&closed, request, Some(""), json!({})).await.0, 404);
    }
}

#[tokio::test]
async fn a_drain_is_asked_for_once() {
    let (_operations, router, mut drains) = operated();
    for _ in 0..3 {
        assert_eq!(
            ask(&router, "POST /admin/drain", Some(TOKEN), json!({}))
                .await
                .0,
            202
        );
    }
    assert_eq!(drains.recv().await, Some("/admin/drain"));
    assert!(
        drains.try_recv().is_err(),
        "a second one would cut the drain short"
    );
}

#[tokio::test]
async fn sessions_are_listed_and_ended_once_there_are_clients() {
    let (operations, router, _drains) = operated();
    let (status, body) = ask(&router, "GET /admin/connections", Some(TOKEN), json!({})).await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (503, &json!("unavailable"))
    );
    operations.serve(Arc::new(One));
    for (query, total) in [("", 100), ("?limit=5", 5), ("?limit=99999", 1000)] {
        let request = format!("GET /admin/connections{query}");
        let (status, body) = ask(&router, &request, Some(TOKEN), json!({})).await;
        assert_eq!((status, &body["total"]), (200, &json!(total)));
    }
    let end = "POST /admin/disconnect";
    let (status, body) = ask(&router, end, Some(TOKEN), json!({"userId": "one"})).await;
    assert_eq!((status, &body["disconnected"]), (200, &json!(1)));
    for bad in [
        json!({}),
        json!({"userId": "a", "sessionId": "b"}),
        json!({"all": true}),
        json!(3),
    ] {
        let (status, body) = ask(&router, end, Some(TOKEN), bad).await;
        assert_eq!(
            (status, &body["error"]["code"]),
            (400, &json!("invalid_request"))
        );
    }
}
