//! "REST, by caller" in docs/permissions.md is true: every operation of `/openapi.json`, tried by everybody on a real
//! gateway. Each attempt is right but for who makes it. What comes of it, the page alone says.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::cast::{Cast, SAID, SAID_AS, Stage, Stages};
use crate::support::matrix::{self, Table, row};
use crate::support::rest::{self, Answer, PASSWORD, Person, unique};

/// How to try one row of the table.
type Attempt = matrix::Attempt<fn(&Stage) -> Ask>;

/// What is asked besides the operation.
#[derive(Default)]
struct Ask {
    /// For `{userId}` and `{otherUserId}` in the path; `{roomId}` is always the stage's.
    users: [String; 2],
    query: String,
    body: Option<Value>,
    /// Is in the answer to whoever may see it, and in no other.
    shows: String,
}

impl Ask {
    fn of(person: &Person) -> Self {
        Self {
            users: [person.id.clone(), String::new()],
            ..Self::default()
        }
    }

    fn between(one: &Person, two: &Person) -> Self {
        Self {
            users: [one.id.clone(), two.id.clone()],
            ..Self::default()
        }
    }

    fn saying(body: Value) -> Self {
        Self {
            body: Some(body),
            ..Self::default()
        }
    }

    fn with(self, body: Value) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    fn by(self, query: String) -> Self {
        Self { query, ..self }
    }

    fn showing(self, shows: &str) -> Self {
        let shows = shows.to_owned();
        Self { shows, ..self }
    }

    fn path(&self, template: &str, stage: &Stage) -> String {
        let path = template
            .replace("{roomId}", &stage.room.id)
            .replace("{userId}", &self.users[0])
            .replace("{otherUserId}", &self.users[1]);
        format!("{path}{}", self.query)
    }
}

fn accounts() -> [Attempt; 4] {
    [
        row("POST /register", "a new name", |_| {
            Ask::saying(json!({"username": unique("new"), "password": PASSWORD}))
        }),
        row("POST /login", "oneself", |stage| {
            let name = &stage.actor().name;
            Ask::saying(json!({"username": name, "password": PASSWORD})).showing(&stage.actor().id)
        }),
        row("POST /refresh", "one's own refresh token", |stage| {
            Ask::saying(json!({"refreshToken": stage.actor().refresh_token}))
                .showing(&stage.actor().id)
        }),
        // Behind the others on the page, too: it ends the refresh token.
        row("POST /logout", "one's own refresh token", |stage| {
            Ask::saying(json!({"refreshToken": stage.actor().refresh_token}))
        }),
    ]
}

fn messages() -> [Attempt; 6] {
    const DIRECT: &str = "GET /message/{userId}/{otherUserId}";
    const SEND: &str = "POST /group";
    [
        row(DIRECT, "one's own with anybody", |stage| {
            Ask::between(stage.actor(), &stage.cast.newcomer)
        }),
        row(DIRECT, "of two others", |stage| {
            Ask::between(&stage.cast.newcomer, &stage.cast.other_owner).showing(SAID)
        }),
        row("GET /room/{roomId}", "", |stage| {
            Ask::default().showing(&stage.message_id_of(&stage.cast.owner))
        }),
        row(SEND, "", |stage| {
            Ask::saying(json!({"roomId": stage.room.id, "content": "hello"})).showing("hello")
        }),
        row(SEND, "what one said before, again", |stage| {
            let room = &stage.room.id;
            Ask::saying(json!({"roomId": room, "content": SAID, "clientMessageId": SAID_AS}))
                .showing(&stage.message_id_of(stage.actor()))
        }),
        row(SEND, "as somebody else", |stage| {
            let (room, other) = (&stage.room.id, &stage.cast.other_member.id);
            Ask::saying(json!({"roomId": room, "content": "hello", "senderId": other}))
        }),
    ]
}

fn rooms() -> [Attempt; 6] {
    [
        row("POST /room", "with others", |stage| {
            Ask::saying(json!({"name": "new", "members": [stage.cast.newcomer.id]}))
                .showing(&stage.cast.newcomer.id)
        }),
        row("GET /rooms", "the room among one's own", |stage| {
            Ask::default()
                .by(format!("?after={}", just_before(&stage.room.id)))
                .showing(&stage.room.id)
        }),
        row("GET /conversations", "the room among one's own", |stage| {
            Ask::default()
                .by("?limit=200".to_owned())
                .showing(&stage.room.id)
        }),
        row("GET /rooms/{roomId}", "", |stage| {
            Ask::default().showing(&stage.room.id)
        }),
        row("PATCH /rooms/{roomId}", "", |_| {
            Ask::saying(json!({"name": "renamed"})).showing("renamed")
        }),
        row("DELETE /rooms/{roomId}", "", |_| Ask::default()),
    ]
}

/// The id before this one: a list that begins after it begins with this one.
fn just_before(id: &str) -> String {
    let number = u128::from_str_radix(id, 16).expect("hexadecimal");
    format!("{:024x}", number - 1)
}

