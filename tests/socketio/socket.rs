//! Socket.IO: the cases of its public suite, and what it leaves out.

use std::time::Duration;

use bytes::Bytes;
use hobnob::transport::outbox::Reason;
use serde_json::Value;

use super::client::{Polling, Received, Socket, ok, text};
use super::server::{Server, calm, lively};

/// Connects to a namespace and returns the payload of `auth`'s packet.
async fn connect(server: &Server, packet: &str, prefix: &str) -> Received {
    let (mut socket, handshake) = Socket::open(server, "/socket.io/").await;
    socket.send(packet).await;
    let Received::Text(connected) = socket.receive().await else {
        panic!("a CONNECT packet");
    };
    let connected: Value = serde_json::from_str(connected.strip_prefix(prefix).unwrap()).unwrap();
    let keys: Vec<&String> = connected.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["sid"]);
    assert_ne!(connected["sid"], handshake["sid"]);
    socket.receive().await
}

fn binary(bytes: &'static [u8]) -> Received {
    Received::Binary(Bytes::from_static(bytes))
}

#[tokio::test]
async fn clients_connect_to_namespaces_with_and_without_a_payload() {
    let server = Server::start(calm()).await;
    for (packet, prefix, auth) in [
        ("40", "40", r#"42["auth",{}]"#),
        (
            r#"40{"token":"123"}"#,
            "40",
            r#"42["auth",{"token":"123"}]"#,
        ),
        ("40/custom,", "40/custom,", r#"42/custom,["auth",{}]"#),
        (
            r#"40/custom,{"token":"abc"}"#,
            "40/custom,",
            r#"42/custom,["auth",{"token":"abc"}]"#,
        ),
    ] {
        assert_eq!(connect(&server, packet, prefix).await, text(auth));
    }
}

#[tokio::test]
async fn a_refused_client_is_told_why() {
    let server = Server::start(calm()).await;
    let (mut socket, _) = Socket::open(&server, "/socket.io/").await;
    socket.send("40/random").await;
    let refused = r#"44/random,{"message":"Invalid namespace"}"#;
    assert_eq!(socket.receive().await, text(refused));
    socket.send(r#"40{"token":"bad"}"#).await;
    let refused = r#"44{"message":"not you","data":{"code":"invalid_token"}}"#;
    assert_eq!(socket.receive().await, text(refused));
    socket.send("40").await;
    assert!(matches!(socket.receive().await, Received::Text(it) if it.starts_with("40{")));
}

#[tokio::test]
async fn an_invalid_handshake_or_none_closes_the_connection() {
    let server = Server::start(calm()).await;
    for invalid in [
        "4abc",
        "40[]",
        r#"42["message"]"#,
        r#"44{"message":"no"}"#,
        "4",
    ] {
        let (mut socket, _) = Socket::open(&server, "/socket.io/").await;
        socket.send(invalid).await;
        assert_eq!(socket.receive_close().await, Some(1002), "{invalid}");
    }
    let server = Server::start_with(lively(), Duration::from_secs(1)).await;
    let (mut silent, _) = Socket::open(&server, "/socket.io/").await;
    while let Received::Text(packet) = silent.receive().await {
        assert_eq!(packet, "2");
        silent.send("3").await;
    }
}

#[tokio::test]
async fn after_leaving_the_main_namespace_the_session_stays() {
    let server = Server::start(lively()).await;
    let mut socket = Socket::socket_io(&server).await;
    socket.send("41").await;
    server
        .until("the leaving", |log| log.ends == [Reason::TransportClosed])
        .await;
    assert_eq!(socket.receive().await, text("2"));
}

#[tokio::test]
async fn after_leaving_a_custom_namespace_the_main_one_goes_on() {
    let server = Server::start(calm()).await;
    let mut socket = Socket::socket_io(&server).await;
    socket.send("40/custom").await;
    socket.receive().await;
    assert_eq!(socket.receive().await, text(r#"42/custom,["auth",{}]"#));
    socket.send("41/custom").await;
    socket.send(r#"42/custom,["message","crossed"]"#).await;
    socket
        .send(r#"42["message","to the main namespace"]"#)
        .await;
    let back = r#"42["message-back","to the main namespace"]"#;
    assert_eq!(socket.receive().await, text(back));
}

#[tokio::test]
async fn events_and_acknowledgements_carry_text_and_attachments() {
    let server = Server::start(calm()).await;
    let mut socket = Socket::socket_io(&server).await;
    socket.send(r#"42["message",1,"2",{"3":[true]}]"#).await;
    let back = r#"42["message-back",1,"2",{"3":[true]}]"#;
    assert_eq!(socket.receive().await, text(back));
    socket
        .send(r#"42456["message-with-ack",1,"2",{"3":[false]}]"#)
        .await;
    assert_eq!(
        socket.receive().await,
        text(r#"43456[1,"2",{"3":[false]}]"#)
    );
    let args = r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;
    for (sent, answered) in [
        (
            format!(r#"452-["message",{args}]"#),
            format!(r#"452-["message-back",{args}]"#),
        ),
        (
            format!(r#"452-789["message-with-ack",{args}]"#),
            format!("462-789[{args}]"),
        ),
    ] {
        socket.send(&sent).await;
        socket.send_binary(&[1, 2, 3]).await;
        socket.send_binary(&[4, 5, 6]).await;
        assert_eq!(socket.receive().await, text(&answered));
        assert_eq!(socket.receive().await, binary(&[1, 2, 3]));
        assert_eq!(socket.receive().await, binary(&[4, 5, 6]));
    }
}

#[tokio::test]
async fn polling_carries_the_same() {
    let server = Server::start(calm()).await;
    let (polling, _) = Polling::open(&server, "/socket.io/").await;
    assert_eq!(polling.post("40").await, ok("ok"));
    assert!(polling.poll().await.body.ends_with("\x1e42[\"auth\",{}]"));
    let args = r#"[{"_placeholder":true,"num":0}]"#;
    let sent = format!("451-7[\"message-with-ack\",{}\x1ebAQID", &args[1..]);
    assert_eq!(polling.post(sent).await, ok("ok"));
    assert_eq!(polling.poll().await, ok(&format!("461-7{args}\x1ebAQID")));
}

#[tokio::test]
async fn a_thousand_acknowledgements_on_polling_are_all_answered() {
    let server = Server::start(calm()).await;
    let (polling, _) = Polling::open(&server, "/socket.io/").await;
    let events = (0..1_000).map(|id| format!(r#"42{id}["message-with-ack",{id}]"#));
    let body = std::iter::once("40".to_owned()).chain(events);
    let body: Vec<String> = body.collect();
    assert_eq!(polling.post(body.join("\x1e")).await, ok("ok"));
    let answered = polling.poll().await.body;
    let answered: Vec<&str> = answered.split('\x1e').skip(2).collect();
    let expected: Vec<String> = (0..1_000).map(|id| format!("43{id}[{id}]")).collect();
    assert_eq!(answered, expected);
}

#[tokio::test]
async fn an_invalid_packet_closes_the_connection() {
    let server = Server::start(calm()).await;
    for invalid in [
        "4abc",
        "42{}",
        "42[]",
        r#"42abc["message-with-ack",1,"2",{"3":[false]}]"#,
        r#"42["connect"]"#,
        r#"42/other,["message"]"#,
        r#"43["an answer without an id"]"#,
        r#"45["message"]"#,
        r#"4511-["message"]"#,
        "40",
    ] {
        let mut socket = Socket::socket_io(&server).await;
        socket.send(invalid).await;
        assert_eq!(socket.receive_close().await, Some(1002), "{invalid}");
    }
}

#[tokio::test]
async fn attachments_come_when_they_are_due_and_only_then() {
    let server = Server::start(calm()).await;
    let mut socket = Socket::socket_io(&server).await;
    socket.send_binary(&[1]).await;
    assert_eq!(socket.receive_close().await, Some(1002));
    let mut socket = Socket::socket_io(&server).await;
    let placeholder = r#"{"_placeholder":true,"num":0}"#;
    socket
        .send(&format!(r#"451-["message",{placeholder}]"#))
        .await;
    socket.send(r#"42["message"]"#).await;
    assert_eq!(socket.receive_close().await, Some(1002));
}

#[tokio::test]
async fn acknowledgements_may_be_answered_later_by_other_tasks() {
    let server = Server::start(calm()).await;
    let mut socket = Socket::socket_io(&server).await;
    for id in 0..3 {
        socket.send(&format!(r#"42{id}["later"]"#)).await;
    }
    socket.send(r#"42["message","meanwhile"]"#).await;
    assert_eq!(
        socket.receive().await,
        text(r#"42["message-back","meanwhile"]"#)
    );
    socket.send(r#"42["now"]"#).await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        let Received::Text(answer) = socket.receive().await else {
            panic!("an acknowledgement");
        };
        answers.push(answer);
    }
    answers.sort();
    assert_eq!(answers, [r#"430["now"]"#, r#"431["now"]"#, r#"432["now"]"#]);
}

#[tokio::test]
async fn the_server_shares_and_knows_the_handshake() {
    let server = Server::start(calm()).await;
    let path = "/socket.io/?EIO=4&transport=websocket&token=ada";
    let mut socket = Socket::connect(&server, path).await.unwrap();
    socket.receive().await;
    socket.send("40").await;
    socket.receive().await;
    socket.receive().await;
    // An answer to nothing is dropped.
    socket.send(r#"430["yes"]"#).await;
    socket.send(r#"42["shared"]"#).await;
    assert_eq!(socket.receive().await, text(r#"42["all",2]"#));
    socket.send(r#"42["who"]"#).await;
    assert_eq!(socket.receive().await, text(r#"42["you","ada"]"#));
}
