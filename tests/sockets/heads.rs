//! Requests whose head is wrong, on every path of both ports: each is answered with our JSON and its code, and every
//! answer carries what keeps browsers from guessing. Knows HTTP/1.1 as bytes.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::gateway::{Gateway, shared_embedded};

const WEBSOCKET: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Sends a head and nothing more; the whole answer. The connection ends with it.
async fn ask(port: u16, line: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("{line} HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

fn assert_refused(answer: &str, status: u16, code: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(head.contains("content-type: application/json"), "{answer}");
    assert!(head.contains("x-content-type-options: nosniff"), "{answer}");
    let body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {answer}"));
    assert_eq!(body["error"]["code"], code, "{answer}");
    assert!(body["error"]["message"].is_string(), "{answer}");
}

#[tokio::test]
async fn every_path_refuses_in_json() {
    let gateway = shared_embedded().await;
    let port = gateway.port();
    let host = "host: chat.example.org\r\n";
    let large = format!("{host}cookie: {}\r\n", "x".repeat(40_000));
    let upgrade = format!("{host}{WEBSOCKET}");
    for (line, headers, status, code) in [
        ("GET /nowhere", host, 404, "not_found"),
        ("PUT /login", host, 405, "method_not_allowed"),
        ("POST /ws", host, 405, "method_not_allowed"),
        ("DELETE /", host, 405, "method_not_allowed"),
        ("DELETE /web/app.js", host, 405, "method_not_allowed"),
        ("POST /asyncapi.yaml", host, 405, "method_not_allowed"),
        ("POST /openapi.json", host, 405, "method_not_allowed"),
        ("GET /me", &large, 431, "head_too_large"),
        ("GET /ws", &large, 431, "head_too_large"),
        ("GET /socket.io/", &large, 431, "head_too_large"),
        ("GET /me", "", 400, "invalid_host"),
        ("GET /", "host: a\r\nhost: b\r\n", 400, "invalid_host"),
        ("GET /ws?token=a&token=b", &upgrade, 400, "invalid_request"),
        ("GET /ws?token=a", &upgrade, 401, "token_invalid"),
    ] {
        assert_refused(&ask(port, line, headers).await, status, code);
    }
}

#[tokio::test]
async fn the_admin_port_is_not_served_under_a_name_of_the_web() {
    let gateway = Gateway::embedded_with(&[("HOBNOB_ADMIN_HOSTS", "hobnob.ops.svc")]).await;
    let port = gateway.admin_port();
    let answer = ask(port, "GET /metrics", "host: evil.example:9090\r\n").await;
    assert_refused(&answer, 421, "wrong_host");
    for ours in [
        "127.0.0.1",
        "localhost:9090",
        "hobnob.ops.svc:9090",
        "hobnob",
    ] {
        let answer = ask(port, "GET /livez", &format!("host: {ours}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("nosniff"), "{answer}");
    }
}

#[tokio::test]
async fn every_answer_forbids_guessing_and_says_what_the_operator_wants_said_about_tls() {
    let gateway = Gateway::embedded_with(&[("HOBNOB_HSTS", "365d")]).await;
    for line in [
        "GET /",
        "GET /web/app.js",
        "GET /openapi.json",
        "GET /docs",
        "GET /asyncapi.yaml",
        "GET /me",
        "GET /socket.io/?EIO=4&transport=polling",
        "GET /socket.io/?EIO=3&transport=polling",
        "GET /nowhere",
    ] {
        let answer = ask(gateway.port(), line, "host: a\r\n").await;
        let head = answer.split("\r\n\r\n").next().unwrap();
        assert!(
            head.contains("x-content-type-options: nosniff"),
            "{line}: {head}"
        );
        assert!(
            head.contains("strict-transport-security: max-age=31536000"),
            "{line}: {head}"
        );
    }
    let plain = shared_embedded().await;
    let answer = ask(plain.port(), "GET /", "host: a\r\n").await;
    assert!(!answer.contains("strict-transport-security"), "{answer}");
}
