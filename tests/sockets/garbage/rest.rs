//! Garbage over REST gets its status and its code.

use serde_json::json;

use super::{LIMIT, Scene, short};

#[tokio::test]
async fn garbage_over_rest_gets_its_code() {
    let scene = Scene::new().await;
    let Scene {
        gateway,
        ann,
        bob,
        room,
        ..
    } = &scene;
    let long = "x".repeat(LIMIT + 1);
    let cases = [
        (
            "/group",
            json!({"roomId": room, "content": ""}),
            400,
            "content_empty",
        ),
        (
            "/group",
            json!({"roomId": room, "content": long}),
            400,
            "content_too_long",
        ),
        (
            "/group",
            json!({"roomId": {"$ne": 1}, "content": "x"}),
            400,
            "invalid_request",
        ),
        (
            "/group",
            json!({"roomId": "x", "content": "x"}),
            400,
            "invalid_id",
        ),
        (
            "/group",
            json!({"roomId": room, "content": 7}),
            400,
            "invalid_request",
        ),
        (
            "/group",
            json!({"roomId": room, "content": "x".repeat(LIMIT * 10)}),
            413,
            "payload_too_large",
        ),
        ("/group", json!([]), 400, "invalid_request"),
        (
            "/room",
            json!({"name": "", "members": []}),
            400,
            "invalid_name",
        ),
        (
            "/room",
            json!({"name": "x", "members": "me"}),
            400,
            "invalid_request",
        ),
        (
            "/room",
            json!({"name": "x", "members": [{}]}),
            400,
            "invalid_request",
        ),
        (
            "/room",
            json!({"name": "x", "members": ["x"]}),
            400,
            "invalid_id",
        ),
        (
            "/room",
            json!({"name": "x", "members": ["f".repeat(24)]}),
            404,
            "user_not_found",
        ),
        (
            "/register",
            json!({"username": "", "password": "long enough"}),
            400,
            "invalid_username",
        ),
        (
            "/register",
            json!({"username": {"$gt": ""}, "password": "long enough"}),
            400,
            "invalid_request",
        ),
        (
            "/register",
            json!({"username": "somebody", "password": "short"}),
            400,
            "invalid_password",
        ),
        (
            "/login",
            json!({"username": ann.name, "password": {"$ne": ""}}),
            400,
            "invalid_request",
        ),
        (
            "/login",
            json!({"username": ann.name, "password": "not this one"}),
            401,
            "invalid_credentials",
        ),
        (
            "/login",
            json!({"username": "nobody at all", "password": "not this one"}),
            401,
            "invalid_credentials",
        ),
        (
            "/refresh",
            json!({"refreshToken": "x"}),
            401,
            "token_invalid",
        ),
        ("/nowhere", json!({}), 404, "not_found"),
        ("/me", json!({}), 405, "method_not_allowed"),
    ];
    for (path, body, status, code) in cases {
        let answer = ann.post(gateway, path, body.clone()).await;
        assert_eq!(answer.refused(status), code, "{path} {}", short(&body));
    }
    let direct = format!("/message/{}/{}", ann.id, bob.id);
    let cases = [
        (format!("{direct}?limit=many"), "invalid_request"),
        (format!("{direct}?before=-1"), "invalid_request"),
        (format!("/message/{}/x", ann.id), "invalid_id"),
        ("/room/%00".to_owned(), "invalid_id"),
        ("/presence?ids=x".to_owned(), "invalid_id"),
    ];
    for (path, code) in cases {
        assert_eq!(ann.get(gateway, &path).await.refused(400), code, "{path}");
    }
    scene.goes_on().await;
}
