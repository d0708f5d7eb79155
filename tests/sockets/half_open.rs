//! Connections that begin something and never finish it: a request's head, its body, a handshake, a first word. Each is
//! ended in its time, with its code where the transport carries one, and a session beside them notices nothing.

use std::time::Duration;

use futures_util::SinkExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use crate::support::fold::DEADLINE;
use crate::support::gateway::Gateway;
use crate::support::rest::Person;
use crate::support::ws::Ws;

use super::{connect, dial, polling_session};

/// Short, but long enough for those who do finish, however busy the machine.
const TIMEOUTS: [(&str, &str); 2] = [
    ("HOBNOB_CLIENT_TIMEOUT", "10s"),
    ("HOBNOB_HELLO_TIMEOUT", "10s"),
];

/// Says this and nothing more; what it is answered until the end of the connection.
async fn unfinished(gateway: &Gateway, beginning: &str) -> String {
    let mut stream = connect(gateway.port()).await;
    stream.write_all(beginning.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
    // Both ways of ending are an end; a connection that stays open is none.
    let _reset_or_closed = ended.unwrap_or_else(|_| panic!("it stays open after {beginning:?}"));
    String::from_utf8_lossy(&answer).into_owned()
}

/// The same, but a byte of a body comes every now and then.
async fn trickling(gateway: &Gateway, head: &str) -> String {
    let mut stream = connect(gateway.port()).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut from, mut to) = stream.split();
    let mut answer = Vec::new();
    let trickle = async {
        while to.write_all(b" ").await.is_ok() {
            // Often enough that no time between two bytes is too long.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let ended = tokio::time::timeout(DEADLINE, async {
        tokio::select! {
            _ = from.read_to_end(&mut answer) => {}
            () = trickle => {}
        }
    });
    ended.await.expect("the gateway ends it");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn what_is_never_finished_is_ended_and_others_are_served() {
    let gateway = Gateway::embedded_with(&TIMEOUTS).await;
    let ann = Person::register(&gateway, "ann").await;
    let session = Ws::join(&gateway, &ann).await;

    let upgrade = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    let post = "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
    let (silent, half, handshake, body, trickle) = tokio::join!(
        unfinished(&gateway, ""),
        unfinished(&gateway, "GET /me HTTP/1.1\r\nHost: "),
        unfinished(&gateway, upgrade),
        unfinished(&gateway, post),
        trickling(&gateway, post),
    );
    assert_eq!(silent, "");
    for answer in [half, handshake] {
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    for answer in [body, trickle] {
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains(r#""code":"request_timeout""#), "{answer}");
    }
    // More than all of these times later: a session is not a request.
    let typing = json!({"receiverId": ann.id, "typing": true});
    session.granted("typing", typing).await;
}

#[tokio::test]
async fn a_client_that_never_says_who_it_is_is_closed_with_the_code_for_it() {
    let gateway = Gateway::embedded_with(&TIMEOUTS).await;
    let timed_out = (4102, "connect_timeout".to_owned());
    let wordless = async { Ws::open(gateway.port()).await.closed().await };
    // Engine.IO on WebSocket: open, and never CONNECT; pongs and no-operations are no first word.
    let no_operation = async {
        let mut raw = dial(&gateway, "/socket.io/?EIO=4&transport=websocket").await;
        raw.send(Message::text("6")).await.unwrap();
        end_of(raw).await
    };
    // On polling: the handshake, then polls alone; the last is released, and the session gone.
    let polls_alone = async {
        let path = gateway.url("/socket.io/?EIO=4&transport=polling");
        let poll = format!("{path}&sid={}", polling_session(&gateway).await);
        let answer = tokio::time::timeout(DEADLINE, reqwest::get(&poll)).await;
        let answer = answer.expect("an answer").unwrap();
        assert_eq!(answer.text().await.unwrap(), "6");
        reqwest::get(&poll).await.unwrap().status()
    };
    let (wordless, no_operation, polled) = tokio::join!(wordless, no_operation, polls_alone);
    assert_eq!([wordless, no_operation], [timed_out.clone(), timed_out]);
    assert_eq!(polled, 400);
}

async fn end_of(mut raw: crate::support::ws::RawWs) -> (u16, String) {
    use futures_util::StreamExt;
    let end = tokio::time::timeout(DEADLINE, async {
        loop {
            match raw.next().await {
                Some(Ok(Message::Close(Some(frame)))) => {
                    return (frame.code.into(), frame.reason.as_str().to_owned());
                }
                Some(Ok(_)) => {}
                _ => return (1006, String::new()),
            }
        }
    });
    end.await.expect("an end")
}
