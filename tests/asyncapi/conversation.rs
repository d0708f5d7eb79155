//! One conversation in which every documented frame is seen, both ways.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::client::Client;
use super::document::Document;
use crate::support::gateway::Gateway;
use crate::support::rest::{Answer, Person};

/// A gateway, its document and two people, of whom one is connected twice.
struct Scene {
    gateway: Gateway,
    document: Arc<Document>,
    ann: Person,
    bob: Person,
}

impl Scene {
    async fn set() -> Self {
        let gateway = Gateway::embedded_with(&[("HOBNOB_OFFLINE_GRACE", "0s")]).await;
        let document = Arc::new(Document::parse(&served(&gateway).await));
        Self {
            document,
            ann: Person::register(&gateway, "ann").await,
            bob: Person::register(&gateway, "bob").await,
            gateway,
        }
    }

    async fn connect(&self) -> Client {
        Client::connect(
            &self.document,
            &self.gateway.url("/ws").replace("http", "ws"),
        )
        .await
    }

    async fn log_in(&self, account: &Person) -> Client {
        let mut client = self.connect().await;
        let hello = json!({"type": "hello", "token": account.token, "since": {}, "ack": "client"});
        let answer = client.ask(hello).await;
        assert_eq!(answer["userId"], account.id.as_str());
        client
    }
}

