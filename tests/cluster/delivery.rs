//! Who receives what: the official client on three gateways.

use std::sync::Arc;

use serde_json::json;

use crate::support::fold::{FIRST, dense, seq, seqs};
use crate::support::gateway::{Gateway, shared_cluster};
use crate::support::node::{Node, SocketIo};
use crate::support::rest::Person;

async fn joined(node: &Arc<Node>, gateway: &Gateway, person: &Person) -> SocketIo {
    let connected = node
        .connect(&gateway.url(""), &person.token, &["websocket"])
        .await;
    let client = connected.expect("the gateway takes the token");
    let answer = client.emit_with_ack("join", json!([person.id])).await;
    assert_eq!(answer["userId"], person.id.as_str(), "{answer}");
    client
}

#[tokio::test]
async fn a_private_message_reaches_every_session_but_the_sending_one() {
    let cluster = shared_cluster().await;
    let [one, two, three] = [0, 1, 2].map(|number| cluster.gateway(number));
    let node = Node::start().await;
    let ann = Person::register(one, "ann").await;
    let bob = Person::register(two, "bob").await;
    let sending = joined(&node, one, &ann).await;
    let other = joined(&node, two, &ann).await;
    let receivers = [
        joined(&node, two, &bob).await,
        joined(&node, three, &bob).await,
    ];
    let conversation = ann.direct_with(&bob);

    let body = json!([{"receiverId": bob.id, "content": "hello"}]);
    let sent = sending.emit_with_ack("send_message", body).await;
    assert_eq!(sent["ok"], true, "{sent}");
    for client in receivers.iter().chain([&other]) {
        let got = client.wait_for("receive_message").await;
        assert_eq!(got, sent["message"]);
    }
    // The answer from elsewhere is the next of the conversation: had the first one come to its sender, it would have
    // come before.
    let body = json!([{"receiverId": ann.id, "content": "hello yourself"}]);
    let answered = receivers[0].emit_with_ack("send_message", body).await;
    for client in [&sending, &other, &receivers[1]] {
        client.fold().wait_seq(&conversation, 2).await;
    }
    assert_eq!(
        sending.received("receive_message"),
        [answered["message"].clone()]
    );
    assert_eq!(other.fold().seqs(&conversation), [1, 2]);
    assert_eq!(receivers[1].fold().seqs(&conversation), [1, 2]);
    assert_eq!(receivers[0].fold().seqs(&conversation), [1]);
}

#[tokio::test]
async fn a_room_message_reaches_every_session_of_every_member_the_sender_s_included() {
    let cluster = shared_cluster().await;
    let [one, two, three] = [0, 1, 2].map(|number| cluster.gateway(number));
    let node = Node::start().await;
    let ann = Person::register(one, "ann").await;
    let bob = Person::register(two, "bob").await;
    let eve = Person::register(three, "eve").await;
    let members = [
        joined(&node, one, &ann).await,
        joined(&node, three, &ann).await,
        joined(&node, two, &bob).await,
        joined(&node, three, &bob).await,
    ];
    let outside = joined(&node, two, &eve).await;
    // Made while they are online: it reaches them without a new join.
    let room = ann.room(two, &[&bob]).await;
    let answer = members[2].emit_with_ack("join_room", json!([room])).await;
    assert_eq!(answer["ok"], true, "{answer}");
    for (number, sender) in (FIRST..).zip(&members) {
        let body = json!([{"roomId": room, "content": format!("message {number}")}]);
        let sent = sender.emit_with_ack("send_group_message", body).await;
        assert_eq!(seq(&sent["message"]), number, "{sent}");
        for client in &members {
            let got = client.wait_for("receive_group_message").await;
            assert_eq!(got, sent["message"]);
        }
    }
    for client in &members {
        assert_eq!(client.fold().seqs(&room), dense(1, FIRST + 3));
    }
    let refused = outside
        .emit_with_ack(
            "send_group_message",
            json!([{"roomId": room, "content": "psst"}]),
        )
        .await;
    assert_eq!(refused["error"]["code"], "not_a_member");
    // Something that does reach her, sent after everything else.
    let body = json!([{"receiverId": eve.id, "content": "not for you"}]);
    members[0].emit_with_ack("send_message", body).await;
    outside.wait_for("receive_message").await;
    assert!(outside.fold().seqs(&room).is_empty());
    let history = ann.room_history(three, &room).await;
    assert_eq!(seqs(&history), dense(FIRST, FIRST + 3));
}
