//! "Sockets, by caller" in docs/permissions.md is true: every request that a socket takes, tried by everybody over `/ws`
//! and with the official client. Each attempt is right but for who makes it. What comes of it, the page alone says.

mod doors;

use std::collections::{BTreeSet, HashMap};

use hobnob::domain::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::asyncapi::document::Document;
use crate::support::cast::{Cast, SAID, SAID_AS, Stage, Stages};
use crate::support::fold::seq;
use crate::support::gateway::SECRET;
use crate::support::matrix::{self, Caller, Table, row};
use crate::support::node::Node;
use crate::support::rest::Person;
use crate::support::tokens::token;
use doors::{Client, Door};

/// Where the page has the table.
const CHAPTER: &str = "Sockets, by caller";

/// The request that begins delivery, as `/ws` and Socket.IO call it.
const HELLO: &str = "hello (join)";

/// No request: what becomes of a connection by itself.
const CONNECTION: &str = "an open connection";

/// How long the tokens of connections that are to end live, in seconds: long enough for a busy machine to open them.
const BRIEF: i64 = 10;

/// How to try one row of the table.
type Attempt = matrix::Attempt<fn(&Stage) -> Ask>;

/// What is asked besides the operation.
struct Ask {
    /// The request's fields. Of a `hello`, whose it claims to be.
    body: Value,
    /// How often; the last answer counts.
    times: usize,
    /// Is in the answer to whoever may see it.
    shows: String,
}

impl From<Value> for Ask {
    fn from(body: Value) -> Self {
        Self {
            body,
            times: 1,
            shows: String::new(),
        }
    }
}

impl Ask {
    fn showing(self, shows: String) -> Self {
        Self { shows, ..self }
    }

    fn twice(self) -> Self {
        Self { times: 2, ..self }
    }
}

fn connections() -> [Attempt; 8] {
    fn claim(person: &Person) -> Ask {
        json!({"userId": person.id, "token": person.token}).into()
    }
    fn renew(token: &str) -> Ask {
        json!({"token": token}).into()
    }
    const RENEW: &str = "authenticate";
    [
        row(HELLO, "oneself", |s| claim(s.actor())),
        row(HELLO, "the room among one's own", |s| {
            claim(s.actor()).showing(s.room.id.clone())
        }),
        row(HELLO, "somebody else", |s| claim(&s.cast.other_member)),
        row(RENEW, "a fresh token of one's own", |s| {
            renew(&s.actor().token)
        }),
        row(RENEW, "somebody else's token", |s| {
            renew(&s.cast.other_owner.token)
        }),
        row(RENEW, "a forged token", |s| renew(&s.cast.forged())),
        row(RENEW, "an expired token", |s| renew(&s.cast.expired())),
        row(CONNECTION, "when its token expires", |_| json!({}).into()),
    ]
}

fn sends() -> [Attempt; 5] {
    const DIRECT: &str = "send_message";
    const ROOM: &str = "send_group_message";
    [
        row(DIRECT, "to anybody", |s| {
            json!({"receiverId": s.cast.newcomer.id, "content": "hello"}).into()
        }),
        row(DIRECT, "as somebody else", |s| {
            let (to, from) = (&s.cast.newcomer.id, &s.cast.other_member.id);
            json!({"receiverId": to, "content": "hello", "senderId": from}).into()
        }),
        row(ROOM, "", |s| {
            json!({"roomId": s.room.id, "content": "hello"}).into()
        }),
        row(ROOM, "what one said before, again", |s| {
            let body = json!({"roomId": s.room.id, "content": SAID, "clientMessageId": SAID_AS});
            Ask::from(body).showing(s.message_id_of(s.actor()))
        }),
        row(ROOM, "as somebody else", |s| {
            let from = &s.cast.other_member.id;
            json!({"roomId": s.room.id, "content": "hello", "senderId": from}).into()
        }),
    ]
}

