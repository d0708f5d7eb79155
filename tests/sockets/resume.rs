//! Resuming: `since` per device (D30), and everything that is in the log, not only messages (P9).

use serde_json::{Value, json};

use crate::support::fold::{FIRST, dense, seq, seqs};
use crate::support::gateway::shared_embedded;
use crate::support::node::Node;
use crate::support::rest::Person;
use crate::support::ws::Ws;

#[tokio::test]
async fn each_device_resumes_from_where_it_was() {
    let gateway = shared_embedded().await;
    let (ann, bob) = Person::pair(gateway, gateway).await;
    let (room, other) = (
        ann.room(gateway, &[&bob]).await,
        ann.room(gateway, &[&bob]).await,
    );
    // Up to seq 10: the first event made the room.
    for number in 2..=10 {
        ann.say(gateway, &room, &format!("message {number}")).await;
    }
    ann.say(gateway, &other, "elsewhere").await;
    let first = Ws::join(gateway, &bob).await;
    first.fold().wait_seq(&room, 10).await;
    let up_to_8 = json!({"conversationId": room, "seq": 8});
    first.granted("message_ack", up_to_8).await;

    // (where it resumes, the first it gets): below the cursor, above it, beyond the head, and not said.
    for (since, first) in [
        (json!({room.clone(): 3}), 4),
        (json!({room.clone(): 9}), 10),
        (json!({room.clone(): 99}), 11),
        (json!({}), 9),
    ] {
        let device = Ws::join_with(gateway, &bob, json!({"since": since})).await;
        device.fold().wait_seq(&other, FIRST).await;
        ann.say(gateway, &other, "to be told apart").await;
        device.fold().wait_seq(&other, FIRST + 1).await;
        let head = seq(&ann.say(gateway, &room, "next").await);
        device.fold().wait_seq(&room, head).await;
        let got = device.fold().seqs(&room);
        // Each round adds one message to the room; a resume beyond the head begins behind it.
        let first = if first == 11 { head } else { first };
        assert_eq!(got, dense(first, head), "since {since}");
    }
    // It acknowledges nothing.
    assert_eq!(bob.listed(gateway, &room).await["deliveredSeq"], 8);
}

#[tokio::test]
async fn edits_deletions_reactions_and_membership_come_after_a_reconnect() {
    let gateway = shared_embedded().await;
    let node = Node::start().await;
    let (ann, bob) = Person::pair(gateway, gateway).await;
    let cid = Person::register(gateway, "cid").await;
    let room = ann.room(gateway, &[&bob]).await;
    let writer = Ws::join(gateway, &ann).await;
    for content in ["first", "second", "third"] {
        ann.say(gateway, &room, content).await;
    }
    let before = Ws::join(gateway, &bob).await;
    before.fold().wait_seq(&room, FIRST + 2).await;
    let at = |seq: u64| json!({"conversationId": room, "seq": seq});
    before.granted("message_ack", at(FIRST + 2)).await;
    before.close().await;

    // While bob is away.
    let with = |seq: u64, field: &str, value: &str| {
        let mut body = at(seq);
        body[field] = json!(value);
        body
    };
    let mut told: Vec<Value> = Vec::new();
    for (kind, body) in [
        ("edit_message", with(FIRST, "content", "better")),
        ("delete_message", at(FIRST + 1)),
        ("react", with(FIRST + 2, "emoji", "👍")),
    ] {
        told.push(writer.granted(kind, body).await["event"].take());
    }
    let members = format!("/rooms/{room}/members");
    let (the_room, cids) = (format!("/rooms/{room}"), format!("{members}/{}", cid.id));
    let added = ann.post(gateway, &members, json!({"userId": cid.id})).await;
    added.expect(201);
    let renamed = ann
        .patch(gateway, &the_room, json!({"name": "renamed"}))
        .await;
    renamed.expect(200);
    let promoted = ann.patch(gateway, &cids, json!({"role": "admin"})).await;
    promoted.expect(200);
    ann.delete(gateway, &cids).await.expect(204);

    // The three messages, what was done to them, and four changes of the room.
    let last = FIRST + 9;
    let live = writer.fold().wait_seq(&room, last).await;
    let plain = Ws::join(gateway, &bob).await;
    let official = node.join(gateway, &bob).await;
    let replayed = plain.fold().wait_seq(&room, last).await;
    assert_eq!(seqs(&replayed), dense(FIRST + 3, last));
    let kinds: Vec<&str> = replayed
        .iter()
        .map(|event| event["change"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(
        kinds,
        [
            "",
            "",
            "",
            "member_added",
            "renamed",
            "role_changed",
            "member_removed"
        ]
    );
    // The same events, whether told as an answer, live or later, on either protocol.
    let untyped = |log: &[Value]| -> Vec<Value> {
        let strip = |event: &Value| {
            let mut event = event.clone();
            event.as_object_mut().unwrap().remove("type");
            event
        };
        log.iter().map(strip).collect()
    };
    assert_eq!(replayed, live[live.len() - 7..]);
    assert_eq!(untyped(&replayed)[..3], told);
    assert_eq!(
        official.fold().wait_seq(&room, last).await,
        untyped(&replayed)
    );
    assert_eq!(official.received("message_edited")[0]["target"], FIRST);
    let deleted = &official.received("message_deleted")[0];
    assert_eq!(deleted["target"], FIRST + 1);
    assert_eq!(official.received("reaction")[0]["emoji"], "👍");
    assert_eq!(official.received("room_updated").len(), 4);
    // And the messages show it.
    let history = bob.room_history(gateway, &room).await;
    assert_eq!(history[0]["content"], "better");
    assert!(history[0]["editedAt"].is_string());
    assert_eq!(history[1]["content"], "");
    assert!(history[1]["deletedAt"].is_string());
    assert_eq!(history[2]["reactions"], json!({"👍": [ann.id]}));
    // Cid has what was there while cid was, and no more.
    let gone = Ws::join(gateway, &cid).await;
    gone.fold().wait_seq(&room, last).await;
    assert_eq!(gone.fold().seqs(&room), dense(last - 3, last));
}