/// The document as clients get it.
async fn served(gateway: &Gateway) -> String {
    let answer = reqwest::get(gateway.url("/asyncapi.yaml")).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

/// A request about an event.
fn about(name: &str, event: &Value, more: Value) -> Value {
    let mut request = more;
    request["type"] = json!(name);
    request["conversationId"] = event["conversationId"].clone();
    request["seq"] = event["seq"].clone();
    request
}

#[tokio::test]
async fn every_documented_frame_is_sent_and_no_other() {
    let scene = Scene::set().await;
    let mut ann = scene.log_in(&scene.ann).await;
    let watching = json!({"type": "watch_presence", "userIds": [scene.bob.id]});
    let answer = ann.ask(watching).await;
    assert_eq!(answer["presence"][&scene.bob.id]["online"], false);
    let mut bob = scene.log_in(&scene.bob).await;
    assert_eq!(ann.event("presence").await["online"], true);

    privately(&scene, &mut ann, &mut bob).await;
    let room = in_a_room(&scene, &mut ann, &mut bob).await;
    refused(&scene, &mut ann, &room).await;

    let seen_by_bob = std::mem::take(&mut bob.seen);
    drop(bob);
    let gone = ann.event("presence").await;
    assert_eq!(gone["online"], false);
    assert!(gone["lastSeenAt"].is_string(), "{gone}");
    let unwatch = json!({"type": "unwatch_presence", "userIds": [scene.bob.id]});
    ann.ask(unwatch).await;

    scene.gateway.terminate();
    ann.event("reconnect").await;
    let ended = ann.ended().await;
    assert_eq!((ended.code, ended.reason.as_str()), (1012, "draining"));

    let seen: BTreeSet<String> = ann.seen.union(&seen_by_bob).cloned().collect();
    let mut documented = scene.document.server_frames();
    documented.extend(scene.document.requests());
    assert_eq!(seen, documented);
}

/// A direct conversation: everything that can happen to a message.
async fn privately(scene: &Scene, ann: &mut Client, bob: &mut Client) {
    let send = json!({
        "type": "send_message", "receiverId": scene.bob.id, "senderId": scene.ann.id,
        "content": "Hello, Bob!", "clientMessageId": "first",
    });
    let sent = ann.ask(send).await;
    let message = bob.event("receive_message").await["message"].take();
    assert_eq!(message, sent["message"]);
    let typing = json!({"type": "typing", "receiverId": scene.bob.id, "typing": true});
    ann.ask(typing).await;
    assert_eq!(bob.event("typing").await["typing"], true);

    bob.ask(about("message_ack", &message, json!({}))).await;
    let cursors = json!({scene.bob.id.as_str(): 1});
    assert_eq!(ann.event("message_delivered").await["cursors"], cursors);
    bob.ask(about("message_read", &message, json!({}))).await;
    assert_eq!(ann.event("message_read").await["cursors"], cursors);

    let edit = about("edit_message", &message, json!({"content": "Hello, Bob."}));
    ann.ask(edit.clone()).await;
    assert_eq!(bob.event("message_edited").await["target"], 1);
    let again = ann.ask(edit).await;
    assert_eq!(again.get("event"), None, "it said so already");
    let react = about("react", &message, json!({"emoji": "👍", "added": true}));
    bob.ask(react).await;
    assert_eq!(ann.event("reaction").await["emoji"], "👍");
    ann.ask(about("delete_message", &message, json!({}))).await;
    assert_eq!(bob.event("message_deleted").await["target"], 1);
}

/// A room and all that can happen to it. Answers with its id.
async fn in_a_room(scene: &Scene, ann: &mut Client, bob: &mut Client) -> String {
    let body = json!({"name": "den", "members": [scene.bob.id]});
    let room = scene.ann.post(&scene.gateway, "/room", body).await;
    let room = room.expect(201)["_id"].as_str().unwrap().to_owned();
    for member in [&mut *ann, &mut *bob] {
        let made = member.event("room_updated").await;
        assert_eq!(
            (&made["seq"], &made["change"]),
            (&json!(1), &json!("created"))
        );
        assert_eq!(
            (&made["senderId"], &made["name"]),
            (&json!(scene.ann.id), &json!("den"))
        );
    }
    bob.ask(json!({"type": "join_room", "roomId": room})).await;
    let send = json!({"type": "send_group_message", "roomId": room, "content": "Hello, all!"});
    ann.ask(send).await;
    bob.event("receive_group_message").await;
    ann.event("receive_group_message").await;

    let cat = Person::register(&scene.gateway, "cat").await;
    let (gateway, owner) = (&scene.gateway, &scene.ann);
    let members = format!("/rooms/{room}/members");
    let member = format!("{members}/{}", cat.id);
    let path = format!("/rooms/{room}");
    let done = |answer: Answer| assert!(answer.status.is_success(), "{}", answer.body);
    done(
        owner
            .post(gateway, &members, json!({"userId": cat.id}))
            .await,
    );
    assert_eq!(bob.event("room_updated").await["change"], "member_added");
    done(
        owner
            .patch(gateway, &member, json!({"role": "admin"}))
            .await,
    );
    assert_eq!(bob.event("room_updated").await["change"], "role_changed");
    done(owner.delete(gateway, &member).await);
    assert_eq!(bob.event("room_updated").await["change"], "member_removed");
    done(owner.patch(gateway, &path, json!({"name": "lair"})).await);
    assert_eq!(bob.event("room_updated").await["change"], "renamed");
    done(owner.delete(gateway, &path).await);
    assert_eq!(bob.event("room_updated").await["change"], "deleted");
    room
}

/// What is refused, and what is only asked by clients that go on for long.
async fn refused(scene: &Scene, ann: &mut Client, room: &str) {
    let send = json!({"type": "send_group_message", "roomId": room, "content": "Anybody?"});
    assert_eq!(ann.ask(send).await["error"]["code"], "not_a_member");
    let nonsense = json!({"type": "no_such_request"});
    assert_eq!(ann.ask_nonsense(nonsense).await, "unknown_event");
    let half = json!({"type": "typing"});
    assert_eq!(ann.ask_nonsense(half).await, "invalid_request");
    let other = json!({"type": "authenticate", "token": scene.bob.token});
    assert_eq!(ann.ask(other).await["error"]["code"], "wrong_user");
    let fresh = json!({"type": "authenticate", "token": scene.ann.token});
    assert_eq!(ann.ask(fresh).await["ok"], true);
}

#[tokio::test]
async fn a_refused_token_is_answered_and_ends_the_connection() {
    let scene = Scene::set().await;
    let mut stranger = scene.connect().await;
    let hello = json!({"type": "hello", "token": "not one"});
    assert_eq!(stranger.ask(hello).await["error"]["code"], "token_invalid");
    let ended = stranger.ended().await;
    assert_eq!((ended.code, ended.reason.as_str()), (4101, "unauthorized"));
}