fn receipts() -> [Attempt; 8] {
    fn end(stage: &Stage) -> Ask {
        json!({"conversationId": stage.room.id, "seq": stage.room.end}).into()
    }
    const ACK: &str = "message_ack";
    const READ: &str = "message_read";
    [
        row("join_room", "", |s| json!({"roomId": s.room.id}).into()),
        row(ACK, "what of one's log was not delivered", end),
        row(ACK, "the same, again", |s| end(s).twice()),
        row(ACK, "a conversation of two others", |s| theirs(s).into()),
        row(READ, "", end),
        row(READ, "a conversation of two others", |s| theirs(s).into()),
        row("typing", "to anybody", |s| {
            json!({"receiverId": s.cast.newcomer.id, "typing": true}).into()
        }),
        row("typing", "in the room", |s| {
            json!({"roomId": s.room.id, "typing": true}).into()
        }),
    ]
}

/// The message of two others in their direct conversation.
fn theirs(stage: &Stage) -> Value {
    json!({"conversationId": stage.cast.private(), "seq": 1})
}

/// This request about a message.
fn about(mut message: Value, field: &str, value: &str) -> Ask {
    message[field] = json!(value);
    message.into()
}

/// What this person said in the room.
fn words_of(stage: &Stage, person: &Person) -> Value {
    let seq = seq(stage.message_of(person));
    json!({"conversationId": stage.room.id, "seq": seq})
}

fn changes() -> [Attempt; 11] {
    const EDIT: &str = "edit_message";
    const DELETE: &str = "delete_message";
    const THEIRS: &str = "in a conversation of two others";
    fn edit(message: Value) -> Ask {
        about(message, "content", "edited")
    }
    fn react(message: Value) -> Ask {
        about(message, "emoji", "👍")
    }
    [
        row(EDIT, "one's own", |s| edit(words_of(s, s.actor()))),
        row(EDIT, "a member's", |s| {
            edit(words_of(s, &s.cast.other_member))
        }),
        row(EDIT, THEIRS, |s| edit(theirs(s))),
        row(DELETE, "one's own", |s| words_of(s, s.actor()).into()),
        row(DELETE, "a member's", |s| {
            words_of(s, &s.cast.other_member).into()
        }),
        row(DELETE, "an admin's", |s| {
            words_of(s, &s.cast.other_admin).into()
        }),
        row(DELETE, "another owner's", |s| {
            words_of(s, &s.cast.other_owner).into()
        }),
        row(DELETE, "a former member's", |s| {
            words_of(s, &s.cast.former).into()
        }),
        row(DELETE, THEIRS, |s| theirs(s).into()),
        row("react", "", |s| react(words_of(s, &s.cast.other_owner))),
        row("react", THEIRS, |s| react(theirs(s))),
    ]
}

fn presence() -> [Attempt; 2] {
    fn other(stage: &Stage) -> Ask {
        json!({"userIds": [stage.cast.newcomer.id]}).into()
    }
    [
        row("watch_presence", "anybody", other),
        row("unwatch_presence", "anybody", other),
    ]
}

fn attempts() -> Vec<Attempt> {
    let all = connections().into_iter().chain(sends()).chain(receipts());
    all.chain(changes()).chain(presence()).collect()
}

/// What came of an attempt, in the words of the table.
fn told(answer: &Value, shows: &str) -> String {
    match (&answer["ok"], answer["error"]["code"].as_str()) {
        (Value::Bool(true), None) if answer.to_string().contains(shows) => "yes".to_owned(),
        (Value::Bool(true), None) => "hidden".to_owned(),
        (_, Some(code)) => code.to_owned(),
        _ => format!("no answer that is documented: {answer}"),
    }
}

/// Everybody at one door.
struct Play {
    stages: Stages,
    door: Door,
    /// By the id of the person.
    sessions: HashMap<String, Client>,
    /// The same with tokens that end soon.
    brief: HashMap<String, Client>,
    /// Somebody who is in every room and tries nothing.
    observer: Client,
}

impl Play {
    async fn begin(door: Door) -> Self {
        let cast = Cast::assemble().await;
        let (mut sessions, mut brief) = (HashMap::new(), HashMap::new());
        for caller in Caller::KNOWN {
            let person = cast.person(caller);
            let soon = SystemClock.now().millis() / 1000 + BRIEF;
            let ending = token(&person.id, SECRET, SECRET, soon);
            brief.insert(person.id.clone(), door.enter(&cast, &ending).await);
            let session = door.enter(&cast, &person.token).await;
            sessions.insert(person.id.clone(), session);
        }
        Self {
            observer: door.enter(&cast, &cast.other_owner.token).await,
            stages: Stages::new(cast),
            door,
            sessions,
            brief,
        }
    }

