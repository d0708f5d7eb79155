//! Engine.IO: the handshake, messages, heartbeat and close cases of both public suites.

use bytes::Bytes;
use serde_json::{Value, json};

use hobnob::transport::outbox::Reason;

use super::client::{Polling, Received, Socket, ok, request, text};
use super::server::{Server, brisk, calm, lively};

/// Both suites ask these of both paths; clients also leave out the slash.
const PATHS: [&str; 4] = ["/engine.io/", "/engine.io", "/socket.io/", "/socket.io"];

fn assert_handshake(handshake: &Value, upgrades: &Value) {
    let keys: Vec<&String> = handshake.as_object().unwrap().keys().collect();
    let expected = "maxPayload pingInterval pingTimeout sid upgrades";
    assert!(keys.into_iter().eq(expected.split(' ')), "{handshake}");
    assert!(handshake["sid"].as_str().unwrap().starts_with("gateway-1."));
    assert_eq!(&handshake["upgrades"], upgrades);
    assert_eq!(handshake["pingInterval"], 300);
    assert_eq!(handshake["pingTimeout"], 200);
    assert_eq!(handshake["maxPayload"], 1_000_000);
}

#[tokio::test]
async fn both_transports_open_a_session() {
    let server = Server::start(brisk()).await;
    for path in PATHS {
        let (_, handshake) = Polling::open(&server, path).await;
        assert_handshake(&handshake, &json!(["websocket"]));
        let (_, handshake) = Socket::open(&server, path).await;
        assert_handshake(&handshake, &json!([]));
    }
}

#[tokio::test]
async fn a_bad_handshake_is_refused_with_its_code() {
    let server = Server::start(brisk()).await;
    let unknown = r#"{"code":0,"message":"Transport unknown"}"#;
    let session = r#"{"code":1,"message":"Session ID unknown"}"#;
    let method = r#"{"code":2,"message":"Bad handshake method"}"#;
    let bad = r#"{"code":3,"message":"Bad request"}"#;
    let version = r#"{"code":5,"message":"Unsupported protocol version"}"#;
    for path in PATHS {
        for (verb, query, body) in [
            ("GET", "transport=polling", version),
            ("GET", "EIO=abc&transport=polling", version),
            ("GET", "EIO=3&transport=polling", version),
            ("GET", "EIO=4", unknown),
            ("GET", "EIO=4&transport=abc", unknown),
            ("POST", "EIO=4&transport=polling", method),
            ("PUT", "EIO=4&transport=polling", method),
            ("GET", "EIO=4&transport=polling&sid=none", session),
            ("POST", "EIO=4&transport=polling&sid=none", session),
            ("GET", "EIO=4&transport=websocket", bad),
        ] {
            let answer = request(&server, verb, &format!("{path}?{query}"), String::new()).await;
            let answered = (answer.status, answer.body.as_str());
            assert_eq!(answered, (400, body), "{verb} {query}");
        }
        for query in [
            "transport=websocket",
            "EIO=abc&transport=websocket",
            "EIO=4",
            "EIO=4&transport=abc",
        ] {
            let refused = Socket::connect(&server, &format!("{path}?{query}")).await;
            assert_eq!(refused.err(), Some(400), "{query}");
        }
    }
    assert_eq!(server.engine.session_count(), 0);
}

#[tokio::test]
async fn any_origin_may_ask_when_allowed() {
    let server = Server::start(brisk()).await;
    let url = format!(
        "http://{}/engine.io/?EIO=4&transport=polling",
        server.address
    );
    let http = reqwest::Client::new();
    let answer = http.get(&url).header("Origin", "https://a.example");
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let preflight = http
        .request(reqwest::Method::OPTIONS, &url)
        .header("Origin", "https://a.example")
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "x-my-client");
    let preflight = preflight.send().await.unwrap();
    assert!(preflight.status().is_success());
    let headers = preflight.headers();
    assert!(headers.contains_key("access-control-allow-methods"));
    let allowed = &headers["access-control-allow-headers"];
    assert_eq!(allowed, "x-my-client", "a header of the client's own");
}

#[tokio::test]
async fn polling_carries_text_and_binary_packets() {
    let server = Server::start(calm()).await;
    for payload in [
        "4hello",
        "4test1\x1e4test2\x1e4test3",
        "4hello\x1ebAQIDBA==",
    ] {
        let polling = Polling::echo(&server).await;
        assert_eq!(polling.post(payload).await, ok("ok"));
        assert_eq!(polling.poll().await, ok(payload));
    }
}

#[tokio::test]
async fn a_poll_waits_for_the_next_packet() {
    let server = Server::start(calm()).await;
    let polling = Polling::echo(&server).await;
    let (polled, posted) = tokio::join!(polling.poll(), polling.post("4late"));
    assert_eq!((polled, posted), (ok("4late"), ok("ok")));
}

#[tokio::test]
async fn polling_is_closed_by_an_invalid_packet() {
    let server = Server::start(calm()).await;
    for invalid in ["abc", "", "4a\x1e", "b!", "2probe"] {
        let polling = Polling::echo(&server).await;
        assert_eq!(polling.post(invalid).await.status, 400, "{invalid:?}");
        assert_eq!(polling.poll().await.status, 400);
    }
    server.until_ended(&[Reason::ProtocolError; 5]).await;
}

