//! A typed client of the plain JSON WebSocket at `/ws`.
//!
//! Knows frames, refs and close codes; refuses to know what the answers should be. A task reads all the time, so a test
//! never blocks the server; a client that must not read is made with [`Ws::dial`] alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::fold::{DEADLINE, Fold};
use super::gateway::Gateway;
use super::rest::Person;

/// A connection as tungstenite gives it.
pub(crate) type RawWs = WebSocketStream<TcpStream>;

/// A connected client. Dropping it aborts the connection.
pub(crate) struct Ws {
    sink: AsyncMutex<SplitSink<RawWs, Message>>,
    inbox: Arc<Inbox>,
    next_ref: AtomicU64,
    reader: tokio::task::JoinHandle<()>,
}

/// What arrived.
#[derive(Default)]
struct Inbox {
    fold: Fold,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    answers: HashMap<u64, Value>,
    /// Frames that answer no request, in order, with those of the logs.
    frames: Vec<Value>,
    /// The closing frame's code and reason; 1006 when the connection ended without one.
    closed: Option<(u16, String)>,
}

impl Ws {
    /// Opens the connection alone, with a receive buffer of about this many bytes when given.
    pub(crate) async fn dial(port: u16, receive_buffer: Option<u32>) -> RawWs {
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes).expect("a buffer size");
        }
        let address = ([127, 0, 0, 1], port).into();
        let stream = socket.connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let url = format!("ws://127.0.0.1:{port}/ws");
        let (raw, _) = tokio_tungstenite::client_async(url, stream)
            .await
            .expect("the gateway upgrades");
        raw
    }

    /// Connects without saying anything.
    pub(crate) async fn open(port: u16) -> Self {
        Self::over(Self::dial(port, None).await)
    }

    /// Reads and writes over an open connection from now on.
    pub(crate) fn over(raw: RawWs) -> Self {
        let (sink, stream) = raw.split();
        let inbox = Arc::<Inbox>::default();
        Self {
            sink: AsyncMutex::new(sink),
            reader: tokio::spawn(read(stream, Arc::clone(&inbox))),
            inbox,
            next_ref: AtomicU64::new(1),
        }
    }

    /// Connects and starts delivery, acknowledging as the protocol does by default (`ack: "client"`).
    pub(crate) async fn join(gateway: &Gateway, person: &Person) -> Self {
        Self::join_with(gateway, person, json!({})).await
    }

    /// The same with further fields of `hello` (`since`, `ack`).
    pub(crate) async fn join_with(gateway: &Gateway, person: &Person, options: Value) -> Self {
        let client = Self::open(gateway.port()).await;
        let mut hello = options;
        hello["type"] = json!("hello");
        hello["token"] = json!(person.token);
        let answer = client.request(hello).await;
        assert_eq!(answer["type"], "hello", "{answer}");
        client
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn request(&self, request: Value) -> Value {
        let reference = self.submit(request).await;
        self.answer(reference).await
    }

    /// Sends a request of this type.
    pub(crate) async fn ask(&self, kind: &str, mut request: Value) -> Value {
        request["type"] = json!(kind);
        self.request(request).await
    }

    /// The same, which is to be granted; the answer.
    pub(crate) async fn granted(&self, kind: &str, request: Value) -> Value {
        let answer = self.ask(kind, request).await;
        assert_eq!(answer["ok"], true, "{kind}: {answer}");
        answer
    }

    /// Says something to this person; the message.
    pub(crate) async fn write(&self, to: &Person, content: &str) -> Value {
        let body = json!({"receiverId": to.id, "content": content});
        self.granted("send_message", body).await["message"].take()
    }

    /// Asks to be told whether this person is online; what the answer says of it.
    pub(crate) async fn watch(&self, whom: &Person) -> Value {
        let body = json!({"userIds": [whom.id]});
        self.granted("watch_presence", body).await["presence"][&whom.id].take()
    }

    /// Waits for the answers to these, all of which are to be granted; the messages.
    pub(crate) async fn messages(&self, references: Vec<u64>) -> Vec<Value> {
        let mut messages = Vec::new();
        for reference in references {
            let mut answer = self.answer(reference).await;
            assert_eq!(answer["ok"], true, "{answer}");
            messages.push(answer["message"].take());
        }
        messages
    }

    /// Sends a request now, to be waited for later: many may be under way.
    pub(crate) async fn submit(&self, mut request: Value) -> u64 {
        let reference = self.next_ref.fetch_add(1, Ordering::Relaxed);
        request["ref"] = json!(reference);
        self.send_text(&request.to_string()).await;
        reference
    }

    /// Sends a frame as it is.
    pub(crate) async fn send_text(&self, text: &str) {
        self.send(Message::text(text)).await;
    }

    /// Sends any message. A connection that has ended is no error: its end is what the test looks at.
    pub(crate) async fn send(&self, message: Message) {
        let _ended = self.sink.lock().await.send(message).await;
    }

    /// Waits for one answer.
    pub(crate) async fn answer(&self, reference: u64) -> Value {
        self.wait(&format!("the answer to {reference}"), |state| {
            state.answers.remove(&reference)
        })
        .await
    }

    /// Waits for the first frame without a ref that fulfils `wanted`; it is still there for the next who looks.
    pub(crate) async fn frame(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait(what, |state| {
            state.frames.iter().find(|frame| wanted(frame)).cloned()
        })
        .await
    }

    /// Waits for the first frame without a ref of this type.
    pub(crate) async fn told(&self, kind: &str) -> Value {
        self.frame(kind, |frame| frame["type"] == kind).await
    }

    /// Waits for a message that says this.
    pub(crate) async fn hears(&self, content: &str) -> Value {
        let says = |frame: &Value| frame["message"]["content"] == content;
        self.frame("the message", says).await
    }

    /// The frames without a ref of this type, so far.
    pub(crate) fn frames(&self, kind: &str) -> Vec<Value> {
        let state = self.inbox.state.lock();
        let frames = state.frames.iter();
        frames
            .filter(|frame| frame["type"] == kind)
            .cloned()
            .collect()
    }

    /// Waits for the end; the closing frame's code and reason, 1006 when there was none.
    pub(crate) async fn closed(&self) -> (u16, String) {
        self.wait("the end", |state| state.closed.clone()).await
    }

    /// The logs it received.
    pub(crate) fn fold(&self) -> &Fold {
        &self.inbox.fold
    }

    /// Says goodbye.
    pub(crate) async fn close(self) {
        self.send(Message::Close(None)).await;
        self.closed().await;
    }

    async fn wait<T>(&self, what: &str, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut changed = self.inbox.changed.subscribe();
        let found = tokio::time::timeout(DEADLINE, async {
            loop {
                if let Some(found) = look(&mut self.inbox.state.lock()) {
                    return found;
                }
                changed.changed().await.expect("the inbox lives");
            }
        });
        match found.await {
            Ok(found) => found,
            Err(_) => panic!("waited in vain for {what}: {}", self.inbox.summary()),
        }
    }
}

