//! A client of `/ws` that trusts nothing: every frame in either direction goes past the document.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::document::Document;

/// Ends a test that would hang.
const HANG: Duration = Duration::from_secs(30);

/// One connection.
pub(super) struct Client {
    document: Arc<Document>,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    events: VecDeque<Value>,
    next_ref: u64,
    /// The messages of the document that were seen, both ways.
    pub(super) seen: BTreeSet<String>,
}

/// How a connection said that it ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) code: u16,
    pub(super) reason: String,
}

enum Arrival {
    Answer(Value),
    Event,
    Ended(Ended),
}

impl Client {
    pub(super) async fn connect(document: &Arc<Document>, url: &str) -> Self {
        let (socket, _) = connect_async(url).await.unwrap();
        Self {
            document: Arc::clone(document),
            socket,
            events: VecDeque::new(),
            next_ref: 1,
            seen: BTreeSet::new(),
        }
    }

    /// Sends a documented request; its answer, refused or not.
    pub(super) async fn ask(&mut self, request: Value) -> Value {
        let key = self.document.judge(&request, &self.document.requests());
        let answers = self.document.answers(&key);
        self.seen.insert(key);
        let answer = self.exchange(request).await;
        self.seen.insert(self.document.judge(&answer, &answers));
        answer
    }

    /// Sends what is not documented; the code of the refusal.
    pub(super) async fn ask_nonsense(&mut self, request: Value) -> Value {
        let answer = self.exchange(request).await;
        let refusal = BTreeSet::from(["refusedAnswer".to_owned()]);
        self.seen.insert(self.document.judge(&answer, &refusal));
        answer["error"]["code"].clone()
    }

    /// Waits for an event of this type, those before it are dropped.
    pub(super) async fn event(&mut self, name: &str) -> Value {
        loop {
            while let Some(event) = self.events.pop_front() {
                if event["type"] == name {
                    return event;
                }
            }
            match self.arrival().await {
                Arrival::Event => {}
                Arrival::Answer(answer) => panic!("nobody asked for {answer}"),
                Arrival::Ended(ended) => panic!("{ended:?} before {name}"),
            }
        }
    }

    /// Waits for the end.
    pub(super) async fn ended(&mut self) -> Ended {
        loop {
            if let Arrival::Ended(ended) = self.arrival().await {
                return ended;
            }
        }
    }

    async fn exchange(&mut self, mut request: Value) -> Value {
        let reference = json!(self.next_ref);
        self.next_ref += 1;
        request["ref"] = reference.clone();
        let text = Message::text(request.to_string());
        self.socket.send(text).await.unwrap();
        loop {
            match self.arrival().await {
                Arrival::Answer(answer) if answer["ref"] == reference => return answer,
                Arrival::Event => {}
                Arrival::Answer(answer) => panic!("{answer} instead of an answer to {request}"),
                Arrival::Ended(ended) => panic!("{ended:?} instead of an answer to {request}"),
            }
        }
    }

    /// Takes the next frame: events are judged and kept. Pings do not count as one.
    async fn arrival(&mut self) -> Arrival {
        timeout(HANG, self.next_frame()).await.expect("a frame")
    }

    async fn next_frame(&mut self) -> Arrival {
        loop {
            let message = self.socket.next().await;
            match message.expect("a closing frame first").unwrap() {
                Message::Text(text) => return self.sort(serde_json::from_str(&text).unwrap()),
                Message::Close(frame) => {
                    let frame = frame.expect("a reason");
                    return Arrival::Ended(Ended {
                        code: frame.code.into(),
                        reason: frame.reason.to_string(),
                    });
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn sort(&mut self, frame: Value) -> Arrival {
        if frame.get("ref").is_some() {
            return Arrival::Answer(frame);
        }
        let key = self.document.judge(&frame, &self.document.events());
        self.seen.insert(key);
        self.events.push_back(frame);
        Arrival::Event
    }
}
