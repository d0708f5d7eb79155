//! The main job on one real gateway on its embedded store, by the official client, `/ws` and REST.

mod agreement;
mod crash;
mod endings;
mod floods;
mod forgery;
mod former;
mod frozen;
mod garbage;
mod guesses;
mod half_open;
mod heads;
mod hoarding;
mod panics;
mod permissions;
mod receipts;
mod resume;
mod rfc6455;
mod strangers;
mod transports;
mod upgrades;
mod volume;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::gateway::Gateway;
use crate::support::rest::Person;
use crate::support::ws::{RawWs, Ws};

/// A bare connection.
async fn connect(port: u16) -> TcpStream {
    let connected = TcpStream::connect(("127.0.0.1", port)).await;
    connected.expect("a connection")
}

/// A bare WebSocket at this path and query.
async fn dial(gateway: &Gateway, path: &str) -> RawWs {
    let (port, stream) = (gateway.port(), connect(gateway.port()).await);
    let url = format!("ws://127.0.0.1:{port}{path}");
    let upgraded = tokio_tungstenite::client_async(url, stream).await;
    upgraded.expect("the gateway upgrades").0
}

/// The id of a new Engine.IO session on polling that has not said yet who it is.
async fn polling_session(gateway: &Gateway) -> String {
    let url = gateway.url("/socket.io/?EIO=4&transport=polling");
    let open = reqwest::get(url).await.unwrap().text().await.unwrap();
    let open: Value = serde_json::from_str(&open[1..]).unwrap();
    open["sid"].as_str().unwrap().to_owned()
}

/// A joined connection whose receive buffer is small.
async fn narrow(gateway: &Gateway, person: &Person) -> RawWs {
    let mut raw = Ws::dial(gateway.port(), Some(4096)).await;
    let hello = json!({"type": "hello", "token": person.token});
    raw.send(Message::text(hello.to_string())).await.unwrap();
    let answer = raw.next().await.unwrap().unwrap();
    assert!(answer.to_text().unwrap().contains(r#""type":"hello""#));
    raw
}
