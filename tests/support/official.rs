//! The official client as one of our people: let in by their token, and joined. Knows `join` and how an answer says that
//! something was granted, which [`super::node`] does not; refuses to know what else is asked.

use std::sync::Arc;

use serde_json::{Value, json};

use super::gateway::Gateway;
use super::node::{Node, SocketIo};
use super::rest::Person;

impl Node {
    /// A client of this person's on WebSocket, which has not joined.
    pub(crate) async fn open(self: &Arc<Self>, gateway: &Gateway, person: &Person) -> SocketIo {
        self.open_by(gateway, person, &["websocket"]).await
    }

    /// The same over these transports.
    pub(crate) async fn open_by(
        self: &Arc<Self>,
        gateway: &Gateway,
        person: &Person,
        transports: &[&str],
    ) -> SocketIo {
        let url = gateway.url("");
        let connected = self.connect(&url, &person.token, transports).await;
        connected.expect("the gateway takes the token")
    }

    /// A client of this person's on WebSocket that has joined.
    pub(crate) async fn join(self: &Arc<Self>, gateway: &Gateway, person: &Person) -> SocketIo {
        let client = self.open(gateway, person).await;
        client.join(person, json!({})).await;
        client
    }
}

impl SocketIo {
    /// Joins as this person with these options (`since`, `ack`); the answer.
    pub(crate) async fn join(&self, person: &Person, options: Value) -> Value {
        let answer = self.granted("join", json!([person.id, options])).await;
        assert_eq!(answer["userId"], person.id.as_str(), "{answer}");
        answer
    }

    /// Asks for something that is granted; the answer.
    pub(crate) async fn granted(&self, event: &str, arguments: Value) -> Value {
        let answer = self.emit_with_ack(event, arguments).await;
        assert_eq!(answer["ok"], true, "{event}: {answer}");
        answer
    }
}
