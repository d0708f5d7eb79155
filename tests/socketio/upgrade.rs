//! From polling to WebSocket: the cases of both public suites, and that nothing is lost, repeated or reordered.

use std::time::Duration;

use tokio::time::sleep;

use super::client::{Polling, Received, Socket, ok, text};
use super::server::{Server, calm};

/// The dance up to the upgrade packet.
async fn upgraded(server: &Server, polling: &Polling) -> Socket {
    let mut socket = Socket::beside(server, polling).await;
    socket.send("2probe").await;
    assert_eq!(socket.receive().await, text("3probe"));
    socket.send("5").await;
    socket
}

#[tokio::test]
async fn a_session_upgrades_and_its_poll_is_released() {
    let server = Server::start(calm()).await;
    let polling = Polling::echo(&server).await;
    let mut socket = Socket::beside(&server, &polling).await;
    socket.send("2probe").await;
    assert_eq!(socket.receive().await, text("3probe"));
    assert_eq!(polling.poll().await, ok("6"));
    socket.send("5").await;
    socket.send("4hello").await;
    assert_eq!(socket.receive().await, text("4hello"));
}

#[tokio::test]
async fn a_poll_pending_at_the_probe_is_released() {
    let server = Server::start(calm()).await;
    let polling = Polling::echo(&server).await;
    let mut socket = Socket::beside(&server, &polling).await;
    let (released, ()) = tokio::join!(polling.poll(), socket.send("2probe"));
    assert_eq!(released, ok("6"));
    assert_eq!(socket.receive().await, text("3probe"));
}

#[tokio::test]
async fn requests_after_the_upgrade_are_refused_and_disturb_nothing() {
    let server = Server::start(calm()).await;
    let polling = Polling::echo(&server).await;
    let mut socket = upgraded(&server, &polling).await;
    socket.send("4there?").await;
    assert_eq!(socket.receive().await, text("4there?"));
    assert_eq!(polling.poll().await.status, 400);
    assert_eq!(polling.post("4no").await.status, 400);
    let mut second = Socket::beside(&server, &polling).await;
    assert!(matches!(second.receive().await, Received::Closed(_)));
    socket.send("4hello").await;
    assert_eq!(socket.receive().await, text("4hello"));
}

#[tokio::test]
async fn a_client_that_does_not_wait_for_the_probes_answer_is_on_its_websocket() {
    let server = Server::start(calm()).await;
    let polling = Polling::echo(&server).await;
    let mut socket = Socket::beside(&server, &polling).await;
    socket.send("2probe").await;
    socket.send("5").await;
    assert_eq!(polling.poll().await.status, 400);
    assert_eq!(socket.receive().await, text("3probe"));
    socket.send("4hello").await;
    assert_eq!(socket.receive().await, text("4hello"));
}

#[tokio::test]
async fn a_second_websocket_beside_the_first_is_closed() {
    let server = Server::start(calm()).await;
    let polling = Polling::echo(&server).await;
    let mut first = Socket::beside(&server, &polling).await;
    first.send("2probe").await;
    assert_eq!(first.receive().await, text("3probe"));
    let mut second = Socket::beside(&server, &polling).await;
    assert!(matches!(second.receive().await, Received::Closed(_)));
    first.send("5").await;
    first.send("4hello").await;
    assert_eq!(first.receive().await, text("4hello"));
}

#[tokio::test]
async fn after_a_failed_probe_the_session_stays_on_polling() {
    let server = Server::start(calm()).await;
    let polling = Polling::echo(&server).await;
    let mut socket = Socket::beside(&server, &polling).await;
    socket.send("2nonsense").await;
    assert!(matches!(socket.receive().await, Received::Closed(_)));
    assert_eq!(polling.post("4still here").await, ok("ok"));
    assert_eq!(polling.poll().await, ok("4still here"));
    upgraded(&server, &polling).await;
}

/// The server counts without pause while the client polls, probes, waits for its last poll, and upgrades.
#[tokio::test]
async fn nothing_is_lost_repeated_or_reordered_across_an_upgrade() {
    let server = Server::start(calm()).await;
    for round in 0..8_u64 {
        let polling = Polling::echo(&server).await;
        assert_eq!(polling.post("4count").await, ok("ok"));
        let mut numbers = Vec::new();
        let mut socket = Socket::beside(&server, &polling).await;
        sleep(Duration::from_millis(round)).await;
        let probe = async {
            socket.send("2probe").await;
            assert_eq!(socket.receive().await, text("3probe"));
        };
        let poll = async {
            let body = polling.poll().await.body;
            numbers.extend(body.split('\x1e').map(str::to_owned));
        };
        tokio::join!(probe, poll);
        socket.send("5").await;
        while numbers.len() < 400 {
            match socket.receive().await {
                Received::Text(packet) => numbers.push(packet),
                other => panic!("{other:?}"),
            }
        }
        numbers.retain(|packet| packet != "6");
        let expected: Vec<String> = (0..numbers.len())
            .map(|number| format!("4{number}"))
            .collect();
        assert_eq!(numbers, expected);
    }
}
