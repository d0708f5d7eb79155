//! What a client proves to have received moves its user's cursor, whatever it does itself in between (D28, D29).

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::support::fold::{FIRST, seq, seqs};
use crate::support::gateway::{Gateway, shared_embedded};
use crate::support::node::Node;
use crate::support::rest::Person;
use crate::support::ws::Ws;

#[tokio::test]
async fn d29_who_changes_a_direct_message_still_proves_what_comes_after_it() {
    let gateway = shared_embedded().await;
    let (ann, bob) = Person::pair(gateway, gateway).await;
    let conversation = ann.direct_with(&bob);
    let client = Ws::join_with(gateway, &ann, json!({"ack": "auto"})).await;
    let other = Ws::join(gateway, &bob).await;
    let target = seq(&client.write(&bob, "first").await);
    let edit = json!({"conversationId": conversation, "seq": target, "content": "second"});
    client.granted("edit_message", edit).await;
    let last = seq(&other.write(&ann, "third").await);
    ann.wait_delivered(gateway, &conversation, last).await;
}

/// Events, the room's making and messages: more than one page.
const WAITING: u64 = 300;
/// How long a client of the official library stays after the last: less than the pace of marks (D28).
const STAYS: Duration = Duration::from_millis(500);

/// A room in which messages wait for somebody who has never connected.
async fn backlog(gateway: &Gateway) -> (Person, Person, String) {
    let (ann, bob) = Person::pair(gateway, gateway).await;
    let room = ann.room(gateway, &[&bob]).await;
    let writer = Ws::join(gateway, &ann).await;
    let mut sent = Vec::new();
    for number in FIRST..=WAITING {
        let content = format!("message {number}");
        let frame =
            json!({"type": "send_group_message", "roomId": room.clone(), "content": content});
        sent.push(writer.submit(frame).await);
    }
    writer.messages(sent).await;
    (ann, bob, room)
}

/// How often it is tried: on a machine with more to do than it can, half a second may be over before the backlog's end. At
/// the pace of marks alone the first answer would be the same every time.
const TRIES: usize = 5;

/// Whether what comes next is all that comes.
async fn comes_alone(gateway: &Gateway, (ann, bob, room): &(Person, Person, String)) -> bool {
    let again = Ws::join_with(gateway, bob, json!({"ack": "auto"})).await;
    ann.say(gateway, room, "next").await;
    let log = again.fold().wait_seq(room, WAITING + 1).await;
    seqs(&log) == [WAITING + 1]
}

async fn leaves_official(gateway: &Gateway, node: &Arc<Node>, transport: &str) -> bool {
    let scene = backlog(gateway).await;
    let client = node.open_by(gateway, &scene.1, &[transport]).await;
    client.join(&scene.1, json!({})).await;
    client.fold().wait_seq(&scene.2, WAITING).await;
    tokio::time::sleep(STAYS).await;
    client.disconnect().await;
    comes_alone(gateway, &scene).await
}

async fn leaves_plain(gateway: &Gateway) -> bool {
    let scene = backlog(gateway).await;
    let client = Ws::join_with(gateway, &scene.1, json!({"ack": "auto"})).await;
    client.fold().wait_seq(&scene.2, WAITING).await;
    tokio::time::sleep(STAYS).await;
    client.close().await;
    comes_alone(gateway, &scene).await
}

#[tokio::test]
async fn d48_whoever_takes_a_backlog_and_leaves_does_not_get_it_again() {
    let gateway = shared_embedded().await;
    let node = Node::start().await;
    for transport in ["websocket", "polling"] {
        let mut tries = 0..TRIES;
        while !leaves_official(gateway, &node, transport).await {
            assert!(tries.next().is_some(), "on {transport} it comes again");
        }
    }
}

#[tokio::test]
async fn d48_the_same_on_the_plain_websocket() {
    let gateway = shared_embedded().await;
    let mut tries = 0..TRIES;
    while !leaves_plain(gateway).await {
        assert!(tries.next().is_some(), "it comes again");
    }
}
