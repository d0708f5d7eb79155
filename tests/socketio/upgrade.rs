//! From polling to WebSocket: the cases of both public suites, and that nothing is lost, repeated or reordered.

use std::time::Duration;

use bytes::Bytes;
use hobnob::transport::engineio::EngineConfig;
use hobnob::transport::outbox::Reason;
use proptest::prelude::*;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;

use super::client::{Polling, Received, Socket, ok, text};
use super::server::{PATIENCE, Server, calm};

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
        // Each round meets the count at another moment.
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

/// Everything a client may say in one frame, and much that it may not.
fn frames() -> Vec<Message> {
    let texts = [
        "", "0{}", "1", "2", "2probe", "3", "3probe", "4x", "5", "6", "7", "abc",
    ];
    let mut frames: Vec<Message> = texts.map(Message::text).into();
    frames.extend([
        Message::binary(vec![1, 2, 3]),
        Message::Ping(Bytes::from_static(b"a")),
        Message::Pong(Bytes::from_static(b"b")),
        Message::Close(None),
    ]);
    frames
}

/// Where a session stands when the frame comes, over which of its transports, and what brings it there.
const STAGES: [(&str, &[&str]); 3] = [
    ("claimed", &[]),
    ("probed", &["2probe"]),
    ("on its WebSocket", &["2probe", "5"]),
];

/// Somebody else's session works, within the time that a test may wait.
async fn others_are_served(server: &Server) {
    let polling = Polling::echo(server).await;
    assert_eq!(polling.post("4there").await, ok("ok"));
    assert_eq!(polling.poll().await, ok("4there"));
    assert_eq!(polling.post("1").await, ok("ok"));
}

#[tokio::test]
async fn no_frame_at_any_stage_keeps_a_session_from_others_or_from_its_end() {
    let server = Server::start(EngineConfig {
        upgrade_timeout: PATIENCE,
        ..calm()
    })
    .await;
    for (_stage, before) in STAGES {
        for frame in frames() {
            let polling = Polling::echo(&server).await;
            let (mut socket, mut rival) = (
                Socket::beside(&server, &polling).await,
                Socket::beside(&server, &polling).await,
            );
            for packet in before {
                socket.send(packet).await;
            }
            socket.say(frame.clone()).await;
            rival.say(frame.clone()).await;
            rival.say(Message::text("5")).await;
            socket.say(Message::text("5")).await;
            socket.say(frame).await;
            others_are_served(&server).await;
        }
    }
    server.close_all(Reason::ServerClosed);
    server.until_empty().await;
}

/// One of five WebSockets says something, or goes.
#[derive(Debug, Clone, Copy)]
enum Move {
    Connect(usize),
    Say(usize, &'static str),
    Leave(usize),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let packet = prop_oneof![Just("2probe"), Just("5"), Just("4x"), Just("6"), Just("3")];
    let one = prop_oneof![
        3 => (0..5_usize).prop_map(Move::Connect),
        5 => (0..5_usize, packet).prop_map(|(socket, packet)| Move::Say(socket, packet)),
        1 => (0..5_usize).prop_map(Move::Leave),
    ];
    prop::collection::vec(one, 1..24)
}

/// One polling session is fought over; then others are served, and it has one transport that works.
async fn fight(server: &Server, moves: &[Move]) {
    let polling = Polling::echo(server).await;
    let mut sockets: [Option<Socket>; 5] = Default::default();
    for step in moves {
        match *step {
            // Refused once the session has ended.
            Move::Connect(socket) => {
                sockets[socket] = Socket::try_beside(server, &polling).await.ok();
            }
            Move::Say(socket, packet) => {
                if let Some(socket) = &mut sockets[socket] {
                    socket.say(Message::text(packet)).await;
                }
            }
            Move::Leave(socket) => sockets[socket] = None,
        }
    }
    others_are_served(server).await;
    drop(sockets);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn five_websockets_fight_for_one_session_and_others_are_served(moves in moves()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::start(calm()).await;
            fight(&server, &moves).await;
            server.close_all(Reason::ServerClosed);
            server.until_empty().await;
        });
    }
}
