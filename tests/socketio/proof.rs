//! What counts as proof of receipt (D28) on each transport.

use super::client::{Polling, Socket, ok, text};
use super::server::{Log, Server, calm};

pub(super) fn all_proved(log: &Log) -> bool {
    !log.marks.is_empty() && log.proofs.last() >= log.marks.last()
}

#[tokio::test]
async fn on_a_websocket_a_pong_proves_and_nothing_else() {
    let server = Server::start(calm()).await;
    let mut socket = Socket::echo(&server).await;
    socket.send("4mark").await;
    assert_eq!(socket.receive().await, text("4mark"));
    assert_eq!(
        socket.receive().await,
        text("2"),
        "a ping behind the marked frame"
    );
    socket.send("4more").await;
    assert_eq!(socket.receive().await, text("4more"));
    assert!(
        server.log.lock().proofs.is_empty(),
        "a message proves nothing"
    );
    socket.send("3").await;
    server.until("the pong proves", all_proved).await;
}

#[tokio::test]
async fn marks_share_a_ping_and_a_pong_proves_only_what_was_before_it() {
    let server = Server::start(calm()).await;
    let mut socket = Socket::echo(&server).await;
    socket.send("4mark").await;
    assert_eq!(socket.receive().await, text("4mark"));
    assert_eq!(socket.receive().await, text("2"));
    for _ in 0..3 {
        socket.send("4mark").await;
        assert_eq!(socket.receive().await, text("4mark"));
    }
    socket.send("3").await;
    assert_eq!(socket.receive().await, text("2"), "one ping for the three");
    server
        .until("the first is proved", |log| log.proofs.len() == 1)
        .await;
    let (first, last) = {
        let log = server.log.lock();
        (log.marks[0], log.marks[3])
    };
    assert_eq!(server.log.lock().proofs, [first]);
    socket.send("3").await;
    server.until("all are proved", all_proved).await;
    assert_eq!(server.log.lock().proofs, [first, last]);
}

#[tokio::test]
async fn on_polling_the_next_poll_proves_the_answer_before_it() {
    let server = Server::start(calm()).await;
    let polling = Polling::echo(&server).await;
    assert_eq!(polling.post("4mark").await, ok("ok"));
    assert_eq!(polling.poll().await, ok("4mark"));
    assert_eq!(polling.post("4mark").await, ok("ok"));
    assert!(
        server.log.lock().proofs.is_empty(),
        "an answer proves nothing"
    );
    assert_eq!(polling.poll().await, ok("4mark"));
    server
        .until("the poll proves", |log| log.proofs == log.marks[..1])
        .await;
}

#[tokio::test]
async fn the_upgrade_packet_proves_the_last_poll() {
    let server = Server::start(calm()).await;
    let polling = Polling::echo(&server).await;
    assert_eq!(polling.post("4mark").await, ok("ok"));
    assert_eq!(polling.poll().await, ok("4mark"));
    let mut socket = Socket::beside(&server, &polling).await;
    socket.send("2probe").await;
    assert_eq!(socket.receive().await, text("3probe"));
    assert!(server.log.lock().proofs.is_empty());
    socket.send("5").await;
    server.until("the upgrade proves", all_proved).await;
}

#[tokio::test]
async fn a_socket_io_connection_hears_of_its_proofs() {
    let server = Server::start(calm()).await;
    let mut socket = Socket::socket_io(&server).await;
    socket.send(r#"42["mark"]"#).await;
    assert_eq!(socket.receive().await, text("2"));
    socket.send("3").await;
    server.until("the pong proves", all_proved).await;
}