fn members() -> [Attempt; 14] {
    const ADD: &str = "POST /rooms/{roomId}/members";
    const APPOINT: &str = "PATCH /rooms/{roomId}/members/{userId}";
    const REMOVE: &str = "DELETE /rooms/{roomId}/members/{userId}";
    fn add(person: &Person, role: &str) -> Ask {
        Ask::saying(json!({"userId": person.id, "role": role}))
            .showing(&format!(r#""role":"{role}""#))
    }
    fn appoint(person: &Person, role: &str) -> Ask {
        Ask::of(person)
            .with(json!({"role": role}))
            .showing(&format!(r#""role":"{role}""#))
    }
    [
        row("GET /rooms/{roomId}/members", "", |stage| {
            Ask::default().showing(&stage.cast.other_owner.id)
        }),
        row(ADD, "a member", |s| add(&s.cast.newcomer, "member")),
        row(ADD, "an admin", |s| add(&s.cast.newcomer, "admin")),
        row(ADD, "an owner", |s| add(&s.cast.newcomer, "owner")),
        row(ADD, "oneself", |s| add(s.actor(), "member")),
        row(APPOINT, "a member as admin", |s| {
            appoint(&s.cast.other_member, "admin")
        }),
        row(APPOINT, "a member as owner", |s| {
            appoint(&s.cast.other_member, "owner")
        }),
        row(APPOINT, "an admin as member", |s| {
            appoint(&s.cast.other_admin, "member")
        }),
        row(APPOINT, "another owner as member", |s| {
            appoint(&s.cast.other_owner, "member")
        }),
        row(APPOINT, "oneself as owner", |s| appoint(s.actor(), "owner")),
        row(REMOVE, "a member", |s| Ask::of(&s.cast.other_member)),
        row(REMOVE, "an admin", |s| Ask::of(&s.cast.other_admin)),
        row(REMOVE, "another owner", |s| Ask::of(&s.cast.other_owner)),
        row(REMOVE, "oneself", |s| Ask::of(s.actor())),
    ]
}

fn people() -> [Attempt; 7] {
    /// What an answer has that tells when somebody was last seen.
    const MOMENT: &str = r#""lastSeenAt":"2"#;
    fn named(cast: &Cast) -> Ask {
        Ask::default().by(format!("?query={}", cast.other_owner.name))
    }
    fn listed(cast: &Cast) -> Ask {
        Ask::default().by(format!("?ids={}", cast.other_owner.id))
    }
    const LAST: &str = "when an owner was last seen";
    [
        row("GET /me", "", |s| Ask::default().showing(&s.actor().id)),
        row("GET /users", "anybody", |s| {
            named(&s.cast).showing(&s.cast.other_owner.id)
        }),
        row("GET /users", LAST, |s| named(&s.cast).showing(MOMENT)),
        row("GET /users/{userId}", "anybody", |s| {
            Ask::of(&s.cast.other_owner).showing(&s.cast.other_owner.id)
        }),
        row("GET /users/{userId}", LAST, |s| {
            Ask::of(&s.cast.other_owner).showing(MOMENT)
        }),
        row("GET /presence", "anybody", |s| {
            listed(&s.cast).showing(&s.cast.other_owner.id)
        }),
        row("GET /presence", LAST, |s| listed(&s.cast).showing(MOMENT)),
    ]
}

fn attempts() -> Vec<Attempt> {
    accounts()
        .into_iter()
        .chain(rooms())
        .chain(members())
        .chain(messages())
        .chain(people())
        .collect()
}

/// The operations that a gateway describes, with the statuses of their successes.
async fn described(cast: &Cast) -> BTreeMap<String, BTreeSet<u16>> {
    let document = rest::read(reqwest::Client::new().get(cast.gateway.url("/openapi.json"))).await;
    let document = document.expect(200);
    let mut operations = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let answers = operation["responses"].as_object().unwrap().keys();
            let successes = answers.filter_map(|status| status.parse().ok());
            let name = format!("{} {path}", method.to_uppercase());
            operations.insert(name, successes.collect());
        }
    }
    operations
}

/// The status that docs/errors.md gives this code.
fn status_of(code: &str) -> Option<u16> {
    let mut rows = include_str!("../../docs/errors.md").lines();
    let row = rows.find_map(|row| row.strip_prefix(&format!("| `{code}` | ")))?;
    row.split(' ').next()?.parse().ok()
}

/// What came of an attempt, in the words of the table.
fn told(answer: &Answer, shows: &str, successes: &BTreeSet<u16>) -> String {
    let status = answer.status.as_u16();
    let is_shown = answer.body.to_string().contains(shows);
    if answer.status.is_success() {
        return match (successes.contains(&status), is_shown) {
            (false, _) => format!("success with the undocumented status {status}"),
            (true, true) => "yes".to_owned(),
            (true, false) => "hidden".to_owned(),
        };
    }
    let code = answer.body["error"]["code"].as_str().unwrap_or("no code");
    match (
        status_of(code) == Some(status),
        is_shown && !shows.is_empty(),
    ) {
        (false, _) => format!("{code} with the status {status}"),
        (true, true) => format!("{code}, and tells what it hides"),
        (true, false) => code.to_owned(),
    }
}

async fn carry_out(attempt: &Attempt, stage: &Stage) -> (Answer, String) {
    let ask = (attempt.ask)(stage);
    let (method, template) = attempt.operation.split_once(' ').unwrap();
    let url = stage.cast.gateway.url(&ask.path(template, stage));
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = stage.actor().http.request(method, url);
    if let Some(token) = stage.cast.token(stage.caller) {
        request = request.bearer_auth(token);
    }
    if let Some(body) = &ask.body {
        request = request.json(body);
    }
    (rest::read(request).await, ask.shows)
}

#[tokio::test]
async fn who_may_do_what_over_rest_is_what_the_page_says() {
    let table = Table::of_chapter("REST, by caller");
    let cast = Cast::assemble().await;
    let described = described(&cast).await;
    let names: BTreeSet<&str> = described.keys().map(String::as_str).collect();
    assert_eq!(
        table.operations(),
        names,
        "left: on the page; right: served"
    );

    let mut stages = Stages::new(cast);
    let outcome = async |attempt: &Attempt, caller| {
        let successes = &described[attempt.operation];
        let tried = async |stage: &Stage| {
            let (answer, shows) = carry_out(attempt, stage).await;
            told(&answer, &shows, successes)
        };
        stages.outcome(caller, tried).await
    };
    table.assert_true(&attempts(), outcome).await;
}
