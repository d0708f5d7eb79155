//! What is bounded, and how sessions end: sizes, slow clients, the number of sessions, the drain.

use hobnob::metrics::Metrics;
use hobnob::throttle::Rate;
use hobnob::transport::engineio::EngineConfig;
use hobnob::transport::lobby::{Lobby, LobbyLimits};
use hobnob::transport::outbox::Reason;

use super::client::{Polling, Received, Socket, ok, request, text};
use super::server::{Server, calm};

fn small() -> EngineConfig {
    EngineConfig {
        max_payload: 1_000,
        max_body: 2_500,
        ..calm()
    }
}

#[tokio::test]
async fn a_body_too_large_is_refused_and_ends_only_its_session() {
    let server = Server::start(small()).await;
    let other = Polling::echo(&server).await;
    let polling = Polling::echo(&server).await;
    let packet = format!("4{}", "x".repeat(999));
    let answer = polling.post([packet.as_str(); 3].join("\x1e")).await;
    assert_eq!(answer.status, 413);
    assert_eq!(polling.poll().await.status, 400);
    server
        .until("the end", |log| log.ends == [Reason::TooLarge])
        .await;
    assert_eq!(
        other.post([packet.as_str(); 2].join("\x1e")).await,
        ok("ok")
    );
}

/// The bound of a packet holds on polling, too, as text and as bytes.
#[tokio::test]
async fn a_packet_too_large_ends_its_session_however_small_the_body() {
    let server = Server::start(small()).await;
    for (large, whole) in [
        (
            format!("4{}", "x".repeat(1_000)),
            format!("4{}", "x".repeat(999)),
        ),
        (
            format!("b{}", "AAAA".repeat(334)),
            format!("b{}", "AAAA".repeat(333)),
        ),
    ] {
        let polling = Polling::echo(&server).await;
        assert_eq!(polling.post(whole.as_str()).await, ok("ok"));
        assert_eq!(polling.post(large).await.status, 400);
        assert_eq!(polling.poll().await.status, 400);
    }
    server
        .until("the ends", |log| log.ends == [Reason::TooLarge; 2])
        .await;
}

#[tokio::test]
async fn a_frame_too_large_ends_only_its_session() {
    let server = Server::start(small()).await;
    let mut other = Socket::echo(&server).await;
    let mut socket = Socket::echo(&server).await;
    socket.send(&format!("4{}", "x".repeat(1_000))).await;
    socket.receive_close().await;
    other.send("4hello").await;
    assert_eq!(other.receive().await, text("4hello"));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_ended_as_slow_on_either_transport() {
    let server = Server::start(calm()).await;
    let mut socket = Socket::echo(&server).await;
    socket.send("4flood").await;
    let slow =
        |count| move |log: &super::server::Log| log.ends == vec![Reason::SlowConsumer; count];
    server.until("the socket's end", slow(1)).await;
    let polling = Polling::echo(&server).await;
    polling.post("4flood").await;
    server.until("the polling's end", slow(2)).await;
    assert_eq!(polling.poll().await.status, 400);
    drop(socket);
    server.until_empty().await;
}

#[tokio::test]
async fn a_full_engine_refuses_handshakes_until_a_session_ends() {
    let server = Server::start(EngineConfig {
        lobby: Lobby::new(
            LobbyLimits {
                places: 1,
                rate: Rate::UNLIMITED,
            },
            Metrics::none(),
        ),
        ..calm()
    })
    .await;
    let polling = Polling::echo(&server).await;
    let path = "/engine.io/?EIO=4&transport=polling";
    assert_eq!(
        request(&server, "GET", path, String::new()).await.status,
        503
    );
    let path = "/engine.io/?EIO=4&transport=websocket";
    assert_eq!(Socket::connect(&server, path).await.err(), Some(503));
    let (polled, _) = tokio::join!(polling.poll(), polling.post("1"));
    assert_eq!(polled, ok("6"));
    server.until_empty().await;
    Polling::echo(&server).await;
}

#[tokio::test]
async fn a_drained_engine_tells_its_clients_and_its_end_can_be_awaited() {
    let server = Server::start(calm()).await;
    let mut socket = Socket::echo(&server).await;
    let waiting = Polling::echo(&server).await;
    let absent = Polling::echo(&server).await;
    let mut upgrading = Socket::beside(&server, &absent).await;
    assert_eq!(absent.post("4last words").await, ok("ok"));
    server.engine.refuse_new();
    server.close_all(Reason::Draining);
    assert_eq!(waiting.poll().await, ok("6"));
    assert!(waiting.poll().await.body.contains("Session ID unknown"));
    assert_eq!(socket.receive().await, Received::Closed(Some(1001)));
    assert_eq!(absent.poll().await, ok("4last words\x1e6"));
    upgrading.receive_close().await;
    server.engine.finished().await;
    assert_eq!(server.engine.session_count(), 0);
    assert_eq!(server.log.lock().ends, [Reason::Draining; 3]);
    let path = "/engine.io/?EIO=4&transport=polling";
    assert_eq!(
        request(&server, "GET", path, String::new()).await.status,
        503
    );
}

#[tokio::test]
async fn what_was_sent_before_a_graceful_close_arrives() {
    let server = Server::start(calm()).await;
    let mut socket = Socket::echo(&server).await;
    socket.send("4one").await;
    socket.send("4drain").await;
    assert_eq!(socket.receive().await, text("4one"));
    assert_eq!(socket.receive().await, Received::Closed(Some(1001)));
}

#[tokio::test]
async fn a_post_given_up_does_not_cancel_the_message_being_handled() {
    let server = Server::start(calm()).await;
    let polling = Polling::echo(&server).await;
    let post = tokio::spawn({
        let polling = polling.clone();
        async move { polling.post("4hold").await }
    });
    server
        .until("the message", |log| log.received == ["hold"])
        .await;
    post.abort();
    assert!(post.await.unwrap_err().is_cancelled());
    server.log.lock().released = true;
    server.until_empty().await;
    server.until("the end", |log| log.ends.len() == 1).await;
    assert_eq!(server.log.lock().received, ["hold", "held"]);
}

#[tokio::test]
async fn a_busy_handler_is_not_read_ahead_of_and_loses_nothing() {
    let server = Server::start(calm()).await;
    let mut socket = Socket::echo(&server).await;
    socket.send("4hold").await;
    for number in 0..20 {
        socket.send(&format!("4{number}")).await;
    }
    server
        .until("the first", |log| log.received == ["hold"])
        .await;
    server.log.lock().released = true;
    for number in 0..20 {
        assert_eq!(socket.receive().await, text(&format!("4{number}")));
    }
    assert_eq!(server.log.lock().received[..3], ["hold", "held", "0"]);
}
