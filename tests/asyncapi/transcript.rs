//! The document's transcript (`x-transcript`) is what goes over the wire: played by two people at a real gateway.

use std::collections::BTreeMap;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::gateway::Gateway;
use crate::support::leash::START_DEADLINE;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The people of a transcript, and what its names stand for in this run.
struct Stage {
    gateway: Gateway,
    sockets: BTreeMap<String, Socket>,
    refresh_tokens: BTreeMap<String, Value>,
    names: BTreeMap<String, Value>,
    /// What came before its line, by person: an answer and an event may come in either order.
    early: BTreeMap<String, Vec<Value>>,
}

impl Stage {
    async fn set(people: &[&str]) -> Self {
        let mut stage = Self {
            gateway: Gateway::embedded().await,
            sockets: BTreeMap::new(),
            refresh_tokens: BTreeMap::new(),
            names: BTreeMap::new(),
            early: BTreeMap::new(),
        };
        for person in people {
            let account = json!({ "username": person, "password": "correct horse battery" });
            let session = stage.post("/register", account).await;
            let name = format!("${}", person.to_uppercase());
            stage.names.insert(name, session["userId"].clone());
            stage.take_tokens(person, &session);
        }
        stage
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = reqwest::Client::new().post(self.gateway.url(path));
        let answer = request.json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {answer:?}");
        answer.json().await.unwrap()
    }

    fn take_tokens(&mut self, person: &str, session: &Value) {
        let name = format!("${}_TOKEN", person.to_uppercase());
        self.names.insert(name, session["token"].clone());
        let token = session["refreshToken"].clone();
        self.refresh_tokens.insert(person.to_owned(), token);
    }

    async fn play(&mut self, person: &str, does: &str, frame: &Value) {
        match does {
            "connects" => {
                let url = self.gateway.url("/ws").replace("http", "ws");
                let (socket, _) = connect_async(url).await.unwrap();
                self.sockets.insert(person.to_owned(), socket);
            }
            "leaves" => {
                let mut socket = self.sockets.remove(person).expect("a connection");
                socket.close(None).await.unwrap();
            }
            "refreshes" => {
                let body = json!({ "refreshToken": self.refresh_tokens[person] });
                let session = self.post("/refresh", body).await;
                self.take_tokens(person, &session);
            }
            "sends" => {
                let text = self.filled_in(frame).to_string();
                let socket = self.sockets.get_mut(person).expect("a connection");
                socket.send(Message::text(text)).await.unwrap();
            }
            "gets" => {
                let got = self.next(person, &frame["type"]).await;
                assert!(self.is(frame, &got), "{frame}\n{got}\n{:#?}", self.names);
            }
            other => panic!("nobody can do this: {other}"),
        }
    }

    /// The next frame of this type.
    async fn next(&mut self, person: &str, wanted: &Value) -> Value {
        let early = self.early.entry(person.to_owned()).or_default();
        if let Some(index) = early.iter().position(|frame| frame["type"] == *wanted) {
            return early.remove(index);
        }
        let socket = self.sockets.get_mut(person).expect("a connection");
        loop {
            let message = timeout(START_DEADLINE, socket.next()).await;
            let message = message.expect("a frame in time").expect("a frame").unwrap();
            let Message::Text(text) = message else {
                continue;
            };
            let frame: Value = serde_json::from_str(text.as_str()).unwrap();
            if frame["type"] == *wanted {
                return frame;
            }
            early.push(frame);
        }
    }

    /// With what its names stand for.
    fn filled_in(&self, pattern: &Value) -> Value {
        match pattern {
            Value::String(text) if text.starts_with('$') => self.names[text.as_str()].clone(),
            Value::Object(fields) => fields
                .iter()
                .map(|(key, value)| (self.key(key), self.filled_in(value)))
                .collect(),
            other => other.clone(),
        }
    }

    fn key(&self, key: &str) -> String {
        let name = self.names.get(key).and_then(Value::as_str);
        name.unwrap_or(key).to_owned()
    }

    /// Whether a frame is this, field by field; a name that is new stands for what is there.
    fn is(&mut self, pattern: &Value, got: &Value) -> bool {
        match (pattern, got) {
            (Value::String(name), _) if name.starts_with('$') => {
                let meant = self.names.entry(name.clone());
                *meant.or_insert_with(|| got.clone()) == *got
            }
            (Value::Object(fields), Value::Object(there)) => {
                fields.len() == there.len()
                    && fields.iter().all(|(key, value)| {
                        let found = there.get(&self.key(key));
                        found.is_some_and(|found| self.is(value, found))
                    })
            }
            _ => pattern == got,
        }
    }
}

#[tokio::test]
async fn the_transcript_is_what_goes_over_the_wire() {
    let document: Value = serde_norway::from_str(include_str!("../../docs/asyncapi.yaml")).unwrap();
    let lines = document["info"]["x-transcript"].as_array().unwrap();
    assert!(lines.len() > 20, "where is it?");
    let people = ["ann", "bob"];
    let mut stage = Stage::set(&people).await;
    for line in lines {
        let who = people.iter().find(|person| line[**person].is_string());
        let who = who.expect("somebody");
        let does = line[*who].as_str().unwrap();
        stage.play(who, does, &line["frame"]).await;
    }
    // How far the other is is told at times of its own; all else has its line.
    let mut left = stage.early.values().flatten();
    assert!(left.all(|frame| frame["type"] == "message_delivered"));
}
