//! What clients do that are not the newest official one: how they stamp their polls, how much they send and take at once.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use hobnob::transport::engineio::EngineConfig;
use hobnob::transport::outbox::Reason;

use super::client::{Polling, Received, Socket, Stamp, ok, text};
use super::proof::all_proved;
use super::server::{Log, PATIENCE, Server, calm, lively};

const PYTHON: &str = "Python/3.11 aiohttp/3.14.5";

async fn polling_as(server: &Server, agent: &str, stamp: Stamp) -> Polling {
    Polling::open_as(server, "/engine.io/", agent, stamp)
        .await
        .0
}

/// Whole seconds (C#, Unity), a constant, none.
fn stamps_that_tell_nothing() -> [Stamp; 3] {
    [Stamp::Same("1732729092"), Stamp::Same("Nx1"), Stamp::Absent]
}

#[tokio::test]
async fn polls_that_look_alike_are_answered_and_proved_by_their_pongs() {
    let server = Server::start(calm()).await;
    for stamp in stamps_that_tell_nothing() {
        *server.log.lock() = Log::default();
        let polling = polling_as(&server, "csharp", stamp.clone()).await;
        for number in 0..5 {
            assert_eq!(polling.post("4mark").await, ok("ok"));
            assert_eq!(polling.poll().await, ok("4mark\x1e2"), "{number} {stamp:?}");
            assert_eq!(server.log.lock().proofs.len(), number);
            assert_eq!(polling.post("3").await, ok("ok"));
            server
                .until("the pong proves", |log| log.proofs.len() == number + 1)
                .await;
        }
        assert!(server.log.lock().ends.is_empty());
    }
}

/// The second poll may be the first one, sent again because its answer was lost. Nothing is proved, nothing further goes
/// out, and when no pong comes the session ends: the client then gets all of it again.
#[tokio::test]
async fn after_an_answer_that_may_be_lost_nothing_is_proved_and_nothing_goes_out_before_the_pong() {
    tokio::join!(
        an_answer_may_be_lost(Stamp::Same("1732729092")),
        an_answer_may_be_lost(Stamp::Absent),
    );
}

async fn an_answer_may_be_lost(stamp: Stamp) {
    // Long enough for a busy machine to get as far as the second poll.
    let server = Server::start(EngineConfig {
        ping_interval: PATIENCE,
        ..lively()
    })
    .await;
    let polling = polling_as(&server, "csharp", stamp).await;
    assert_eq!(polling.post("4mark").await, ok("ok"));
    assert_eq!(polling.poll().await, ok("4mark\x1e2"));
    assert_eq!(polling.post("4later").await, ok("ok"));
    let end = polling.poll().await;
    assert_eq!(end, ok("6"), "the end, and not what is later");
    assert_eq!(polling.poll().await.status, 400);
    server.until_ended(&[Reason::PingTimeout]).await;
    assert!(server.log.lock().proofs.is_empty());
}

#[tokio::test]
async fn what_waited_for_the_pong_goes_out_with_it() {
    let server = Server::start(calm()).await;
    let polling = polling_as(&server, "csharp", Stamp::Absent).await;
    assert_eq!(polling.post("4one").await, ok("ok"));
    assert_eq!(polling.poll().await, ok("4one\x1e2"));
    assert_eq!(polling.post("4two\x1e4three").await, ok("ok"));
    let (answer, pong) = tokio::join!(polling.poll(), polling.post("3"));
    assert_eq!((answer, pong), (ok("4two\x1e4three\x1e2"), ok("ok")));
}

#[tokio::test]
async fn an_upgrade_proves_no_answer_to_polls_that_look_alike() {
    let server = Server::start(calm()).await;
    let polling = polling_as(&server, "csharp", Stamp::Absent).await;
    assert_eq!(polling.post("4mark").await, ok("ok"));
    assert_eq!(polling.poll().await, ok("4mark\x1e2"));
    let mut socket = Socket::beside(&server, &polling).await;
    socket.send("2probe").await;
    assert_eq!(socket.receive().await, text("3probe"));
    socket.send("5").await;
    socket.send("4there?").await;
    assert_eq!(socket.receive().await, text("4there?"));
    assert!(server.log.lock().proofs.is_empty());
    socket.send("3").await;
    server.until("the pong proves", all_proved).await;
}

/// python-engineio ends its session at the 17th packet of an answer.
#[tokio::test]
async fn an_answer_has_at_most_16_packets_unless_the_client_is_known_to_take_more() {
    let server = Server::start(calm()).await;
    let sent: Vec<String> = (0..40).map(|number| format!("4{number}")).collect();
    for stamp in [Stamp::fresh(), Stamp::Absent] {
        let polling = polling_as(&server, PYTHON, stamp).await;
        assert_eq!(polling.post(sent.join("\x1e")).await, ok("ok"));
        let mut got = Vec::new();
        while got.len() < sent.len() {
            let body = polling.poll().await.body;
            let packets: Vec<&str> = body.split('\x1e').collect();
            assert!(packets.len() <= 16, "{body}");
            got.extend(packets.iter().map(|&packet| packet.to_owned()));
            got.retain(|packet| packet != "2");
            assert_eq!(polling.post("3").await, ok("ok"));
        }
        assert_eq!(got, sent);
    }
    let polling = Polling::echo(&server).await;
    assert_eq!(polling.post(sent.join("\x1e")).await, ok("ok"));
    assert_eq!(polling.poll().await, ok(&sent.join("\x1e")));
}

