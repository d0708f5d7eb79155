//! The REST client of the end-to-end tests: registered people who ask gateways over HTTP.
//!
//! Knows routes, tokens and JSON; refuses to know what an answer should be, which is the tests' business.

use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::fold::seq;
use super::gateway::Gateway;
use super::until;

/// What everybody's password is.
pub(crate) const PASSWORD: &str = "correct horse";

/// A registered user with a token.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) refresh_token: String,
    pub(crate) http: reqwest::Client,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }

    /// The code of a refusal with this status.
    #[track_caller]
    pub(crate) fn refused(self, status: u16) -> String {
        let body = self.expect(status);
        text(&body["error"]["code"])
    }
}

/// A name nobody else has, beginning with `name`: tests share servers.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{}-{number}", std::process::id())
}

impl Person {
    /// Registers somebody under a name that begins with `name`.
    pub(crate) async fn register(gateway: &Gateway, name: &str) -> Self {
        Self::enter(gateway, "/register", &unique(name)).await
    }

    /// Ann on the first gateway and bob on the second.
    pub(crate) async fn pair(one: &Gateway, other: &Gateway) -> (Self, Self) {
        let ann = Self::register(one, "ann").await;
        (ann, Self::register(other, "bob").await)
    }

    /// Logs in as somebody who has registered.
    pub(crate) async fn login(gateway: &Gateway, name: &str) -> Self {
        Self::enter(gateway, "/login", name).await
    }

    async fn enter(gateway: &Gateway, path: &str, name: &str) -> Self {
        let http = reqwest::Client::new();
        let typed = json!({"username": name, "password": PASSWORD});
        let request = http.post(gateway.url(path)).json(&typed);
        let answer = read(request).await;
        assert!(answer.status.is_success(), "{answer:?}");
        Self {
            id: text(&answer.body["userId"]),
            name: name.to_owned(),
            token: text(&answer.body["token"]),
            refresh_token: text(&answer.body["refreshToken"]),
            http,
        }
    }

    pub(crate) async fn get(&self, gateway: &Gateway, path: &str) -> Answer {
        self.call(Method::GET, gateway, path, None).await
    }

    pub(crate) async fn post(&self, gateway: &Gateway, path: &str, body: Value) -> Answer {
        self.call(Method::POST, gateway, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, gateway: &Gateway, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, gateway, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, gateway: &Gateway, path: &str) -> Answer {
        self.call(Method::DELETE, gateway, path, None).await
    }

    async fn call(
        &self,
        method: Method,
        gateway: &Gateway,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let request = self.http.request(method, gateway.url(path));
        let request = request.bearer_auth(&self.token);
        read(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    /// Makes a room with these others; its id.
    pub(crate) async fn room(&self, gateway: &Gateway, others: &[&Person]) -> String {
        let members: Vec<&str> = others.iter().map(|person| person.id.as_str()).collect();
        let body = json!({"name": "room", "members": members});
        let room = self.post(gateway, "/room", body).await.expect(201);
        text(&room["_id"])
    }

    /// Says something in a room; the message.
    pub(crate) async fn say(&self, gateway: &Gateway, room: &str, content: &str) -> Value {
        let body = json!({"roomId": room, "content": content});
        self.post(gateway, "/group", body).await.expect(201)
    }

    /// The whole history of a room, paged forwards.
    pub(crate) async fn room_history(&self, gateway: &Gateway, room: &str) -> Vec<Value> {
        self.history(gateway, &format!("/room/{room}")).await
    }

    /// The whole history of a direct conversation, paged forwards.
    pub(crate) async fn direct_history(&self, gateway: &Gateway, other: &Person) -> Vec<Value> {
        let path = format!("/message/{}/{}", self.id, other.id);
        self.history(gateway, &path).await
    }

    async fn history(&self, gateway: &Gateway, path: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().map_or(0, seq);
            let page = format!("{path}?after={after}&limit=200");
            let page = self.get(gateway, &page).await.expect(200);
            let page = page.as_array().expect("an array");
            if page.is_empty() {
                return all;
            }
            all.extend(page.iter().cloned());
        }
    }

    /// How this person's list shows a conversation; null when it does not.
    pub(crate) async fn listed(&self, gateway: &Gateway, conversation: &str) -> Value {
        let list = self.get(gateway, "/conversations").await.expect(200);
        let mut list = list.as_array().expect("an array").iter();
        let listed = list.find(|listed| listed["conversationId"] == conversation);
        listed.cloned().unwrap_or_default()
    }

    /// Waits until this person's cursor in a conversation has been stored at this seq.
    pub(crate) async fn wait_delivered(&self, gateway: &Gateway, conversation: &str, seq: u64) {
        until(&format!("the cursor at {seq}"), async || {
            let listed = self.listed(gateway, conversation).await;
            (listed["deliveredSeq"] == seq).then_some(()).ok_or(listed)
        })
        .await;
    }

    /// The id of the direct conversation with another person.
    pub(crate) fn direct_with(&self, other: &Person) -> String {
        let (low, high) = if self.id < other.id {
            (&self.id, &other.id)
        } else {
            (&other.id, &self.id)
        };
        format!("{low}-{high}")
    }
}

/// Sends a request and reads its answer to the end.
pub(crate) async fn read(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("the gateway answers");
    let status = response.status();
    let bytes = response.bytes().await.expect("a whole answer");
    let body = match bytes.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(&bytes).expect("a JSON answer"),
    };
    Answer { status, body }
}

/// A JSON string's text.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("not a string: {value}"))
        .to_owned()
}