    async fn outcome(&mut self, attempt: &Attempt, caller: Caller) -> String {
        if attempt.operation == CONNECTION && caller.is_known() {
            let person = self.stages.cast.person(caller);
            return self.brief[&person.id].ended().await;
        }
        let (door, sessions) = (&self.door, &self.sessions);
        self.stages
            .outcome(caller, async |stage| {
                let ask = (attempt.ask)(stage);
                let answer = answer(door, sessions, stage, (attempt.operation, &ask)).await;
                told(&answer, &ask.shows)
            })
            .await
    }

    /// Who typed in a room where they may not is heard by nobody.
    async fn assert_typists(&self) {
        let cast = &self.stages.cast;
        // What is answered after them comes after them.
        let room = json!({"roomId": "0".repeat(24)});
        self.observer.ask("join_room", room).await;
        let may = [&cast.member, &cast.admin, &cast.owner];
        let may = may.map(|person| person.id.clone());
        assert_eq!(self.observer.typists(), may.into());
    }
}

async fn answer(
    door: &Door,
    sessions: &HashMap<String, Client>,
    stage: &Stage,
    (operation, ask): (&str, &Ask),
) -> Value {
    let (cast, actor) = (&stage.cast, stage.actor());
    let request = door.name_of(operation);
    if !stage.caller.is_known() {
        let token = cast.token(stage.caller);
        return door.intrude(cast, token, (request, ask.body.clone())).await;
    }
    if operation == HELLO {
        // Whoever it claims to be, the connection is the actor's.
        let client = door.enter(cast, &actor.token).await;
        return client.ask(request, ask.body.clone()).await;
    }
    let session = &sessions[&actor.id];
    if stage.caller == Caller::Former {
        session
            .fold()
            .wait_seq(&stage.room.id, stage.room.end)
            .await;
    }
    for _ in 1..ask.times {
        session.ask(request, ask.body.clone()).await;
        stage.use_up();
    }
    session.ask(request, ask.body.clone()).await
}

async fn assert_the_page_is_true_at(door: Door) {
    let table = Table::of_chapter(CHAPTER);
    let mut play = Play::begin(door).await;
    let outcome = async |attempt: &Attempt, caller| play.outcome(attempt, caller).await;
    table.assert_true(&attempts(), outcome).await;
    play.assert_typists().await;
}

#[tokio::test]
async fn who_may_do_what_over_ws_is_what_the_page_says() {
    assert_the_page_is_true_at(Door::Plain).await;
}

#[tokio::test]
async fn who_may_do_what_over_socket_io_is_what_the_page_says() {
    assert_the_page_is_true_at(Door::SocketIo(Node::start().await)).await;
}

/// The requests by their names in the source; `hello` and `join_room` are taken by the protocols themselves.
fn taken_up() -> BTreeSet<String> {
    let source = include_str!("../../../src/gateway/requests/mod.rs");
    let (_, rest) = source.split_once("let reply = match name {").unwrap();
    let (arms, _) = rest.split_once("_ => return None").unwrap();
    let named = arms.split('"').skip(1).step_by(2);
    let named: BTreeSet<String> = named.map(str::to_owned).collect();
    assert!(
        named.len() > 5,
        "the arms of take_up are not read: {named:?}"
    );
    let others = ["hello", "join_room"].map(str::to_owned);
    named.into_iter().chain(others).collect()
}

#[test]
fn the_page_has_a_row_for_every_request() {
    let document = Document::parse(include_str!("../../../docs/asyncapi.yaml"));
    let documented = document.request_names();
    assert_eq!(documented, taken_up(), "left: documented; right: taken up");
    let table = Table::of_chapter(CHAPTER);
    let shown = table.operations().into_iter();
    let shown = shown.filter(|operation| *operation != CONNECTION);
    let door = Door::Plain;
    let shown: BTreeSet<&str> = shown.map(|operation| door.name_of(operation)).collect();
    let documented: BTreeSet<&str> = documented.iter().map(String::as_str).collect();
    assert_eq!(shown, documented, "left: on the page; right: documented");
}