/// Clients that know no `maxPayload` post all that waits in one body.
#[tokio::test]
async fn many_packets_together_may_be_larger_than_one() {
    let server = Server::start(EngineConfig {
        max_payload: 128 * 1024,
        ..calm()
    })
    .await;
    let (polling, handshake) =
        Polling::open_as(&server, "/engine.io/", PYTHON, Stamp::fresh()).await;
    assert_eq!(handshake["maxPayload"], 1_000_000);
    let packet = format!("4{}", "x".repeat(16_000));
    let body = vec![packet.as_str(); 60].join("\x1e");
    assert_eq!(polling.post(body).await, ok("ok"));
    assert_eq!(server.log.lock().received.len(), 60);
}

/// How many bodies larger than a packet are read at a time: the next waits, and only that.
#[tokio::test]
async fn large_bodies_wait_for_each_other_and_hold_up_nobody_else() {
    let server = Server::start(EngineConfig {
        max_payload: 1_000,
        ..calm()
    })
    .await;
    let packet = format!("4{}", "x".repeat(899));
    let large = [packet.as_str(); 10].join("\x1e");
    let (begun, rest) = large.split_at(2_000);
    let mut held = Vec::new();
    for _ in 0..64 {
        let polling = Polling::echo(&server).await;
        held.push(polling.begin_post(large.len(), begun).await);
    }
    let waiting = Polling::echo(&server).await;
    // A place is taken when the gateway reads on, some time after the bytes were sent: once all 64 are.
    let next = loop {
        let next = tokio::spawn({
            let (waiting, large) = (waiting.clone(), large.clone());
            async move { waiting.post(large).await }
        });
        let other = Polling::echo(&server).await;
        for _ in 0..20 {
            assert_eq!(other.post("4small").await, ok("ok"));
        }
        if !next.is_finished() {
            break next;
        }
        assert_eq!(next.await.unwrap(), ok("ok"));
    };
    let mut one = held.pop().unwrap();
    one.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = [0; 15];
    one.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    assert_eq!(next.await.unwrap(), ok("ok"));
}

/// Who has not said who it is may send one packet's worth.
#[tokio::test]
async fn before_the_handshake_a_body_may_be_no_larger_than_a_packet() {
    let server = Server::start(EngineConfig {
        max_payload: 1_000,
        ..calm()
    })
    .await;
    let body = format!("40{}", json!({ "token": "x".repeat(1_000) }));
    let (polling, _) = Polling::open(&server, "/socket.io/").await;
    assert_eq!(polling.post(body).await.status, 413);
    let (polling, _) = Polling::open(&server, "/socket.io/").await;
    assert_eq!(polling.post("40").await, ok("ok"));
    let events = vec![r#"42["message",1]"#; 100].join("\x1e");
    assert_eq!(polling.post(events).await, ok("ok"));
}

#[tokio::test]
async fn an_offered_subprotocol_is_answered() {
    let server = Server::start(calm()).await;
    let address = &server.address;
    let url = format!("ws://{address}/engine.io/?EIO=4&transport=websocket");
    let mut request = url.into_client_request().unwrap();
    let offered = "chat, superchat".parse().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", offered);
    let opened = timeout(PATIENCE, connect_async(request));
    let (_, answer) = opened.await.unwrap().unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
}

/// The official client of version 2.
#[tokio::test]
async fn engine_io_3_is_refused_by_name_on_either_transport() {
    let server = Server::start(calm()).await;
    for transport in ["polling", "websocket"] {
        let path = format!("/socket.io/?EIO=3&transport={transport}&b64=1&t=Nx1");
        let answer = super::client::request(&server, "GET", &path, String::new()).await;
        let refused = r#"{"code":5,"message":"Unsupported protocol version"}"#;
        assert_eq!((answer.status, answer.body.as_str()), (400, refused));
    }
    let refused = Socket::connect(&server, "/socket.io/?EIO=3&transport=websocket").await;
    assert_eq!(refused.err(), Some(400));
}

/// What is left is read before the end of it, however many answers that takes.
#[tokio::test]
async fn a_drained_poller_gets_what_is_queued_then_a_noop_then_an_unknown_session() {
    let server = Server::start(calm()).await;
    let polling = polling_as(&server, PYTHON, Stamp::Absent).await;
    let mut socket = Socket::beside(&server, &polling).await;
    let sent: Vec<String> = (0..20).map(|number| format!("4{number}")).collect();
    assert_eq!(polling.post(sent.join("\x1e")).await, ok("ok"));
    server.close_all(Reason::Draining);
    let (first, rest) = (polling.poll().await, polling.poll().await);
    let packets = format!("{}\x1e{}", first.body, rest.body);
    assert_eq!(packets, format!("{}\x1e6", sent.join("\x1e")));
    let unknown = r#"{"code":1,"message":"Session ID unknown"}"#;
    assert_eq!(polling.poll().await.body, unknown);
    assert!(matches!(socket.receive().await, Received::Closed(_)));
}
