//! Nobody acts as somebody else: tokens that are none, other people's ids, rooms one is not in.

use serde_json::{Value, json};

use crate::support::fold::FIRST;
use crate::support::gateway::{Gateway, SECRET, shared_embedded};
use crate::support::node::Node;
use crate::support::rest::Person;
use crate::support::tokens::{EARLIER, LATER, OTHER_SECRET, token};
use crate::support::ws::Ws;

fn bad_tokens(person: &Person) -> Vec<(&'static str, String, &'static str)> {
    let mut tampered = person.token.clone();
    let payload = tampered.find('.').unwrap() + 5;
    let other_letter = if &tampered[payload..=payload] == "A" {
        "B"
    } else {
        "A"
    };
    tampered.replace_range(payload..=payload, other_letter);
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4IiwiZXhwIjo0MDAwMDAwMDAwfQ.".to_owned();
    vec![
        ("malformed", "not.a.token".to_owned(), "token_invalid"),
        ("empty", String::new(), "token_invalid"),
        ("huge", "a".repeat(10_000), "token_invalid"),
        ("unsigned", unsigned, "token_invalid"),
        ("tampered with", tampered, "token_invalid"),
        (
            "wrongly signed",
            token(&person.id, OTHER_SECRET, SECRET, LATER),
            "token_invalid",
        ),
        (
            "of an unknown key",
            token(&person.id, SECRET, OTHER_SECRET, LATER),
            "token_invalid",
        ),
        (
            "of no user",
            token("me", SECRET, SECRET, LATER),
            "token_invalid",
        ),
        (
            "expired",
            token(&person.id, SECRET, SECRET, EARLIER),
            "token_expired",
        ),
    ]
}

#[tokio::test]
async fn a_token_that_is_none_opens_nothing() {
    let gateway = shared_embedded().await;
    let node = Node::start().await;
    let ann = Person::register(gateway, "ann").await;
    // The forger's own tools work: with the right secret and time the same token is good.
    let forged = Person {
        token: token(&ann.id, SECRET, SECRET, LATER),
        ..ann.clone()
    };
    assert_eq!(
        forged.get(gateway, "/me").await.expect(200)["userId"],
        ann.id.as_str()
    );

    for (what, token, code) in bad_tokens(&ann) {
        let bad = Person {
            token: token.clone(),
            ..ann.clone()
        };
        if !token.is_empty() {
            assert_eq!(
                bad.get(gateway, "/me").await.refused(401),
                code,
                "REST, {what}"
            );
        }
        for transport in ["websocket", "polling"] {
            let refused = node.connect(&gateway.url(""), &token, &[transport]).await;
            let error = refused
                .err()
                .unwrap_or_else(|| panic!("{transport} took a token {what}"));
            assert_eq!(error.data["code"], code, "{transport}, {what}");
        }
        let client = Ws::open(gateway.port()).await;
        let answer = client.ask("hello", json!({"token": token})).await;
        assert_eq!(answer["error"]["code"], code, "/ws, {what}");
        assert_eq!(client.closed().await.0, 4101);
    }
}

#[tokio::test]
async fn without_a_token_there_is_nothing_to_be_had() {
    let gateway = shared_embedded().await;
    let node = Node::start().await;
    let client = node
        .client(&gateway.url(""), json!({"transports": ["websocket"]}))
        .await;
    let error = client.wait_connected().await.expect_err("it has no token");
    assert_eq!(error.data["code"], "token_missing");
    client.disconnect().await;
    for first in [
        json!({"type": "hello"}),
        json!({"type": "send_message", "receiverId": "x", "content": "y"}),
    ] {
        let client = Ws::open(gateway.port()).await;
        let answer = client.request(first).await;
        assert_eq!(answer["error"]["code"], "token_missing");
        assert_eq!(client.closed().await.0, 4101);
    }
    let body = reqwest::get(gateway.url("/rooms")).await.unwrap();
    assert_eq!(body.status(), 401);
    let body: Value = serde_json::from_slice(&body.bytes().await.unwrap()).unwrap();
    assert_eq!(body["error"]["code"], "token_missing");
}

/// Three people: two with a room and a conversation, and one who has no business there.
struct Scene {
    gateway: &'static Gateway,
    ann: Person,
    bob: Person,
    eve: Person,
    room: String,
}

impl Scene {
    async fn new() -> Self {
        let gateway = shared_embedded().await;
        let ann = Person::register(gateway, "ann").await;
        let bob = Person::register(gateway, "bob").await;
        let eve = Person::register(gateway, "eve").await;
        let room = ann.room(gateway, &[&bob]).await;
        ann.say(gateway, &room, "between us").await;
        Self {
            gateway,
            ann,
            bob,
            eve,
            room,
        }
    }

    /// What eve tries on a socket, and what she is told.
    fn attempts(&self) -> Vec<(&'static str, Value, &'static str)> {
        let (ann, bob, room) = (&self.ann.id, &self.bob.id, &self.room);
        let theirs = self.ann.direct_with(&self.bob);
        vec![
            (
                "send_message",
                json!({"senderId": ann, "receiverId": bob, "content": "I am ann"}),
                "wrong_user",
            ),
            (
                "send_group_message",
                json!({"senderId": ann, "roomId": room, "content": "I am ann"}),
                "wrong_user",
            ),
            (
                "send_group_message",
                json!({"roomId": room, "content": "let me in"}),
                "not_a_member",
            ),
            (
                "send_group_message",
                json!({"roomId": ann, "content": "a room?"}),
                "not_a_member",
            ),
            (
                "typing",
                json!({"roomId": room, "typing": true}),
                "not_a_member",
            ),
            (
                "message_ack",
                json!({"conversationId": room, "seq": 1}),
                "not_a_member",
            ),
            (
                "message_read",
                json!({"conversationId": theirs, "seq": 1}),
                "not_a_member",
            ),
            (
                "edit_message",
                json!({"conversationId": room, "seq": FIRST, "content": "mine"}),
                "not_a_member",
            ),
            (
                "delete_message",
                json!({"conversationId": room, "seq": FIRST}),
                "not_a_member",
            ),
            (
                "react",
                json!({"conversationId": theirs, "seq": 1, "emoji": "👍"}),
                "not_a_member",
            ),
            (
                "authenticate",
                json!({"token": self.ann.token}),
                "wrong_user",
            ),
        ]
    }
}

