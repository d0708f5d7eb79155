//! Every field of a message agrees between acknowledgement, live event, history and backlog, on every protocol.

use serde_json::{Value, json};

use crate::support::fold::seq;
use crate::support::gateway::{Gateway, shared_embedded};
use crate::support::node::{Node, SocketIo};
use crate::support::rest::Person;
use crate::support::ws::Ws;

/// What was told of one message, and by whom.
type Told = Vec<(&'static str, Value)>;

/// The fields that may change over time.
const CHANGING: [&str; 3] = ["seen", "editedAt", "deletedAt"];

fn without_changing(message: &Value) -> Value {
    let mut message = message.clone();
    let fields = message.as_object_mut().expect("an object");
    fields.retain(|field, _| !CHANGING.contains(&field.as_str()));
    message
}

/// The message in one conversation of what a client receives.
struct Receivers {
    official: SocketIo,
    plain: Ws,
}

impl Receivers {
    async fn join(gateway: &Gateway, person: &Person, since: &Value) -> Self {
        let official = Node::start().await.open(gateway, person).await;
        let options = json!({"since": since, "ack": "client"});
        official.join(person, options).await;
        let plain = Ws::join_with(gateway, person, json!({"since": since})).await;
        Self { official, plain }
    }

    async fn told(&self, conversation: &str, number: u64, how: [&'static str; 2]) -> Told {
        let find = |log: Vec<Value>| {
            log.into_iter()
                .find(|event| seq(event) == number)
                .expect("it came")
        };
        let official = find(self.official.fold().wait_seq(conversation, number).await);
        let plain = find(self.plain.fold().wait_seq(conversation, number).await);
        vec![(how[0], official), (how[1], plain)]
    }
}

#[tokio::test]
async fn a_message_is_the_same_wherever_it_is_told() {
    let gateway = shared_embedded().await;
    let (ann, bob) = Person::pair(gateway, gateway).await;
    let room = ann.room(gateway, &[&bob]).await;
    let direct = ann.direct_with(&bob);
    let live = Receivers::join(gateway, &bob, &json!({})).await;
    let official = Node::start().await.open(gateway, &ann).await;
    let plain = Ws::join(gateway, &ann).await;

    let awkward = "line\nbreak, \"quotes\", \\ and 👍 \u{0}\u{7f}\u{2028}";
    let to_bob =
        |id: &str| json!({"receiverId": bob.id, "content": awkward, "clientMessageId": id});
    let to_room = json!({"roomId": room, "content": awkward});
    let mut by_official = official
        .emit_with_ack("send_message", json!([to_bob("one")]))
        .await;
    let mut by_plain = plain.ask("send_message", to_bob("two")).await;
    let mut in_room = official
        .emit_with_ack("send_group_message", json!([to_room]))
        .await;
    let by_rest = ann.say(gateway, &room, awkward).await;
    let sent = [
        (&direct, by_official["message"].take()),
        (&direct, by_plain["message"].take()),
        (&room, in_room["message"].take()),
        (&room, by_rest),
    ];

    let since = json!({});
    let backlog = Receivers::join(gateway, &bob, &since).await;
    let histories = [
        ("direct history", bob.direct_history(gateway, &ann).await),
        ("room history", ann.room_history(gateway, &room).await),
    ];
    for (conversation, acknowledged) in &sent {
        let number = seq(acknowledged);
        check_fields(acknowledged, conversation, &ann, &bob, awkward);
        let (now, later) = (
            ["live, Socket.IO", "live, /ws"],
            ["backlog, Socket.IO", "backlog, /ws"],
        );
        let mut told = live.told(conversation, number, now).await;
        told.extend(backlog.told(conversation, number, later).await);
        let (which, history) = &histories[usize::from(acknowledged["type"] == "group")];
        let stored = history.iter().find(|message| seq(message) == number);
        told.push((which, stored.expect("it is in the history").clone()));
        let listed = bob.listed(gateway, conversation).await["lastMessage"].clone();
        if seq(&listed) == number {
            told.push(("the list of conversations", listed));
        }
        for (how, message) in told {
            let [message, acknowledged] = [&message, acknowledged].map(without_changing);
            assert_eq!(message, acknowledged, "{how}");
        }
    }
}

fn check_fields(message: &Value, conversation: &str, ann: &Person, bob: &Person, content: &str) {
    let fields = message.as_object().expect("an object");
    let is_group = message["type"] == "group";
    let always = "_id content conversationId senderId seq timestamp type";
    let mut expected: Vec<&str> = always.split(' ').collect();
    if is_group {
        assert_eq!(message["roomId"], conversation);
        expected.push("roomId");
    } else {
        assert_eq!(message["type"], "private");
        assert_eq!(message["receiverId"], bob.id.as_str());
        assert_eq!(message["seen"], false);
        expected.extend(["clientMessageId", "receiverId", "seen"]);
    }
    expected.sort_unstable();
    let mut names: Vec<&str> = fields.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(message["conversationId"], conversation);
    assert_eq!(message["senderId"], ann.id.as_str());
    assert_eq!(message["content"], content);
    let timestamp = message["timestamp"].as_str().expect("a time");
    assert!(
        timestamp.len() == 24 && timestamp.ends_with('Z'),
        "{timestamp}"
    );
}