#[tokio::test]
async fn a_second_poll_beside_the_first_closes_the_session() {
    let server = Server::start(calm()).await;
    let polling = Polling::echo(&server).await;
    let (one, other) = tokio::join!(polling.poll(), polling.poll_at("burst"));
    let mut answers = [(one.status, one.body), (other.status, other.body)];
    answers.sort();
    assert_eq!(answers[0], (200, "6".to_owned()));
    assert_eq!(answers[1].0, 400);
    assert_eq!(polling.poll().await.status, 400);
}

#[tokio::test]
async fn a_second_post_beside_the_first_closes_the_session() {
    let server = Server::start(calm()).await;
    let polling = Polling::echo(&server).await;
    let first = tokio::spawn({
        let polling = polling.clone();
        async move { polling.post("4hold").await }
    });
    server
        .until("the first", |log| log.received == ["hold"])
        .await;
    assert_eq!(polling.post("4second").await.status, 400);
    server.log.lock().released = true;
    assert_eq!(first.await.unwrap().status, 400);
    server.until_ended(&[Reason::ProtocolError]).await;
    assert_eq!(server.log.lock().received, ["hold", "held"]);
}

#[tokio::test]
async fn a_cancelled_poll_closes_the_session() {
    let server = Server::start(calm()).await;
    let polling = Polling::echo(&server).await;
    polling.poll_and_leave().await;
    server.until_ended(&[Reason::TransportClosed]).await;
    assert_eq!(polling.poll().await.status, 400);
}

#[tokio::test]
async fn the_same_poll_again_closes_the_session_because_its_answer_was_lost() {
    let server = Server::start(calm()).await;
    let polling = Polling::echo(&server).await;
    assert_eq!(polling.post("4a").await, ok("ok"));
    assert_eq!(polling.poll_at("t1").await, ok("4a"));
    assert_eq!(polling.poll_at("t1").await.status, 400);
    server.until_ended(&[Reason::TransportError]).await;
}

#[tokio::test]
async fn a_websocket_carries_text_and_binary_packets() {
    let server = Server::start(calm()).await;
    let mut socket = Socket::echo(&server).await;
    socket.send("4hello").await;
    assert_eq!(socket.receive().await, text("4hello"));
    socket.send_binary(&[1, 2, 3, 4]).await;
    let expected = Received::Binary(Bytes::from_static(&[1, 2, 3, 4]));
    assert_eq!(socket.receive().await, expected);
}

#[tokio::test]
async fn a_websocket_is_closed_by_an_invalid_packet() {
    let server = Server::start(calm()).await;
    for invalid in ["abc", "", "2"] {
        let mut socket = Socket::echo(&server).await;
        socket.send(invalid).await;
        assert_eq!(socket.receive().await, Received::Closed(Some(1002)));
    }
    server.until_ended(&[Reason::ProtocolError; 3]).await;
}

#[tokio::test]
async fn polling_sessions_live_by_the_heartbeat() {
    let server = Server::start(lively()).await;
    for path in ["/engine.io/", "/socket.io/"] {
        let (polling, _) = Polling::open(&server, path).await;
        for _ in 0..3 {
            if path == "/socket.io/" {
                server.socket_io.engine().sessions()[0].settle();
            }
            assert_eq!(polling.poll().await, ok("2"));
            assert_eq!(polling.post("3").await, ok("ok"));
        }
    }
}

#[tokio::test]
async fn a_polling_session_without_a_pong_is_closed() {
    let server = Server::start(brisk()).await;
    let polling = Polling::echo(&server).await;
    server.until_ended(&[Reason::PingTimeout]).await;
    assert_eq!(polling.poll().await.status, 400);
}

#[tokio::test]
async fn websocket_sessions_live_by_the_heartbeat_and_end_without() {
    let server = Server::start(lively()).await;
    let mut socket = Socket::echo(&server).await;
    for _ in 0..3 {
        assert_eq!(socket.receive().await, text("2"));
        socket.send("3").await;
    }
    assert_eq!(socket.receive().await, text("2"));
    assert_eq!(socket.receive().await, Received::Closed(Some(1000)));
    server.until_ended(&[Reason::PingTimeout]).await;
}

#[tokio::test]
async fn a_client_closes_its_polling_session_and_its_poll_is_released() {
    let server = Server::start(calm()).await;
    let polling = Polling::echo(&server).await;
    let (polled, posted) = tokio::join!(polling.poll(), polling.post("1"));
    assert_eq!((polled, posted), (ok("6"), ok("ok")));
    assert_eq!(polling.poll().await.status, 400);
    server.until_empty().await;
}

#[tokio::test]
async fn a_client_closes_its_websocket_session() {
    let server = Server::start(calm()).await;
    let mut socket = Socket::echo(&server).await;
    socket.send("1").await;
    assert_eq!(socket.receive().await, Received::Closed(Some(1000)));
    server.until_ended(&[Reason::TransportClosed]).await;
}
