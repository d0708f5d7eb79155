//! Former members (D41): what they receive of a log is as of the end of their membership, and they have no say in it.

use serde_json::{Value, json};

use crate::support::fold::{dense, seq, seqs};
use crate::support::gateway::{Gateway, shared_embedded};
use crate::support::rest::{Person, text};
use crate::support::ws::Ws;

/// Ann and bob, their room, and the seq of the first of the two things that ann has said there.
async fn room(gateway: &Gateway) -> (Person, Person, String, u64) {
    let (ann, bob) = Person::pair(gateway, gateway).await;
    let room = ann.room(gateway, &[&bob]).await;
    let first = say(gateway, &ann, &room, "first").await;
    say(gateway, &ann, &room, "second").await;
    (ann, bob, room, first)
}

/// The seq of what somebody says.
async fn say(gateway: &Gateway, person: &Person, room: &str, content: &str) -> u64 {
    seq(&person.say(gateway, room, content).await)
}

async fn change(writer: &Ws, kind: &str, room: &str, seq: u64, more: Value) {
    let mut body = more;
    body["conversationId"] = json!(room);
    body["seq"] = json!(seq);
    writer.granted(kind, body).await;
}

async fn remove(gateway: &Gateway, ann: &Person, room: &str, bob: &Person) {
    let member = format!("/rooms/{room}/members/{}", bob.id);
    ann.delete(gateway, &member).await.expect(204);
}

/// What a device that resumes from the beginning gets of a room, up to this seq.
async fn replay(gateway: &Gateway, bob: &Person, room: &str, up_to: u64) -> Vec<Value> {
    let device = Ws::join_with(gateway, bob, json!({"since": {room: 0}})).await;
    device.fold().wait_seq(room, up_to).await
}

#[tokio::test]
async fn a_former_member_gets_nothing_that_came_after_they_left() {
    let gateway = shared_embedded().await;
    let (ann, bob, room, first) = room(gateway).await;
    let writer = Ws::join(gateway, &ann).await;
    let edited = json!({"content": "better"});
    change(&writer, "edit_message", &room, first + 1, edited).await;
    remove(gateway, &ann, &room, &bob).await;
    let secret = json!({"content": "secret"});
    change(&writer, "edit_message", &room, first, secret.clone()).await;
    change(&writer, "edit_message", &room, first + 1, secret).await;
    let emoji = json!({"emoji": "👍"});
    change(&writer, "react", &room, first, emoji).await;

    let end = first + 3;
    let got = replay(gateway, &bob, &room, end).await;
    assert_eq!(seqs(&got).last(), Some(&end));
    let all = json!(got).to_string();
    assert!(!all.contains("secret") && !all.contains("👍"), "{all}");
    let message = |seq: u64| got.iter().find(|event| event["seq"] == seq).unwrap();
    assert_eq!(message(first)["content"], "first");
    assert!(message(first)["editedAt"].is_null());
    // What was edited while they were there comes as it came: the message, and its edit behind it.
    assert_eq!(message(first + 1)["content"], "second");
    assert_eq!(message(first + 2)["content"], "better");
}

#[tokio::test]
async fn what_is_deleted_later_is_hidden_from_former_members_too() {
    let gateway = shared_embedded().await;
    let (ann, bob, room, first) = room(gateway).await;
    let writer = Ws::join(gateway, &ann).await;
    remove(gateway, &ann, &room, &bob).await;
    change(&writer, "delete_message", &room, first, json!({})).await;

    let got = replay(gateway, &bob, &room, first + 2).await;
    let deleted = got.iter().find(|event| event["seq"] == first).unwrap();
    assert_eq!(deleted["content"], "");
    assert!(deleted["deletedAt"].is_null(), "{deleted}");
}

#[tokio::test]
async fn who_was_removed_and_came_back_gets_what_is_theirs_now() {
    let gateway = shared_embedded().await;
    let (ann, bob, room, first) = room(gateway).await;
    let writer = Ws::join(gateway, &ann).await;
    remove(gateway, &ann, &room, &bob).await;
    let members = format!("/rooms/{room}/members");
    ann.post(gateway, &members, json!({"userId": bob.id}))
        .await
        .expect(201);
    let again = say(gateway, &ann, &room, "again").await;
    let better = json!({"content": "better"});
    change(&writer, "edit_message", &room, again, better).await;

    let got = replay(gateway, &bob, &room, again + 1).await;
    assert_eq!(seqs(&got), dense(first + 3, again + 1));
    let message = got.iter().find(|event| event["seq"] == again).unwrap();
    assert_eq!(message["content"], "better");
}

#[tokio::test]
async fn a_former_member_acknowledges_the_end_of_their_log_and_nothing_more() {
    let gateway = shared_embedded().await;
    let (ann, bob, room, first) = room(gateway).await;
    remove(gateway, &ann, &room, &bob).await;
    let end = first + 2;
    let device = Ws::join(gateway, &bob).await;
    device.fold().wait_seq(&room, end).await;
    let ask = async |kind: &str| {
        let last = json!({"conversationId": room, "seq": end});
        let answer = device.ask(kind, last).await;
        match &answer["ok"] {
            Value::Bool(true) => "ok".to_owned(),
            _ => text(&answer["error"]["code"]),
        }
    };
    assert_eq!(ask("message_read").await, "not_a_member");
    assert_eq!(ask("message_ack").await, "ok", "or it would come again");
    assert_eq!(ask("message_ack").await, "not_a_member");
    assert_eq!(ask("message_read").await, "not_a_member");
}
