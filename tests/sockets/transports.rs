//! The official client's transports, and what it sends before it has connected.

use serde_json::json;

use crate::support::fold::{FIRST, dense};
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
    let options = json!({"auth": {"token": ann.token}});
    let client = node.client(&gateway.url(""), options).await;
    assert_eq!(client.wait_transport("open").await, "polling");
    assert_eq!(client.wait_transport("upgrade").await, "websocket");
    converse(gateway, &ann, &client).await;
}

#[tokio::test]
async fn messages_during_the_upgrade_come_once_and_in_order() {
    let gateway = shared_embedded().await;
    let node = Node::start().await;
    let ann = Person::register(gateway, "ann").await;
    let options = json!({"auth": {"token": ann.token}});
    let client = node.client(&gateway.url(""), options).await;
    let connected = client.wait_connected().await;
    connected.expect("the gateway takes the token");
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
    assert_eq!(client.wait_transport("open").await, "polling");
    converse(gateway, &ann, &client).await;
}

#[tokio::test]
async fn what_is_sent_before_the_client_has_connected_is_accepted() {
    let gateway = shared_embedded().await;
    let node = Node::start().await;
    let (ann, bob) = Person::pair(gateway, gateway).await;
    for transports in [&["websocket"][..], &["polling"], &["polling", "websocket"]] {
        let room = ann.room(gateway, &[&bob]).await;
        let options = json!({"auth": {"token": ann.token}, "transports": transports});
        let say = |content| json!([{"roomId": room, "content": content}]);
        let direct = json!([{"receiverId": bob.id, "content": "direct"}]);
        let events = [
            ("send_group_message", say("first")),
            ("send_group_message", say("second")),
            ("send_message", direct),
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
        client.fold().wait_seq(&room, FIRST + 2).await;
        assert_eq!(client.fold().seqs(&room), dense(1, FIRST + 2));
        client.disconnect().await;
    }
}

#[tokio::test]
async fn a_cut_client_comes_back_by_itself_and_gets_what_it_missed() {
    let gateway = shared_embedded().await;
    let node = Node::start().await;
    let (ann, bob) = Person::pair(gateway, gateway).await;
    let room = ann.room(gateway, &[&bob]).await;
    let client = node.join(gateway, &bob).await;
    ann.say(gateway, &room, "first").await;
    client.fold().wait_seq(&room, FIRST).await;
    bob.wait_delivered(gateway, &room, FIRST).await;
    client.cut().await;
    client.wait_disconnected().await;
    ann.say(gateway, &room, "missed").await;
    client.wait_connected().await.expect("it comes back");
    client.join(&bob, json!({})).await;
    client.fold().wait_seq(&room, FIRST + 1).await;
    assert_eq!(client.fold().seqs(&room), dense(1, FIRST + 1));
}

#[tokio::test]
async fn a_refused_client_connects_with_a_better_token() {
    let gateway = shared_embedded().await;
    let node = Node::start().await;
    let ann = Person::register(gateway, "ann").await;
    let options = json!({"auth": {"token": "none"}, "transports": ["websocket"]});
    let client = node.client(&gateway.url(""), options).await;
    let error = client.wait_connected().await.expect_err("it is no token");
    assert_eq!(error.data["code"], "token_invalid");
    client.reconnect(Some(json!({"token": ann.token}))).await;
    client.wait_connected().await.expect("now it is one");
    let answer = client.emit_with_ack("join", json!([])).await;
    assert_eq!(answer["userId"], ann.id.as_str());
}
