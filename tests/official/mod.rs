//! The official `socket.io-client` against real gateway processes, the clients of others, the proxies
//! between, and what README and the example show.
//!
//! Compatibility is what the client of others does, not what our own tests believe.

mod example;
mod makers;
mod proxies;
mod readme;

use serde_json::{Value, json};

use crate::support::fold::{dense, seqs};
use crate::support::gateway::{Cluster, Gateway};
use crate::support::node::{Node, SocketIo};

const TRANSPORTS: [&[&str]; 3] = [&["websocket"], &["polling"], &["polling", "websocket"]];

async fn register(gateway: &Gateway, username: &str) -> Value {
    let body = json!({ "username": username, "password": "correct horse battery" });
    let request = reqwest::Client::new()
        .post(gateway.url("/register"))
        .json(&body);
    let answer = request.send().await.expect("the gateway answers");
    assert_eq!(answer.status(), 201);
    answer.json().await.expect("a JSON answer")
}

/// A client of `user` that has joined.
async fn join(
    node: &std::sync::Arc<Node>,
    gateway: &Gateway,
    user: &Value,
    transports: &[&str],
) -> SocketIo {
    let token = user["token"].as_str().expect("a token");
    let connected = node.connect(&gateway.url(""), token, transports).await;
    let client = connected.expect("a connection");
    client.granted("join", json!([user["userId"]])).await;
    client
}

/// Waits for the first message that says this.
async fn heard(client: &SocketIo, content: &str) -> Value {
    let is_it = |got: &Value| got["content"] == content;
    client.wait_for_matching("receive_message", is_it).await
}

fn private(receiver: &Value, content: &str) -> Value {
    json!([{ "receiverId": receiver["userId"], "content": content }])
}

#[tokio::test]
async fn two_users_chat_across_gateways_on_every_transport() {
    let cluster = Cluster::start(2).await;
    let (first, second) = (cluster.gateway(0), cluster.gateway(1));
    let alice = register(first, "alice").await;
    let bob = register(second, "bob").await;
    let node = Node::start().await;
    for transports in TRANSPORTS {
        let at_first = join(&node, first, &alice, transports).await;
        let at_second = join(&node, second, &bob, transports).await;
        let content = format!("over {transports:?}");
        let message = private(&bob, &content);
        let answer = at_first.granted("send_message", message).await;
        assert_eq!(heard(&at_second, &content).await, answer["message"]);
        at_first.disconnect().await;
        at_second.disconnect().await;
        at_second.wait_disconnected().await;
    }
}

#[tokio::test]
async fn a_bad_token_is_a_connect_error_with_the_errors_code() {
    let gateway = Gateway::embedded().await;
    let node = Node::start().await;
    for transports in TRANSPORTS {
        let url = gateway.url("");
        let refused = node.connect(&url, "not a token", transports).await;
        let error = refused.err().expect("a connect_error");
        assert_eq!(error.data["code"], "token_invalid", "{error:?}");
    }
}

#[tokio::test]
async fn a_cut_client_reconnects_by_itself_and_gets_what_it_missed() {
    let cluster = Cluster::start(2).await;
    let (first, second) = (cluster.gateway(0), cluster.gateway(1));
    let alice = register(first, "alice").await;
    let bob = register(second, "bob").await;
    let node = Node::start().await;
    let at_first = join(&node, first, &alice, &["websocket"]).await;
    let at_second = join(&node, second, &bob, &["websocket"]).await;

    at_second.cut().await;
    at_second.wait_disconnected().await;
    let sent: Vec<Value> = (0..3)
        .map(|number| json!(format!("missed {number}")))
        .collect();
    for content in &sent {
        let message = private(&bob, content.as_str().unwrap());
        at_first.granted("send_message", message).await;
    }
    at_second.wait_connected().await.expect("it comes back");
    at_second.emit_with_ack("join", json!([])).await;
    heard(&at_second, "missed 2").await;
    let received = at_second.received("receive_message");
    let got = received.iter().map(|got| &got["content"]);
    assert!(got.eq(&sent), "{received:?}");
}

#[tokio::test]
async fn clients_of_a_killed_gateway_come_back_to_their_conversation() {
    let mut gateway = Gateway::embedded().await;
    let alice = register(&gateway, "alice").await;
    let bob = register(&gateway, "bob").await;
    let node = Node::start().await;
    let at_alices = join(&node, &gateway, &alice, &["websocket"]).await;
    let at_bobs = join(&node, &gateway, &bob, &["websocket"]).await;
    let before = private(&bob, "before");
    let answer = at_alices.granted("send_message", before).await;
    assert_eq!(at_bobs.wait_for("receive_message").await, answer["message"]);

    gateway.kill9();
    at_alices.wait_disconnected().await;
    at_bobs.wait_disconnected().await;
    // One client was told to stay away until called back; the other returns by itself.
    at_bobs.disconnect().await;
    gateway.restart().await;
    let back = at_alices.wait_connected().await;
    back.expect("it comes back by itself");
    at_alices.emit_with_ack("join", json!([])).await;
    let credentials = json!({ "token": bob["token"] });
    at_bobs.reconnect(Some(credentials)).await;
    at_bobs.wait_connected().await.expect("it was called back");
    at_bobs.emit_with_ack("join", json!([])).await;

    let typing = json!([{ "receiverId": alice["userId"], "typing": true }]);
    at_bobs.emit("typing", typing).await;
    assert_eq!(at_alices.wait_for("typing").await["typing"], true);
    let after = private(&bob, "after");
    at_alices.granted("send_message", after).await;
    let got = heard(&at_bobs, "after").await;
    assert_eq!(got["seq"], 2);
}

#[tokio::test]
async fn a_frozen_client_hears_everything_when_it_goes_on() {
    let gateway = Gateway::embedded().await;
    let alice = register(&gateway, "alice").await;
    let bob = register(&gateway, "bob").await;
    let (awake, asleep) = (Node::start().await, Node::start().await);
    let at_alices = join(&awake, &gateway, &alice, &["websocket"]).await;
    let at_bobs = join(&asleep, &gateway, &bob, &["websocket"]).await;

    asleep.stop();
    let mut acknowledgements = Vec::new();
    for number in 0..50 {
        let message = private(&bob, &format!("number {number}"));
        acknowledgements.push(at_alices.emit_for_ack("send_message", message).await);
    }
    for reference in acknowledgements {
        assert_eq!(at_alices.wait_ack(reference).await["ok"], true);
    }
    asleep.cont();
    heard(&at_bobs, "number 49").await;
    let received = at_bobs.received("receive_message");
    assert_eq!(seqs(&received), dense(1, 50));
}
