//! The backlog of somebody who was offline: direct and room messages, all of them, in order, once, and not again after
//! they were acknowledged.

use serde_json::{Value, json};

use crate::support::fold::{FIRST, Fold, behind_making, dense, seqs};
use crate::support::gateway::{Gateway, shared_gateways};
use crate::support::node::{Node, SocketIo};
use crate::support::rest::Person;
use crate::support::ws::Ws;

/// Messages in each of the two conversations.
const EACH: u64 = 2_500;

/// Sends `EACH` messages of this kind, all under way at once, into a log whose first message is to be here.
async fn send_all(client: &Ws, kind: &str, to: (&str, &str), first: u64) {
    let mut references = Vec::new();
    for number in 1..=EACH {
        let frame = json!({"type": kind, to.0: to.1, "content": format!("{kind} {number}")});
        references.push(client.submit(frame).await);
    }
    let messages = client.messages(references).await;
    assert_eq!(seqs(&messages), dense(first, first + EACH - 1));
}

async fn joined(gateway: &Gateway, person: &Person, options: Value) -> (SocketIo, Value) {
    let client = Node::start().await.open(gateway, person).await;
    let answer = client.join(person, options).await;
    (client, answer)
}

fn contents(log: &[Value]) -> Vec<&str> {
    log.iter()
        .map(|message| message["content"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn five_thousand_messages_wait_for_whoever_was_offline_and_come_once() {
    let [one, two, three] = shared_gateways().await;
    let (ann, bob) = Person::pair(one, two).await;
    let room = ann.room(one, &[&bob]).await;
    let direct = ann.direct_with(&bob);
    let (here, there) = (Ws::join(one, &ann).await, Ws::join(two, &ann).await);
    tokio::join!(
        send_all(&here, "send_message", ("receiverId", &bob.id), 1),
        send_all(&there, "send_group_message", ("roomId", &room), FIRST),
    );

    // The client acknowledges by itself: nothing moves the cursor but its word.
    let (client, answer) = joined(three, &bob, json!({"ack": "client"})).await;
    assert_eq!(answer["rooms"], json!([room]), "{answer}");
    let of_room = client.fold().wait_seq(&room, EACH + 1).await;
    let of_direct = client.fold().wait_seq(&direct, EACH).await;
    for (kind, log, first) in [
        ("send_message", &of_direct[..], 1),
        ("send_group_message", behind_making(&of_room), FIRST),
    ] {
        assert_eq!(seqs(log), dense(first, first + EACH - 1));
        let sent: Vec<String> = (1..=EACH)
            .map(|number| format!("{kind} {number}"))
            .collect();
        assert_eq!(contents(log), sent);
    }
    // Half of the direct ones and all of the room's.
    let half = json!([{"conversationId": direct, "seq": EACH / 2}]);
    assert_eq!(
        client.emit_with_ack("message_ack", half).await,
        json!({"ok": true})
    );
    let all = json!([{"conversationId": room, "seq": EACH + 1}]);
    assert_eq!(
        client.emit_with_ack("message_ack", all).await,
        json!({"ok": true})
    );
    client.disconnect().await;

    // Proof of receipt moves the cursor over the rest.
    let (client, _) = joined(one, &bob, json!({"ack": "auto"})).await;
    let log = client.fold().wait_seq(&direct, EACH).await;
    assert_eq!(seqs(&log), dense(EACH / 2 + 1, EACH));
    bob.wait_delivered(two, &direct, EACH).await;
    assert!(client.fold().seqs(&room).is_empty());
    client.disconnect().await;

    // Nothing is left: what comes next comes first.
    let (client, _) = joined(two, &bob, json!({"ack": "auto"})).await;
    here.write(&bob, "next").await;
    let body = json!({"roomId": room, "content": "next"});
    here.ask("send_group_message", body).await;
    expect_only(client.fold(), &direct, EACH + 1).await;
    expect_only(client.fold(), &room, EACH + 2).await;
}

async fn expect_only(fold: &Fold, conversation: &str, seq: u64) {
    let log = fold.wait_seq(conversation, seq).await;
    assert_eq!(seqs(&log), [seq]);
}
