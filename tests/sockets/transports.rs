//! The official client's transports, and what it sends before it has connected.

use serde_json::json;

use crate::support::fold::dense;
use crate::support::gateway::{Gateway, shared_embedded};
use crate::support::node::{Node, SocketIo};
use crate::support::rest::Person;
use crate::support::ws::Ws;

/// Both ways, with more than fits into one polling payload's worth of small packets.
async fn converse(gateway: &Gateway, ann: &Person, client: &SocketIo) {
    let bob = Person::register(gateway, "bob").await;
    let other = Ws::join(gateway, &bob).await;
    let conversation = ann.direct_with(&bob);
    let answer = client.emit_with_ack("join", json!([ann.id])).await;
    assert_eq!(answer["userId"], ann.id.as_str(), "{answer}");
    let mut references = Vec::new();
    for number in 1..=100 {
        let body = json!([{"receiverId": bob.id, "content": format!("there {number}")}]);
        references.push(client.emit_for_ack("send_message", body).await);
    }
    for (number, reference) in (1..).zip(references) {
        let answer = client.wait_ack(reference).await;
        assert_eq!(answer["message"]["seq"], number, "{answer}");
    }
    other.fold().wait_seq(&conversation, 100).await;
    assert_eq!(other.fold().seqs(&conversation), dense(1, 100));
    for number in 1..=100 {
        let body = json!({"type": "send_message", "receiverId": ann.id, "content": format!("back {number}")});
        other.submit(body).await;
    }
    client.fold().wait_seq(&conversation, 200).await;
    assert_eq!(client.fold().seqs(&conversation), dense(101, 200));
}

#[tokio::test]
async fn the_default_transports_begin_with_polling_and_upgrade() {
    let gateway = shared_embedded().await;
    let node = Node::start().await;
    let ann = Person::register(gateway, "ann").await;
    let client = node
        .client(&gateway.url(""), json!({"auth": {"token": ann.token}}))
        .await;
    assert_eq!(client.wait_transport("connect").await, "polling");
    assert_eq!(client.wait_transport("upgrade").await, "websocket");
    converse(gateway, &ann, &client).await;
}

#[tokio::test]
async fn messages_during_the_upgrade_come_once_and_in_order() {
    let gateway = shared_embedded().await;
    let node = Node::start().await;
    let ann = Person::register(gateway, "ann").await;
    let client = node
        .client(&gateway.url(""), json!({"auth": {"token": ann.token}}))
        .await;
    client
        .wait_connected()
        .await
        .expect("the gateway takes the token");
    // Not waiting for the upgrade: it happens amid all this.
    converse(gateway, &ann, &client).await;
    client.wait_transport("upgrade").await;
}

#[tokio::test]
async fn polling_alone_is_enough() {
    let gateway = shared_embedded().await;
    let node = Node::start().await;
    let ann = Person::register(gateway, "ann").await;
    let options = json!({"auth": {"token": ann.token}, "transports": ["polling"]});
    let client = node.client(&gateway.url(""), options).await;
    assert_eq!(client.wait_transport("connect").await, "polling");
    converse(gateway, &ann, &client).await;
}

#[tokio::test]
async fn what_is_sent_before_the_client_has_connected_is_accepted() {
    let gateway = shared_embedded().await;
    let node = Node::start().await;
    let ann = Person::register(gateway, "ann").await;
    let bob = Person::register(gateway, "bob").await;
    for transports in [
        json!(["websocket"]),
        json!(["polling"]),
        json!(["polling", "websocket"]),
    ] {
        let room = ann.room(gateway, &[&bob]).await;
        let options = json!({"auth": {"token": ann.token}, "transports": transports});
        let say = |content| json!([{"roomId": room, "content": content}]);
        let events = [
            ("send_group_message", say("first")),
            ("send_group_message", say("second")),
            (
                "send_message",
                json!([{"receiverId": bob.id, "content": "direct"}]),
            ),
            ("join_room", json!([room])),
            ("join", json!([ann.id])),
            ("send_group_message", say("third")),
        ];
        let (client, references) = node
            .client_emitting(&gateway.url(""), options, &events)
            .await;
        for reference in references {
            let answer = client.wait_ack(reference).await;
            assert_eq!(answer["ok"], true, "{answer}");
        }
        client.fold().wait_seq(&room, 3).await;
        assert_eq!(client.fold().seqs(&room), [1, 2, 3]);
        client.disconnect().await;
    }
}
