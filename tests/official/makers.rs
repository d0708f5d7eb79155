//! The clients of other makers, and older official ones: a long backlog, a burst of large messages, a restart of their
//! gateway by SIGTERM and one by SIGKILL, on both transports.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{private, register};
use crate::support::gateway::Gateway;
use crate::support::leash::START_DEADLINE;
use crate::support::node::{Library, Node, SocketIo};

const BACKLOG: usize = 1_000;
/// Together nearly 1 MB, which some clients post in one request.
const BURST: usize = 50;
const LARGE: usize = 16 * 1024;

/// Waits until it has connected, however often it had to try.
async fn until_connected(client: &SocketIo) {
    let deadline = Instant::now() + START_DEADLINE;
    while let Err(error) = client.wait_connected().await {
        assert!(Instant::now() < deadline, "{error:?}");
    }
}

async fn join(client: &SocketIo) {
    until_connected(client).await;
    let answer = client.emit_with_ack("join", json!([null, {}])).await;
    assert_eq!(answer["ok"], true, "{answer}");
}

async fn hears(client: &SocketIo, content: &str) {
    let is_it = |got: &Value| got["content"] == content;
    client.wait_for_matching("receive_message", is_it).await;
}

/// `BACKLOG` messages to somebody who is not there.
async fn fill(sender: &SocketIo, receiver: &Value) {
    let mut answers = Vec::new();
    for number in 0..BACKLOG {
        let message = private(receiver, &format!("missed {number}"));
        answers.push(sender.emit_for_ack("send_message", message).await);
    }
    for reference in answers {
        let answer = sender.wait_ack(reference).await;
        assert_eq!(answer["ok"], true, "{answer}");
    }
}

/// All of it, once, and in its order where the library hands events on in the order in which they came: python-socketio
/// calls each handler in a thread of its own.
async fn gets_the_backlog(client: &SocketIo, is_ordered: bool) {
    let deadline = Instant::now() + START_DEADLINE;
    while client.received("receive_message").len() < BACKLOG {
        assert!(Instant::now() < deadline, "the backlog does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let got = client.received("receive_message");
    let mut got: Vec<u64> = got.iter().filter_map(|got| got["seq"].as_u64()).collect();
    if !is_ordered {
        got.sort_unstable();
    }
    assert!(got.iter().copied().eq(1..=BACKLOG as u64), "{got:?}");
}

async fn sends_a_burst(client: &SocketIo, receiver: &Value) {
    let mut answers = Vec::new();
    for number in 0..BURST {
        let content = format!("{number:0>LARGE$}");
        answers.push(
            client
                .emit_for_ack("send_message", private(receiver, &content))
                .await,
        );
    }
    for reference in answers {
        let answer = client.wait_ack(reference).await;
        assert_eq!(answer["ok"], true, "{}", answer["error"]);
    }
}

/// It comes back by itself, and hears what was said meanwhile.
async fn comes_back(client: &SocketIo, sender: &SocketIo, me: &Value, content: &str) {
    client.wait_disconnected().await;
    join(client).await;
    until_connected(sender).await;
    let answer = sender
        .emit_with_ack("send_message", private(me, content))
        .await;
    assert_eq!(answer["ok"], true, "{answer}");
    hears(client, content).await;
}

async fn lives(library: Library, transport: &str) {
    let mut gateway = Gateway::embedded_with(&[("HOBNOB_DRAIN_GRACE", "2s")]).await;
    let alice = register(&gateway, "alice").await;
    let bob = register(&gateway, "bob").await;
    let (official, other) = tokio::join!(Node::start(), Node::start_with(library));
    let token = alice["token"].as_str().expect("a token");
    let url = gateway.url("");
    let sender = official.connect(&url, token, &["websocket"]).await;
    let sender = sender.expect("a connection");
    fill(&sender, &bob).await;

    let client = open(&other, &gateway, &bob, transport).await;
    join(&client).await;
    gets_the_backlog(&client, library != Library::Python("sync")).await;
    sends_a_burst(&client, &alice).await;

    gateway.terminate();
    assert_eq!(gateway.ended().await, Some(0), "{}", gateway.output());
    gateway.restart().await;
    comes_back(&client, &sender, &bob, "after SIGTERM").await;
    gateway.kill9();
    gateway.restart().await;
    comes_back(&client, &sender, &bob, "after SIGKILL").await;
}

async fn open(node: &Arc<Node>, gateway: &Gateway, user: &Value, transport: &str) -> SocketIo {
    let options = json!({
        "auth": { "token": user["token"] }, "transports": [transport],
        "reconnectionDelay": 100, "reconnectionDelayMax": 500,
    });
    node.client(&gateway.url(""), options).await
}

async fn lives_on_both_transports(library: Library) {
    lives(library, "polling").await;
    lives(library, "websocket").await;
}

#[tokio::test]
async fn socket_io_client_4_8_lives_here() {
    lives_on_both_transports(Library::JavaScript("socket.io-client")).await;
}

#[tokio::test]
async fn socket_io_client_4_5_lives_here() {
    lives_on_both_transports(Library::JavaScript("socket.io-client-4.5")).await;
}

#[tokio::test]
async fn socket_io_client_4_0_lives_here() {
    lives_on_both_transports(Library::JavaScript("socket.io-client-4.0")).await;
}

#[tokio::test]
async fn socket_io_client_3_1_lives_here() {
    lives_on_both_transports(Library::JavaScript("socket.io-client-3.1")).await;
}

#[tokio::test]
async fn python_socketio_lives_here() {
    lives_on_both_transports(Library::Python("sync")).await;
}

#[tokio::test]
async fn python_socketio_on_asyncio_lives_here() {
    lives_on_both_transports(Library::Python("async")).await;
}

/// It speaks Engine.IO 3. What it is told on the wire names that; its own error does not show it.
#[tokio::test]
async fn socket_io_client_2_is_refused() {
    let gateway = Gateway::embedded().await;
    let bob = register(&gateway, "bob").await;
    let node = Node::start_with(Library::JavaScript("socket.io-client-2")).await;
    for transport in ["polling", "websocket"] {
        let client = open(&node, &gateway, &bob, transport).await;
        client.wait_connected().await.expect_err("a refusal");
        client.disconnect().await;
    }
    let url = gateway.url("/socket.io/?EIO=3&transport=polling&b64=1");
    let answer = reqwest::get(url).await.expect("an answer");
    assert_eq!(answer.status(), 400);
    let refusal: Value = answer.json().await.expect("JSON");
    assert_eq!(refusal["message"], "Unsupported protocol version");
}
