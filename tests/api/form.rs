//! The form of requests and answers: every way to be wrong has its documented error, and every answer its headers.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request};
use hobnob::api::ApiConfig;
use hobnob::chat::Limits;
use serde_json::{Value, json};

use super::server::{Answer, Mood, PASSWORD, Server};

async fn raw(server: &Server, path: &str, kind: Option<&str>, body: impl Into<Body>) -> Answer {
    let mut request = Request::post(path);
    if let Some(kind) = kind {
        request = request.header("content-type", kind);
    }
    server.send(request.body(body.into()).unwrap()).await
}

async fn described(server: &Server) -> Value {
    let answer = server.call(Method::GET, "/openapi.json", None, None).await;
    answer.expect(200)
}

/// What is sent, in which field, with what beside it.
const TEXTS: [(&str, &str, &str, &str); 5] = [
    ("/register", "Credentials", "username", "a"),
    ("/register", "Credentials", "password", "a"),
    ("/room", "NewRoom", "name", "a"),
    ("/group", "NewGroupMessage", "content", "a"),
    ("/group", "NewGroupMessage", "clientMessageId", "a"),
];

#[tokio::test]
async fn the_lengths_that_are_described_are_those_that_are_enforced() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let schemas = described(&server).await["components"]["schemas"].take();
    let room = ann.post("/room", json!({"name": "ours"})).await.expect(201);
    for (path, schema, field, letter) in TEXTS {
        let most = &schemas[schema]["properties"][field]["maxLength"];
        let most = most.as_u64().unwrap();
        for (length, is_taken) in [(most, true), (most + 1, false)] {
            let mut body = json!({
                "username": format!("user {length}"), "password": PASSWORD, "name": "a room",
                "roomId": room["_id"], "content": "hello",
            });
            body[field] = json!(letter.repeat(usize::try_from(length).unwrap()));
            let answer = ann.post(path, body).await;
            assert_eq!(answer.status == 201, is_taken, "{field}: {length}");
            let status = answer.status;
            assert!(is_taken || status == 400, "{field}: {status}");
        }
    }
    let members = vec![json!(ann.id); 2];
    let described = &schemas["NewRoom"]["properties"]["members"];
    assert_eq!(described["maxItems"], Limits::default().room_members);
    assert_eq!(described["items"]["pattern"], "^[0-9a-f]{24}$");
    let ours = json!({"name": "ours", "members": members});
    ann.post("/room", ours).await.expect(201);
    for bad in [
        "A".repeat(24),
        "a".repeat(23),
        "a".repeat(25),
        "g".repeat(24),
    ] {
        let body = json!({"name": "ours", "members": [bad]});
        ann.post("/room", body).await.refused(400, "invalid_id");
    }
    let long = "a".repeat(257);
    let search = ann.get(&format!("/users?query={long}")).await;
    search.refused(400, "invalid_request");
    assert_eq!(ann.refresh_token.len(), 43);
}

#[tokio::test]
async fn a_body_must_be_json_of_the_documented_form() {
    let server = Server::start().await;
    let json = Some("application/json; charset=utf-8");
    for body in [
        &b""[..],
        b"{",
        b"[]",
        b"null",
        b"{}",
        br#"{"username": "ann"}"#,
        "\u{feff}{}".as_bytes(),
        // Deep; an injection; no UTF-8.
        &[b'['; 100_000],
        br#"{"username": {"$ne": null}, "password": {"$ne": null}}"#,
        b"{\"username\": \"\xff\"}",
    ] {
        let answer = raw(&server, "/login", json, body.to_vec()).await;
        answer.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_body_must_be_announced_as_json() {
    let server = Server::start().await;
    let typed = json!({"username": "ann", "password": PASSWORD}).to_string();
    for kind in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
    ] {
        let answer = raw(&server, "/register", kind, typed.clone()).await;
        answer.refused(415, "unsupported_media_type");
    }
}

#[tokio::test]
async fn a_body_larger_than_any_valid_request_is_not_read() {
    let server = Server::start().await;
    let kind = Some("application/json");
    let huge = "x".repeat(400 * 1024);
    let answer = raw(&server, "/login", kind, huge).await;
    answer.refused(413, "payload_too_large");
    // The longest content, written in the longest way, is no such body.
    let ann = server.person("ann").await;
    let room = ann.room("Tea", &[]).await;
    let escaped = format!(
        r#"{{"roomId": "{room}", "content": "{}"}}"#,
        "\\u0061".repeat(16 * 1024)
    );
    let request = Request::post("/group")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", ann.token))
        .body(Body::from(escaped));
    server.send(request.unwrap()).await.expect(201);
}

#[tokio::test]
async fn an_id_is_24_hexadecimal_digits_wherever_it_stands() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    for bad in [
        "x",
        "undefined",
        "%7B%22%24ne%22%3Anull%7D",
        &ann.id.to_uppercase(),
    ] {
        for path in ["/users/", "/room/", "/rooms/"] {
            let answer = ann.get(&format!("{path}{bad}")).await;
            answer.refused(400, "invalid_id");
        }
    }
    let body = json!({"roomId": "x", "content": "hi"});
    ann.post("/group", body).await.refused(400, "invalid_id");
    let body = json!({"roomId": {"$gt": ""}, "content": "hi"});
    let answer = ann.post("/group", body).await;
    answer.refused(400, "invalid_request");
    let body = json!({"name": "Tea", "members": ["x"]});
    ann.post("/room", body).await.refused(400, "invalid_id");
    for path in ["/presence?ids=x", "/conversations?after=x"] {
        ann.get(path).await.refused(400, "invalid_id");
    }
}

