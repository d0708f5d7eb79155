//! A room that is made: its members are told at once, wherever they are, and find it in their logs (D53).

use mongodb::bson::{Document, doc};
use serde_json::{Value, json};

use crate::support::fold::{FIRST, dense, seqs};
use crate::support::gateway::{Cluster, shared_cluster, shared_gateways};
use crate::support::node::Node;
use crate::support::rest::Person;
use crate::support::ws::Ws;

/// What the members of a room that somebody has made are told.
fn assert_made(event: &Value, room: &str, creator: &Person) {
    let mut event = event.clone();
    let fields = event.as_object_mut().expect("an object");
    for varying in ["_id", "timestamp", "type"] {
        fields.remove(varying);
    }
    let expected = json!({
        "conversationId": room, "roomId": room, "seq": 1, "senderId": creator.id,
        "change": "created", "name": "room",
    });
    assert_eq!(event, expected);
}

#[tokio::test]
async fn d53_every_session_of_every_member_is_told_once_before_anything_is_said() {
    let [one, two, three] = shared_gateways().await;
    let (node, (ann, bob)) = (Node::start().await, Person::pair(one, two).await);
    let eve = Person::register(three, "eve").await;
    let plain = [
        Ws::join(one, &ann).await,
        Ws::join(two, &bob).await,
        Ws::join(three, &bob).await,
    ];
    let (seed_like, outside) = (node.join(three, &ann).await, Ws::join(one, &eve).await);

    let room = ann.room(two, &[&bob]).await;
    for client in &plain {
        let log = client.fold().wait_seq(&room, 1).await;
        assert_eq!(log.len(), 1);
        assert_made(&log[0], &room, &ann);
    }
    // A client that was written for the seed is given nothing by a name that it knows.
    let made = seed_like.wait_for("room_updated").await;
    assert_made(&made, &room, &ann);
    for name in ["receive_message", "receive_group_message"] {
        assert!(seed_like.received(name).is_empty(), "{name}");
    }
    // It is nothing to be read, and no last message.
    let listed = bob.listed(one, &room).await;
    let shown = ["unreadCount", "lastSeq", "readSeq"].map(|field| &listed[field]);
    assert_eq!(shown, [0, 1, 0]);
    assert!(listed["lastMessage"].is_null(), "{listed}");
    assert!(bob.room_history(one, &room).await.is_empty());

    ann.say(one, &room, "hello").await;
    for fold in plain.iter().map(Ws::fold).chain([seed_like.fold()]) {
        fold.wait_seq(&room, FIRST).await;
        assert_eq!(fold.seqs(&room), dense(1, FIRST));
    }
    assert!(outside.fold().conversations().is_empty());
}

#[tokio::test]
async fn d53_who_was_offline_finds_it_in_the_backlog_and_acknowledges_it() {
    let [one, two, _] = shared_gateways().await;
    let (ann, bob) = Person::pair(one, two).await;
    let room = ann.room(one, &[&bob]).await;
    let first = Ws::join(two, &bob).await;
    let backlog = first.fold().wait_seq(&room, 1).await;
    assert_eq!(backlog.len(), 1);
    assert_made(&backlog[0], &room, &ann);
    let had = json!({"conversationId": room, "seq": 1});
    first.granted("message_ack", had).await;
    assert_eq!(bob.listed(one, &room).await["deliveredSeq"], 1);
    first.close().await;

    ann.say(one, &room, "hello").await;
    let again = Ws::join(one, &bob).await;
    assert_eq!(seqs(&again.fold().wait_seq(&room, FIRST).await), [FIRST]);
}

#[tokio::test]
async fn d53_a_former_member_has_it_as_it_was_and_a_later_one_not_at_all() {
    let [one, two, _] = shared_gateways().await;
    let (ann, bob) = Person::pair(one, one).await;
    let cid = Person::register(one, "cid").await;
    let room = ann.room(one, &[&bob]).await;
    let path = format!("/rooms/{room}");
    let gone = ann.delete(one, &format!("{path}/members/{}", bob.id)).await;
    gone.expect(204);
    let renamed = ann.patch(one, &path, json!({"name": "lair"})).await;
    renamed.expect(200);
    let members = format!("{path}/members");
    let added = ann.post(one, &members, json!({"userId": cid.id})).await;
    added.expect(201);

    // The making and the removal; the making, the removal, the renaming and the adding.
    let former = Ws::join(two, &bob).await;
    let log = former.fold().wait_seq(&room, 2).await;
    assert_eq!(seqs(&log), dense(1, 2));
    assert_made(&log[0], &room, &ann);
    let later = Ws::join(two, &cid).await;
    assert_eq!(seqs(&later.fold().wait_seq(&room, 4).await), [4]);
}

/// As rooms were before their making was an event: the log is empty until somebody says something.
async fn forget_making(cluster: &Cluster, room: &str) {
    let events = cluster.database().await.collection::<Document>("events");
    let forgotten = events.delete_many(doc! { "conversation": room }).await;
    assert_eq!(forgotten.unwrap().deleted_count, 1);
}

#[tokio::test]
async fn a_room_that_is_older_than_the_event_begins_with_its_first_message() {
    let cluster = shared_cluster().await;
    // The gateway that made the room knows more than the log then shows: it has no part in what follows.
    let [one, two, three] = [0, 1, 2].map(|number| cluster.gateway(number));
    let (ann, bob) = Person::pair(one, one).await;
    let room = ann.room(one, &[&bob]).await;
    forget_making(cluster, &room).await;

    let here = Ws::join(two, &bob).await;
    assert_eq!(bob.listed(three, &room).await["lastSeq"], 0);
    let said = ann.say(three, &room, "hello").await;
    assert_eq!(said["seq"], 1);
    let live = here.fold().wait_seq(&room, 1).await;
    assert_eq!(live, [said]);
    let later = Ws::join(three, &bob).await;
    later.fold().wait_seq(&room, 1).await;
    assert_eq!(bob.room_history(two, &room).await, live);
    let listed = bob.listed(two, &room).await;
    assert_eq!(
        (&listed["unreadCount"], &listed["lastSeq"]),
        (&json!(1), &json!(1))
    );
}
