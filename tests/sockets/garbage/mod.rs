//! What no client of good will sends: each piece is answered with its documented code, and everybody else goes on.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use requests::table;

use crate::support::fold::{FIRST, dense};
use crate::support::gateway::{Gateway, shared_embedded};
use crate::support::node::Node;
use crate::support::rest::Person;
use crate::support::ws::Ws;

mod requests;
mod rest;

/// The longest message, in bytes.
const LIMIT: usize = 16 * 1024;

/// Where the second message of the room is, after which nothing else was stored.
const STILL_HERE: u64 = FIRST + 1;

/// A room of two, and a witness whose session must go on through everything.
struct Scene {
    gateway: &'static Gateway,
    ann: Person,
    bob: Person,
    room: String,
    witness: Ws,
}

impl Scene {
    async fn new() -> Self {
        let gateway = shared_embedded().await;
        let ann = Person::register(gateway, "ann").await;
        let bob = Person::register(gateway, "bob").await;
        let room = ann.room(gateway, &[&bob]).await;
        ann.say(gateway, &room, "first").await;
        let witness = Ws::join(gateway, &bob).await;
        Self {
            gateway,
            ann,
            bob,
            room,
            witness,
        }
    }

    /// The process lives, the witness still receives, and nothing but this was stored.
    async fn goes_on(&self) {
        self.ann.say(self.gateway, &self.room, "still here").await;
        self.witness.fold().wait_seq(&self.room, STILL_HERE).await;
        let got = self.witness.fold().seqs(&self.room);
        assert_eq!(got, dense(1, STILL_HERE));
        assert_eq!(self.witness.fold().conversations().len(), 1);
        assert!(self.gateway.is_running());
    }
}

#[tokio::test]
async fn garbage_on_socket_io_gets_its_code() {
    let scene = Scene::new().await;
    let node = Node::start().await;
    let connected = node
        .connect(&scene.gateway.url(""), &scene.ann.token, &["websocket"])
        .await;
    let client = connected.expect("the gateway takes the token");
    for (event, body, code) in table(&scene.bob, &scene.room) {
        let answer = client.emit_with_ack(event, json!([body])).await;
        assert_eq!(answer["error"]["code"], code, "{event} {}", short(&body));
    }
    // No arguments, and arguments of every wrong type.
    let wrong = [
        json!([]),
        json!([null]),
        json!([7]),
        json!(["text"]),
        json!([[]]),
        json!([true]),
    ];
    for arguments in &wrong {
        let answer = client
            .emit_with_ack("send_message", arguments.clone())
            .await;
        assert_eq!(
            answer["error"]["code"], "invalid_request",
            "send_message {arguments}"
        );
    }
    for (event, arguments, code) in [
        ("join", json!([{"evil": 1}]), "invalid_request"),
        ("join", json!([7]), "invalid_id"),
        ("join", json!(["x"]), "invalid_id"),
        ("join", json!([scene.ann.id, "options"]), "invalid_request"),
        (
            "join",
            json!([scene.ann.id, {"ack": "maybe"}]),
            "invalid_request",
        ),
        (
            "join",
            json!([scene.ann.id, {"since": {scene.room.clone(): "1"}}]),
            "invalid_request",
        ),
        (
            "join",
            json!([scene.ann.id, {"since": {"x": 1}}]),
            "invalid_id",
        ),
        ("join_room", json!([{"$ne": 1}]), "invalid_id"),
        ("join_room", json!([]), "invalid_id"),
        ("watch_presence", json!([[{}]]), "invalid_request"),
        ("watch_presence", json!(["x"]), "invalid_request"),
    ] {
        let answer = client.emit_with_ack(event, arguments.clone()).await;
        assert_eq!(answer["error"]["code"], code, "{event} {arguments}");
    }
    // The same session is as good as before.
    let joined = client.emit_with_ack("join", json!([scene.ann.id])).await;
    assert_eq!(joined["ok"], true, "{joined}");
    scene.goes_on().await;
    client.fold().wait_seq(&scene.room, STILL_HERE).await;
}

#[tokio::test]
async fn garbage_on_ws_gets_its_code() {
    let scene = Scene::new().await;
    let client = Ws::join(scene.gateway, &scene.ann).await;
    for (kind, body, code) in table(&scene.bob, &scene.room) {
        let answer = client.ask(kind, body.clone()).await;
        assert_eq!(answer["type"], "error", "{kind} {}", short(&body));
        assert_eq!(answer["error"]["code"], code, "{kind} {}", short(&body));
    }
    let no_objects = [
        "junk",
        "",
        "[]",
        "7",
        "null",
        "{",
        "{\"type\":7}",
        "{\"ref\":1}",
        "{\"type\":\"x\",\"ref\":{}}",
    ];
    for text in no_objects {
        client.send_text(text).await;
    }
    // Answers come in order: the one after them shows that each got one.
    client.ask("join_room", json!({"roomId": scene.room})).await;
    let errors = client.frames("error");
    assert_eq!(errors.len(), no_objects.len());
    assert!(
        errors
            .iter()
            .all(|frame| frame["error"]["code"] == "invalid_request"),
        "{errors:?}"
    );
    scene.goes_on().await;
    client.fold().wait_seq(&scene.room, STILL_HERE).await;
}

#[tokio::test]
async fn frames_that_are_too_large_or_binary_end_their_session_alone() {
    let scene = Scene::new().await;
    let huge = "x".repeat(200 * 1024);
    let client = Ws::join(scene.gateway, &scene.ann).await;
    client.send_text(&huge).await;
    assert_eq!(client.closed().await, (1009, "too_large".to_owned()));
    let client = Ws::join(scene.gateway, &scene.ann).await;
    client.send(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(client.closed().await, (1003, "unsupported_data".to_owned()));
    let node = Node::start().await;
    for transport in ["websocket", "polling"] {
        let options = json!({"auth": {"token": scene.ann.token}, "transports": [transport], "reconnection": false});
        let client = node.client(&scene.gateway.url(""), options).await;
        client
            .wait_connected()
            .await
            .expect("the gateway takes the token");
        let body = json!([{"receiverId": scene.bob.id, "content": huge}]);
        client.emit("send_message", body).await;
        let reason = client.wait_disconnected().await;
        assert!(
            ["transport close", "transport error"].contains(&reason.as_str()),
            "{reason}"
        );
    }
    scene.goes_on().await;
}

#[tokio::test]
async fn the_longest_message_and_every_character_pass() {
    let scene = Scene::new().await;
    let client = Ws::join(scene.gateway, &scene.ann).await;
    // Six bytes of JSON for one byte of text: the frame limit leaves room for it.
    for content in [
        "x".repeat(LIMIT),
        "\u{1}".repeat(LIMIT),
        "👍".repeat(LIMIT / 4),
    ] {
        let body = json!({"receiverId": scene.ann.id, "content": content});
        let answer = client.ask("send_message", body).await;
        assert_eq!(
            answer["message"]["content"],
            content.as_str(),
            "{}",
            short(&answer)
        );
    }
    scene.goes_on().await;
}

/// The beginning of a text that may be long.
fn short(value: &Value) -> String {
    value.to_string().chars().take(120).collect()
}
