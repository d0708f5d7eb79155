//! Nobody acts as somebody else: tokens that are none, other people's ids, rooms one is not in.

use serde_json::{Value, json};

use crate::support::gateway::{Gateway, SECRET, shared_embedded};
use crate::support::node::Node;
use crate::support::rest::Person;
use crate::support::table::{filled, rows};
use crate::support::tokens::{EARLIER, LATER, OTHER_SECRET, token};
use crate::support::ws::Ws;

fn bad_tokens(person: &Person) -> Vec<(&'static str, String, &'static str)> {
    let mut tampered = person.token.clone();
    let payload = tampered.find('.').unwrap() + 5;
    let is_a = &tampered[payload..=payload] == "A";
    tampered.replace_range(payload..=payload, if is_a { "B" } else { "A" });
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4IiwiZXhwIjo0MDAwMDAwMDAwfQ.".to_owned();
    let (id, invalid) = (person.id.as_str(), "token_invalid");
    let foreign = token(id, OTHER_SECRET, SECRET, LATER);
    let unknown = token(id, SECRET, OTHER_SECRET, LATER);
    let expired = token(id, SECRET, SECRET, EARLIER);
    vec![
        ("malformed", "not.a.token".to_owned(), invalid),
        ("empty", String::new(), invalid),
        ("huge", "a".repeat(10_000), invalid),
        ("unsigned", unsigned, invalid),
        ("tampered with", tampered, invalid),
        ("wrongly signed", foreign, invalid),
        ("of an unknown key", unknown, invalid),
        ("of no user", token("me", SECRET, SECRET, LATER), invalid),
        ("expired", expired, "token_expired"),
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
    let me = forged.get(gateway, "/me").await.expect(200);
    assert_eq!(me["userId"], ann.id.as_str());

    for (what, token, code) in bad_tokens(&ann) {
        let bad = Person {
            token: token.clone(),
            ..ann.clone()
        };
        if !token.is_empty() {
            let refused = bad.get(gateway, "/me").await.refused(401);
            assert_eq!(refused, code, "REST, {what}");
        }
        for transport in ["websocket", "polling"] {
            let refused = node.connect(&gateway.url(""), &token, &[transport]).await;
            let told = refused.err().map(|error| error.data["code"].clone());
            assert_eq!(told, Some(json!(code)), "{transport}, {what}");
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
        let (ann, bob) = Person::pair(gateway, gateway).await;
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
        let theirs = self.ann.direct_with(&self.bob);
        let words = [
            ("ANN", self.ann.id.as_str()),
            ("BOB", &self.bob.id),
            ("ROOM", &self.room),
            ("THEIRS", &theirs),
            ("TOKEN", &self.ann.token),
        ];
        let attempts = rows(ATTEMPTS).into_iter();
        attempts
            .map(|[kind, code, body]| (kind, filled(body, &words), code))
            .collect()
    }
}

/// What is asked, the code of the refusal, and the request; the first message of the room has seq 2.
const ATTEMPTS: &str = r#"
send_message       | wrong_user   | {"senderId": "ANN", "receiverId": "BOB", "content": "I am ann"}
send_group_message | wrong_user   | {"senderId": "ANN", "roomId": "ROOM", "content": "I am ann"}
send_group_message | not_a_member | {"roomId": "ROOM", "content": "let me in"}
send_group_message | not_a_member | {"roomId": "ANN", "content": "a room?"}
typing             | not_a_member | {"roomId": "ROOM", "typing": true}
message_ack        | not_a_member | {"conversationId": "ROOM", "seq": 1}
message_read       | not_a_member | {"conversationId": "THEIRS", "seq": 1}
edit_message       | not_a_member | {"conversationId": "ROOM", "seq": 2, "content": "mine"}
delete_message     | not_a_member | {"conversationId": "ROOM", "seq": 2}
react              | not_a_member | {"conversationId": "THEIRS", "seq": 1, "emoji": "👍"}
authenticate       | wrong_user   | {"token": "TOKEN"}
"#;

#[tokio::test]
async fn nobody_sends_joins_or_reads_as_somebody_else_on_socket_io() {
    let scene = Scene::new().await;
    let node = Node::start().await;
    let client = node.open(scene.gateway, &scene.eve).await;
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
    let joined = client.join(&scene.eve, json!({})).await;
    scene.shows_no_trace(&joined).await;
}

#[tokio::test]
async fn nobody_sends_joins_or_reads_as_somebody_else_on_ws() {
    let scene = Scene::new().await;
    let stranger = Ws::join(scene.gateway, &scene.eve).await;
    let as_ann = json!({"token": scene.ann.token});
    let hello = stranger.ask("hello", as_ann).await;
    assert_eq!(hello["error"]["code"], "wrong_user");
    let room = json!({"roomId": scene.room});
    let joined = stranger.ask("join_room", room).await;
    assert_eq!(joined["error"]["code"], "not_a_member");
    for (kind, body, code) in scene.attempts() {
        let answer = stranger.ask(kind, body.clone()).await;
        assert_eq!(answer["error"]["code"], code, "{kind} {body}");
    }
    // `since` opens nothing either: what comes next is hers.
    let since = json!({"since": {scene.room.clone(): 0, scene.ann.direct_with(&scene.bob): 0}});
    let curious = Ws::join_with(scene.gateway, &scene.eve, since).await;
    scene.shows_no_trace(&json!({"rooms": []})).await;
    stranger.write(&scene.eve, "a note").await;
    let notes = scene.eve.direct_with(&scene.eve);
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
        let direct = self.bob.direct_history(self.gateway, &self.ann).await;
        assert!(direct.is_empty(), "{direct:?}");
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
    let (theirs, the_room) = (
        format!("/message/{}/{}", ann.id, bob.id),
        format!("/rooms/{room}"),
    );
    let members = format!("{the_room}/members");
    let (bobs, anns) = (
        format!("{members}/{}", bob.id),
        format!("{members}/{}", ann.id),
    );
    let as_ann = json!({"senderId": ann.id, "roomId": room, "content": "I am ann"});
    let forged = eve.post(gateway, "/group", as_ann).await;
    assert_eq!(forged.refused(403), "wrong_user");
    let said = json!({"roomId": room, "content": "let me in"});
    for answer in [
        eve.post(gateway, "/group", said).await,
        eve.get(gateway, &theirs).await,
        eve.get(gateway, &format!("/room/{room}")).await,
        eve.get(gateway, &the_room).await,
        eve.get(gateway, &members).await,
        eve.post(gateway, &members, json!({"userId": eve.id})).await,
        eve.patch(gateway, &the_room, json!({"name": "mine"})).await,
        eve.delete(gateway, &bobs).await,
        eve.delete(gateway, &the_room).await,
    ] {
        assert_eq!(answer.refused(403), "not_a_member");
    }
    let removed = bob.delete(gateway, &anns).await;
    assert_eq!(removed.refused(403), "not_allowed");
    scene.shows_no_trace(&json!({"rooms": []})).await;
}
