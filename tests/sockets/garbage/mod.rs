//! What no client of good will sends: each piece is answered with its documented code, and everybody else goes on.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use requests::table;

use crate::support::fold::{FIRST, dense};
use crate::support::gateway::{Gateway, shared_embedded};
use crate::support::node::Node;
use crate::support::rest::Person;
use crate::support::table::{filled, rows};
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
        let (ann, bob) = Person::pair(gateway, gateway).await;
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

/// Events whose arguments are wrong, in their number or as a whole, and the code of each.
const ARGUMENTS: &str = r#"
send_message   | invalid_request | []
send_message   | invalid_request | [null]
send_message   | invalid_request | [7]
send_message   | invalid_request | ["text"]
send_message   | invalid_request | [[]]
send_message   | invalid_request | [true]
join           | invalid_request | [{"evil": 1}]
join           | invalid_id      | [7]
join           | invalid_id      | ["x"]
join           | invalid_request | ["ANN", "options"]
join           | invalid_request | ["ANN", {"ack": "maybe"}]
join           | invalid_request | ["ANN", {"since": {"ROOM": "1"}}]
join           | invalid_id      | ["ANN", {"since": {"x": 1}}]
join_room      | invalid_id      | [{"$ne": 1}]
join_room      | invalid_id      | []
watch_presence | invalid_request | [[{}]]
watch_presence | invalid_request | ["x"]
"#;

#[tokio::test]
async fn garbage_on_socket_io_gets_its_code() {
    let scene = Scene::new().await;
    let node = Node::start().await;
    let client = node.open(scene.gateway, &scene.ann).await;
    for (event, body, code) in table(&scene.bob, &scene.room) {
        let answer = client.emit_with_ack(event, json!([body])).await;
        assert_eq!(answer["error"]["code"], code, "{event} {}", short(&body));
    }
    let words = [("ANN", scene.ann.id.as_str()), ("ROOM", &scene.room)];
    for [event, code, arguments] in rows(ARGUMENTS) {
        let arguments = filled(arguments, &words);
        let answer = client.emit_with_ack(event, arguments.clone()).await;
        assert_eq!(answer["error"]["code"], code, "{event} {arguments}");
    }
    // The same session is as good as before.
    client.join(&scene.ann, json!({})).await;
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
    let wrong_fields = [r#"{"type":7}"#, r#"{"ref":1}"#, r#"{"type":"x","ref":{}}"#];
    let no_objects = ["junk", "", "[]", "7", "null", "{"];
    let no_objects = [&no_objects[..], &wrong_fields].concat();
    for text in &no_objects {
        client.send_text(text).await;
    }
    // Answers come in order: the one after them shows that each got one.
    client.ask("join_room", json!({"roomId": scene.room})).await;
    let errors = client.frames("error");
    assert_eq!(errors.len(), no_objects.len());
    for error in errors {
        assert_eq!(error["error"]["code"], "invalid_request", "{error}");
    }
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
        let connected = client.wait_connected().await;
        connected.expect("the gateway takes the token");
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
    for character in ["x", "\u{1}", "👍"] {
        let content = character.repeat(LIMIT / character.len());
        let message = client.write(&scene.ann, &content).await;
        assert_eq!(message["content"], content.as_str(), "{}", short(&message));
    }
    scene.goes_on().await;
}

/// The beginning of a text that may be long.
fn short(value: &Value) -> String {
    value.to_string().chars().take(120).collect()
}
