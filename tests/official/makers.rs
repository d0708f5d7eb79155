//! The clients of other makers, and older official ones: a long backlog, a burst of large messages, a restart of their
//! gateway by SIGTERM and one by SIGKILL, on both transports.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{heard, private, register};
use crate::support::gateway::Gateway;
use crate::support::node::{Library, Node, SocketIo};
use crate::support::until;

const BACKLOG: usize = 1_000;
/// Together nearly 1 MB, which some clients post in one request.
const BURST: usize = 50;
const LARGE: usize = 16 * 1024;

/// Waits until it has connected, however often it had to try.
async fn until_connected(client: &SocketIo) {
    until("a connection", async || client.wait_connected().await).await;
}

async fn join(client: &SocketIo) {
    until_connected(client).await;
    client.granted("join", json!([null, {}])).await;
}

/// Says all of it at once, and is answered.
async fn sends_all(sender: &SocketIo, receiver: &Value, contents: impl Iterator<Item = String>) {
    let mut answers = Vec::new();
    for content in contents {
        let message = private(receiver, &content);
        answers.push(sender.emit_for_ack("send_message", message).await);
    }
    for reference in answers {
        let answer = sender.wait_ack(reference).await;
        assert_eq!(answer["ok"], true, "{}", answer["error"]);
    }
}

/// All of it, once, and in its order where the library hands events on in the order in which they came: python-socketio
/// calls each handler in a thread of its own.
async fn gets_the_backlog(client: &SocketIo, is_ordered: bool) {
    let got = until("the backlog", async || {
        let got = client.received("receive_message");
        let count = got.len();
        (count >= BACKLOG).then_some(got).ok_or(count)
    })
    .await;
    let mut got: Vec<u64> = got.iter().filter_map(|got| got["seq"].as_u64()).collect();
    if !is_ordered {
        got.sort_unstable();
    }
    assert!(got.iter().copied().eq(1..=BACKLOG as u64), "{got:?}");
}

/// It comes back by itself, and hears what was said meanwhile.
async fn comes_back(client: &SocketIo, sender: &SocketIo, me: &Value, content: &str) {
    client.wait_disconnected().await;
    join(client).await;
    until_connected(sender).await;
    sender.granted("send_message", private(me, content)).await;
    heard(client, content).await;
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
    // To somebody who is not there.
    let missed = (0..BACKLOG).map(|number| format!("missed {number}"));
    sends_all(&sender, &bob, missed).await;

    let client = open(&other, &gateway, &bob, transport).await;
    join(&client).await;
    gets_the_backlog(&client, library != Library::Python("sync")).await;
    let burst = (0..BURST).map(|number| format!("{number:0>LARGE$}"));
    sends_all(&client, &alice, burst).await;

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

macro_rules! lives_here {
    ($($name:ident: $library:expr),* $(,)?) => {
        $(#[tokio::test]
        async fn $name() {
            lives_on_both_transports($library).await;
        })*
    };
}

lives_here!(
    socket_io_client_4_8_lives_here: Library::JavaScript("socket.io-client"),
    socket_io_client_4_5_lives_here: Library::JavaScript("socket.io-client-4.5"),
    socket_io_client_4_0_lives_here: Library::JavaScript("socket.io-client-4.0"),
    socket_io_client_3_1_lives_here: Library::JavaScript("socket.io-client-3.1"),
    python_socketio_lives_here: Library::Python("sync"),
    python_socketio_on_asyncio_lives_here: Library::Python("async"),
);

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