impl Drop for Ws {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Inbox {
    fn take(&self, frame: Value) {
        let body = if frame["message"].is_object() && frame["ref"].is_null() {
            &frame["message"]
        } else {
            &frame
        };
        if frame["ref"].is_null() {
            self.fold.add(body);
        }
        let mut state = self.state.lock();
        match frame["ref"].as_u64() {
            Some(reference) => drop(state.answers.insert(reference, frame)),
            None => state.frames.push(frame),
        }
        drop(state);
        self.changed.send_modify(|count| *count += 1);
    }

    fn end(&self, code: u16, reason: String) {
        self.state.lock().closed.get_or_insert((code, reason));
        self.changed.send_modify(|count| *count += 1);
    }

    fn summary(&self) -> String {
        let state = self.state.lock();
        let last: Vec<&Value> = state.frames.iter().rev().take(5).collect();
        format!(
            "closed {:?}, {} frames, last {last:?}",
            state.closed,
            state.frames.len()
        )
    }
}

async fn read(mut stream: SplitStream<RawWs>, inbox: Arc<Inbox>) {
    while let Some(message) = stream.next().await {
        match message {
            Ok(Message::Text(text)) => {
                inbox.take(serde_json::from_str(text.as_str()).expect("frames are JSON"));
            }
            Ok(Message::Close(Some(frame))) => {
                inbox.end(frame.code.into(), frame.reason.as_str().to_owned());
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    inbox.end(1006, String::new());
}