#[tokio::test]
async fn a_parameter_of_the_wrong_form_is_refused() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    let own = format!("/message/{0}/{0}", ann.id);
    for query in ["limit=x", "limit=-1", "before=", "after=1.5"] {
        let answer = ann.get(&format!("{own}?{query}")).await;
        answer.refused(400, "invalid_request");
    }
    ann.get("/users").await.refused(400, "invalid_request");
    ann.get("/presence").await.refused(400, "invalid_request");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_the_same_shape() {
    let server = Server::start().await;
    let unknown = server.call(Method::GET, "/nothing/here", None, None).await;
    unknown.refused(404, "not_found");
    let wrong = server.call(Method::PUT, "/login", None, None).await;
    assert!(wrong.header("allow").contains("POST"), "{wrong:?}");
    wrong.refused(405, "method_not_allowed");
}

#[tokio::test]
async fn every_answer_has_its_headers() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    for path in ["/me", "/nothing", "/rooms/x"] {
        let answer = ann.get(path).await;
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-request-id").len(), 16, "{path}");
    }
}

#[tokio::test]
async fn a_request_keeps_a_reasonable_id() {
    let server = Server::start().await;
    let with_id = |id: String| {
        let request = Request::get("/me").header("x-request-id", id);
        server.send(request.body(Body::empty()).unwrap())
    };
    let kept = with_id("abc-1".to_owned()).await;
    assert_eq!(kept.header("x-request-id"), "abc-1");
    for odd in ["x".repeat(65), "a b".to_owned()] {
        assert_eq!(with_id(odd).await.header("x-request-id").len(), 16);
    }
}

#[tokio::test]
async fn a_fault_says_nothing_about_itself() {
    let server = Server::start().await;
    let ann = server.person("ann").await;
    *server.presence.mood.lock() = Mood::Panicking;
    let answer = ann.get(&format!("/presence?ids={}", ann.id)).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-request-id").len(), 16);
    assert!(!answer.text.contains("panic"), "{}", answer.text);
    answer.refused(500, "internal");
}

/// Whoever generates a client from the document names its types so.
#[tokio::test]
async fn the_document_s_shapes_keep_their_names() {
    let description = described(&Server::start().await).await;
    let shapes = description["components"]["schemas"].as_object().unwrap();
    let names: Vec<&str> = shapes.keys().map(String::as_str).collect();
    let kept = [
        "Conversation",
        "Credentials",
        "Error",
        "ErrorBody",
        "Member",
        "MemberRole",
        "Message",
        "NewGroupMessage",
        "NewMember",
        "NewRole",
        "NewRoom",
        "Presence",
        "RefreshToken",
        "Room",
        "RoomName",
        "Session",
        "User",
    ];
    assert_eq!(names, kept);
}

#[tokio::test]
async fn every_documented_route_is_there_and_needs_a_token() {
    let server = Server::start().await;
    let description = described(&server).await;
    let mut seen = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in [Method::GET, Method::POST, Method::PATCH, Method::DELETE] {
            let operation = &item[method.as_str().to_lowercase()];
            if operation.is_null() {
                continue;
            }
            seen += 1;
            let refusal = &operation["responses"]["default"]["content"]["application/json"];
            assert_eq!(refusal["schema"]["$ref"], "#/components/schemas/Error");
            let answer = server.call(method, path, None, None).await;
            match path.as_str() {
                "/register" | "/login" | "/refresh" | "/logout" => {
                    answer.refused(415, "unsupported_media_type")
                }
                _ => answer.refused(401, "token_missing"),
            }
        }
    }
    // As many as the page of permissions has, which `api::permissions` compares by name.
    assert_eq!(seen, 21, "operations in the document");
}

#[tokio::test]
async fn every_shape_the_description_refers_to_is_in_it() {
    fn check(value: &Value, schemas: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(target)) = fields.get("$ref") {
                    let name = target.strip_prefix("#/components/schemas/").unwrap();
                    assert!(schemas[name].is_object(), "{target}");
                }
                fields.values().for_each(|field| check(field, schemas));
            }
            Value::Array(entries) => entries.iter().for_each(|entry| check(entry, schemas)),
            _ => {}
        }
    }
    let server = Server::start().await;
    let description = described(&server).await;
    let schemas = &description["components"]["schemas"];
    assert!(schemas["Message"]["properties"]["clientMessageId"].is_object());
    check(&description, schemas);
}

#[tokio::test]
async fn the_browsable_page_loads_nothing_from_elsewhere() {
    let server = Server::start().await;
    for path in ["/docs", "/docs/page.css", "/docs/page.js"] {
        let answer = server.call(Method::GET, path, None, None).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.text.contains("://"), "{path} names another server");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
    }
}

#[tokio::test]
async fn another_origin_is_let_in_only_when_configured() {
    const HEADERS: &str = "content-type, x-my-client";
    let preflight = || {
        Request::options("/login")
            .header("origin", "https://chat.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", HEADERS)
            .body(Body::empty())
            .unwrap()
    };
    let closed = Server::start().await;
    let answer = closed.send(preflight()).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");

    let allowed_origins = vec![HeaderValue::from_static("https://chat.example")];
    let config = ApiConfig {
        allowed_origins,
        ..ApiConfig::default()
    };
    let open = Server::with(config, Limits::default()).await;
    let answer = open.send(preflight()).await;
    let [origin, methods, headers] = ["origin", "methods", "headers"]
        .map(|what| answer.header(&format!("access-control-allow-{what}")));
    assert_eq!(origin, "https://chat.example");
    assert!(methods.contains("POST"), "{methods}");
    assert_eq!(headers, HEADERS);
    let mut other = preflight();
    let origin = HeaderValue::from_static("https://other.example");
    other.headers_mut().insert("origin", origin);
    let answer = open.send(other).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}
