//! Who receives what: the official client on three gateways.

use serde_json::json;

use crate::support::fold::{FIRST, dense, seq, seqs};
use crate::support::gateway::shared_gateways;
use crate::support::node::Node;
use crate::support::rest::Person;

#[tokio::test]
async fn a_private_message_reaches_every_session_but_the_sending_one() {
    let [one, two, three] = shared_gateways().await;
    let (node, (ann, bob)) = (Node::start().await, Person::pair(one, two).await);
    let sending = node.join(one, &ann).await;
    let other = node.join(two, &ann).await;
    let receivers = [node.join(two, &bob).await, node.join(three, &bob).await];
    let conversation = ann.direct_with(&bob);

    let body = json!([{"receiverId": bob.id, "content": "hello"}]);
    let sent = sending.granted("send_message", body).await;
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
    let [one, two, three] = shared_gateways().await;
    let (node, (ann, bob)) = (Node::start().await, Person::pair(one, two).await);
    let eve = Person::register(three, "eve").await;
    let members = [
        node.join(one, &ann).await,
        node.join(three, &ann).await,
        node.join(two, &bob).await,
        node.join(three, &bob).await,
    ];
    let outside = node.join(two, &eve).await;
    // Made while they are online: it reaches them without a new join.
    let room = ann.room(two, &[&bob]).await;
    members[2].granted("join_room", json!([room])).await;
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
    let body = json!([{"roomId": room, "content": "psst"}]);
    let refused = outside.emit_with_ack("send_group_message", body).await;
    assert_eq!(refused["error"]["code"], "not_a_member");
    // Something that does reach her, sent after everything else.
    let body = json!([{"receiverId": eve.id, "content": "not for you"}]);
    members[0].emit_with_ack("send_message", body).await;
    outside.wait_for("receive_message").await;
    assert!(outside.fold().seqs(&room).is_empty());
    let history = ann.room_history(three, &room).await;
    assert_eq!(seqs(&history), dense(FIRST, FIRST + 3));
}
