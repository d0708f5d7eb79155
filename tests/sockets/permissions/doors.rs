//! The two doors for sockets, alike for whoever tries them: `/ws`, and Socket.IO with the official client. Knows how each
//! is entered and asked; refuses to know what the answers should be.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::HELLO;
use crate::support::cast::Cast;
use crate::support::fold::Fold;
use crate::support::node::{Node, SocketIo};
use crate::support::rest::text;
use crate::support::ws::Ws;

/// A way to connect.
pub(super) enum Door {
    Plain,
    SocketIo(Arc<Node>),
}

/// A connection that has begun delivery, and moves cursors only when told to.
pub(super) enum Client {
    Plain(Ws),
    SocketIo(SocketIo),
}

impl Client {
    pub(super) async fn ask(&self, request: &str, body: Value) -> Value {
        match self {
            Self::Plain(client) => client.ask(request, body).await,
            Self::SocketIo(client) => client.emit_with_ack(request, args(request, &body)).await,
        }
    }

    pub(super) fn fold(&self) -> &Fold {
        match self {
            Self::Plain(client) => client.fold(),
            Self::SocketIo(client) => client.fold(),
        }
    }

    /// Who typed, as far as this client was told.
    pub(super) fn typists(&self) -> BTreeSet<String> {
        let told = match self {
            Self::Plain(client) => client.frames("typing"),
            Self::SocketIo(client) => client.received("typing"),
        };
        told.iter().map(|frame| text(&frame["userId"])).collect()
    }

    /// Waits until the server has ended it; why.
    pub(super) async fn ended(&self) -> String {
        match self {
            Self::Plain(client) => client.closed().await.1,
            Self::SocketIo(client) => match client.wait_disconnected().await.as_str() {
                // All that this client tells; the reason is in the frame below it.
                "transport close" => "unauthorized".to_owned(),
                other => other.to_owned(),
            },
        }
    }
}

/// The arguments of a request on Socket.IO.
fn args(request: &str, body: &Value) -> Value {
    match request {
        "join_room" => json!([body["roomId"]]),
        "join" => json!([body["userId"], {"ack": "client"}]),
        _ => json!([body]),
    }
}

impl Door {
    pub(super) async fn enter(&self, cast: &Cast, token: &str) -> Client {
        match self {
            Self::Plain => {
                let client = Ws::open(cast.gateway.port()).await;
                let hello = client.ask("hello", json!({"token": token})).await;
                assert_eq!(hello["ok"], true, "{hello}");
                Client::Plain(client)
            }
            Self::SocketIo(node) => {
                let url = cast.gateway.url("");
                let connected = node.connect(&url, token, &["websocket"]).await;
                let client = connected.expect("the token is good");
                let joined = client.emit_with_ack("join", args("join", &json!({}))).await;
                assert_eq!(joined["ok"], true, "{joined}");
                Client::SocketIo(client)
            }
        }
    }

    /// Connects with a token that is none, or without one, and asks in the same breath; the first answer.
    pub(super) async fn intrude(
        &self,
        cast: &Cast,
        token: Option<String>,
        (request, body): (&str, Value),
    ) -> Value {
        match self {
            Self::Plain => intrude_plainly(cast, token, (request, body)).await,
            Self::SocketIo(node) => {
                let auth = token.map_or(json!({}), |token| json!({"token": token}));
                let options = json!({"auth": auth, "transports": ["websocket"]});
                let events = [(request, args(request, &body))];
                let url = cast.gateway.url("");
                let (client, _) = node.client_emitting(&url, options, &events).await;
                let outcome = client.wait_connected().await;
                client.disconnect().await;
                match outcome {
                    Ok(()) => json!({"ok": true}),
                    Err(refused) => json!({"error": refused.data}),
                }
            }
        }
    }

    /// What a request of the table is called here.
    pub(super) fn name_of<'a>(&self, operation: &'a str) -> &'a str {
        match (operation, self) {
            (HELLO, Self::Plain) => "hello",
            (HELLO, Self::SocketIo(_)) => "join",
            (request, _) => request,
        }
    }
}

async fn intrude_plainly(
    cast: &Cast,
    token: Option<String>,
    (request, body): (&str, Value),
) -> Value {
    let client = Ws::open(cast.gateway.port()).await;
    let mut first = None;
    if let Some(token) = token {
        let hello = json!({"type": "hello", "token": token});
        first = Some(client.submit(hello).await);
    }
    // The token in a `hello` would be the caller's good one.
    let mut frame = if request == "hello" { json!({}) } else { body };
    frame["type"] = json!(request);
    let asked = client.submit(frame).await;
    let answer = client.answer(first.unwrap_or(asked)).await;
    if !answer["error"].is_null() {
        assert_eq!(client.closed().await, (4101, "unauthorized".to_owned()));
    }
    answer
}
