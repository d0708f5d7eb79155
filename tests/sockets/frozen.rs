//! A client that is cut off without a TCP close while it is being sent to: its process is frozen, then killed. What it
//! did not prove to have received comes when it joins again, and nothing else does (D28).

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::support::fold::{dense, seq, seqs};
use crate::support::gateway::{Gateway, shared_embedded};
use crate::support::node::{Node, SocketIo};
use crate::support::rest::Person;
use crate::support::ws::Ws;

/// Longer than a mark and the ping that proves it wait for an event to leave with.
const MARKED: Duration = Duration::from_secs(2);

async fn joined(gateway: &Gateway, person: &Person, transports: &[&str]) -> (Arc<Node>, SocketIo) {
    let node = Node::start().await;
    let client = node.open_by(gateway, person, transports).await;
    client.join(person, json!({"ack": "auto"})).await;
    (node, client)
}

async fn send(client: &Ws, to: &Person, count: u64) -> u64 {
    let mut references = Vec::new();
    for number in 1..=count {
        let frame = json!({"type": "send_message", "receiverId": to.id, "content": format!("message {number}")});
        references.push(client.submit(frame).await);
    }
    let messages = client.messages(references).await;
    messages.last().map_or(0, seq)
}

async fn gets_what_it_did_not_prove(transports: &[&str]) {
    let gateway = shared_embedded().await;
    let (ann, bob) = Person::pair(gateway, gateway).await;
    let conversation = ann.direct_with(&bob);
    let sender = Ws::join(gateway, &ann).await;

    // Frozen with everything proved: exactly what was sent afterwards comes again.
    let (node, client) = joined(gateway, &bob, transports).await;
    let proved = send(&sender, &bob, 20).await;
    client.fold().wait_seq(&conversation, proved).await;
    bob.wait_delivered(gateway, &conversation, proved).await;
    node.stop();
    let last = send(&sender, &bob, 30).await;
    // A time in which nothing may be proved: it is written, and asked about, and neither proves anything.
    tokio::time::sleep(MARKED).await;
    node.kill9();
    let (node, client) = joined(gateway, &bob, transports).await;
    let log = client.fold().wait_seq(&conversation, last).await;
    assert_eq!(seqs(&log), dense(proved + 1, last));
    bob.wait_delivered(gateway, &conversation, last).await;

    // Frozen for a while: it is late, and gets everything once.
    node.stop();
    let late = send(&sender, &bob, 30).await;
    node.cont();
    let log = client.fold().wait_seq(&conversation, late).await;
    assert_eq!(seqs(&log), dense(proved + 1, late));
    bob.wait_delivered(gateway, &conversation, late).await;
    let last = late;

    // Frozen amid a stream: what was proved was received, and the rest comes, in order.
    let streaming = send(&sender, &bob, 400);
    let freezing = async {
        client.fold().wait_seq(&conversation, last + 50).await;
        node.stop();
    };
    let (end, ()) = tokio::join!(streaming, freezing);
    node.kill9();
    let before = *client.fold().seqs(&conversation).last().unwrap();
    let (_node, client) = joined(gateway, &bob, transports).await;
    let again = seqs(&client.fold().wait_seq(&conversation, end).await);
    assert_eq!(again, dense(again[0], end));
    assert!(
        again[0] > last && again[0] <= before + 1,
        "{} after {before}",
        again[0]
    );
}

#[tokio::test]
async fn a_frozen_client_on_websocket_gets_what_it_did_not_prove() {
    gets_what_it_did_not_prove(&["websocket"]).await;
}

#[tokio::test]
async fn a_frozen_client_on_polling_gets_what_it_did_not_prove() {
    gets_what_it_did_not_prove(&["polling"]).await;
}