#[tokio::test]
async fn nobody_sends_joins_or_reads_as_somebody_else_on_socket_io() {
    let scene = Scene::new().await;
    let node = Node::start().await;
    let connected = node
        .connect(&scene.gateway.url(""), &scene.eve.token, &["websocket"])
        .await;
    let client = connected.expect("her own token is good");
    let joined = client.emit_with_ack("join", json!([scene.ann.id])).await;
    assert_eq!(joined["error"]["code"], "wrong_user");
    let joined = client.emit_with_ack("join_room", json!([scene.room])).await;
    assert_eq!(joined["error"]["code"], "not_a_member");
    for (event, body, code) in scene.attempts() {
        let answer = client.emit_with_ack(event, json!([body])).await;
        assert_eq!(answer["error"]["code"], code, "{event} {body}");
    }
    // Without a callback it is an event.
    let (event, body, code) = scene.attempts().swap_remove(0);
    client.emit(event, json!([body])).await;
    assert_eq!(client.wait_for("error").await["error"]["code"], code);
    scene
        .shows_no_trace(&client.emit_with_ack("join", json!([scene.eve.id])).await)
        .await;
}

#[tokio::test]
async fn nobody_sends_joins_or_reads_as_somebody_else_on_ws() {
    let scene = Scene::new().await;
    let stranger = Ws::join(scene.gateway, &scene.eve).await;
    let hello = stranger
        .ask("hello", json!({"token": scene.ann.token}))
        .await;
    assert_eq!(hello["error"]["code"], "wrong_user");
    let joined = stranger
        .ask("join_room", json!({"roomId": scene.room}))
        .await;
    assert_eq!(joined["error"]["code"], "not_a_member");
    for (kind, body, code) in scene.attempts() {
        let answer = stranger.ask(kind, body.clone()).await;
        assert_eq!(answer["error"]["code"], code, "{kind} {body}");
    }
    // `since` opens nothing either: what comes next is hers.
    let since = json!({"since": {scene.room.clone(): 0, scene.ann.direct_with(&scene.bob): 0}});
    let curious = Ws::join_with(scene.gateway, &scene.eve, since).await;
    scene.shows_no_trace(&json!({"rooms": []})).await;
    let told = stranger
        .ask(
            "send_message",
            json!({"receiverId": scene.eve.id, "content": "a note"}),
        )
        .await;
    let notes = told["message"]["conversationId"]
        .as_str()
        .unwrap()
        .to_owned();
    curious.fold().wait_seq(&notes, 1).await;
    assert_eq!(curious.fold().conversations(), [notes]);
}

impl Scene {
    /// Nothing of eve's attempts is in the logs, and she sees nothing of the others'.
    async fn shows_no_trace(&self, joined: &Value) {
        assert_eq!(joined["rooms"], json!([]));
        let log = self.bob.room_history(self.gateway, &self.room).await;
        assert_eq!(log.len(), 1);
        assert_eq!(log[0]["content"], "between us");
        assert!(log[0]["reactions"].is_null());
        assert!(
            self.bob
                .direct_history(self.gateway, &self.ann)
                .await
                .is_empty()
        );
    }
}

#[tokio::test]
async fn nobody_reads_or_writes_for_others_over_rest() {
    let scene = Scene::new().await;
    let Scene {
        gateway,
        ann,
        bob,
        eve,
        room,
    } = &scene;
    let message = json!({"senderId": ann.id, "roomId": room, "content": "I am ann"});
    let forged = eve.post(gateway, "/group", message).await;
    assert_eq!(forged.refused(403), "wrong_user");
    let sent = eve
        .post(
            gateway,
            "/group",
            json!({"roomId": room, "content": "let me in"}),
        )
        .await;
    assert_eq!(sent.refused(403), "not_a_member");
    let path = format!("/message/{}/{}", ann.id, bob.id);
    assert_eq!(eve.get(gateway, &path).await.refused(403), "not_a_member");
    for path in [
        format!("/room/{room}"),
        format!("/rooms/{room}"),
        format!("/rooms/{room}/members"),
    ] {
        assert_eq!(
            eve.get(gateway, &path).await.refused(403),
            "not_a_member",
            "{path}"
        );
    }
    let body = json!({"userId": eve.id});
    let added = eve
        .post(gateway, &format!("/rooms/{room}/members"), body)
        .await;
    assert_eq!(added.refused(403), "not_a_member");
    let renamed = eve
        .patch(gateway, &format!("/rooms/{room}"), json!({"name": "mine"}))
        .await;
    assert_eq!(renamed.refused(403), "not_a_member");
    let removed = eve
        .delete(gateway, &format!("/rooms/{room}/members/{}", bob.id))
        .await;
    assert_eq!(removed.refused(403), "not_a_member");
    assert_eq!(
        eve.delete(gateway, &format!("/rooms/{room}"))
            .await
            .refused(403),
        "not_a_member"
    );
    let removed = bob
        .delete(gateway, &format!("/rooms/{room}/members/{}", ann.id))
        .await;
    assert_eq!(removed.refused(403), "not_allowed");
    scene.shows_no_trace(&json!({"rooms": []})).await;
}
