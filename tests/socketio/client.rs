//! A client of either transport, made of bare HTTP and WebSocket so that tests see every packet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::server::PATIENCE;

/// An HTTP answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

pub(super) fn ok(body: &str) -> Answer {
    Answer {
        status: 200,
        body: body.to_owned(),
    }
}

/// Sends one request to this path and query.
pub(super) async fn request(
    server: &impl AsRef<str>,
    method: &str,
    path: &str,
    body: String,
) -> Answer {
    let url = format!("http://{}{path}", server.as_ref());
    let method = method.parse().unwrap();
    let request = reqwest::Client::new().request(method, url).body(body);
    let answer = timeout(PATIENCE, request.send()).await.unwrap().unwrap();
    Answer {
        status: answer.status().as_u16(),
        body: answer.text().await.unwrap(),
    }
}

/// The cache buster (`t`) of a client's requests.
#[derive(Debug, Clone)]
pub(super) enum Stamp {
    /// Another with each request, as the official client's.
    New(Arc<AtomicU64>),
    /// Always this one.
    Same(&'static str),
    /// None at all.
    Absent,
}

impl Stamp {
    pub(super) fn fresh() -> Self {
        Self::New(Arc::default())
    }

    fn parameter(&self) -> String {
        match self {
            Self::New(counter) => format!("&t=N{}", counter.fetch_add(1, Ordering::Relaxed)),
            Self::Same(stamp) => format!("&t={stamp}"),
            Self::Absent => String::new(),
        }
    }
}

/// A polling session.
#[derive(Debug, Clone)]
pub(super) struct Polling {
    address: String,
    path: String,
    stamp: Stamp,
    pub(super) sid: String,
    http: reqwest::Client,
}

impl Polling {
    /// A session of the official client in Node, as far as it can be told from its requests.
    pub(super) async fn open(server: &impl AsRef<str>, path: &str) -> (Self, Value) {
        Self::open_as(server, path, "node-XMLHttpRequest", Stamp::fresh()).await
    }

    /// A session of a client that calls itself `agent`.
    pub(super) async fn open_as(
        server: &impl AsRef<str>,
        path: &str,
        agent: &str,
        stamp: Stamp,
    ) -> (Self, Value) {
        let http = reqwest::Client::builder().user_agent(agent).build();
        let mut client = Self {
            address: server.as_ref().to_owned(),
            path: format!("{path}?EIO=4&transport=polling"),
            stamp,
            sid: String::new(),
            http: http.unwrap(),
        };
        let url = format!("http://{}{}", client.address, client.path);
        let url = format!("{url}{}", client.stamp.parameter());
        let answer = client.send(client.http.get(url)).await;
        assert_eq!(answer.status, 200);
        let handshake: Value =
            serde_json::from_str(answer.body.strip_prefix('0').unwrap()).unwrap();
        handshake["sid"]
            .as_str()
            .unwrap()
            .clone_into(&mut client.sid);
        (client, handshake)
    }

    pub(super) async fn echo(server: &impl AsRef<str>) -> Self {
        Self::open(server, "/engine.io/").await.0
    }

    fn url(&self) -> String {
        format!("http://{}{}&sid={}", self.address, self.path, self.sid)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let answer = timeout(PATIENCE, request.send()).await.unwrap().unwrap();
        Answer {
            status: answer.status().as_u16(),
            body: answer.text().await.unwrap(),
        }
    }

    pub(super) async fn poll(&self) -> Answer {
        self.poll_with(&self.stamp.parameter()).await
    }

    async fn poll_with(&self, parameter: &str) -> Answer {
        let url = format!("{}{parameter}", self.url());
        self.send(self.http.get(url)).await
    }

    /// A poll with this cache buster.
    pub(super) async fn poll_at(&self, timestamp: &str) -> Answer {
        self.poll_with(&format!("&t={timestamp}")).await
    }

    /// Sends a poll and closes the connection behind it.
    pub(super) async fn poll_and_leave(&self) {
        let mut connection = TcpStream::connect(&self.address).await.unwrap();
        let (path, sid, host) = (&self.path, &self.sid, &self.address);
        let request = format!("GET {path}&sid={sid} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
    }

    /// Sends the head of a post and this much of its body.
    pub(super) async fn begin_post(&self, length: usize, part: &str) -> TcpStream {
        let mut connection = TcpStream::connect(&self.address).await.unwrap();
        let (path, sid, host) = (&self.path, &self.sid, &self.address);
        let head = format!(
            "POST {path}&sid={sid} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{part}"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        connection
    }

    pub(super) async fn post(&self, body: impl Into<String>) -> Answer {
        self.send(self.http.post(self.url()).body(body.into()))
            .await
    }
}

/// What a WebSocket brings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    Text(String),
    Binary(Bytes),
    /// The connection is closed, with a code if the server sent one.
    Closed(Option<u16>),
}

pub(super) fn text(packet: &str) -> Received {
    Received::Text(packet.to_owned())
}

/// A WebSocket.
pub(super) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Connects to this path and query; the error is the HTTP status of a refusal.
    pub(super) async fn connect(server: &impl AsRef<str>, path: &str) -> Result<Self, u16> {
        let url = format!("ws://{}{path}", server.as_ref());
        match timeout(PATIENCE, connect_async(url)).await.unwrap() {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// A session of its own; the open packet is read.
    pub(super) async fn open(server: &impl AsRef<str>, path: &str) -> (Self, Value) {
        let path = format!("{path}?EIO=4&transport=websocket");
        let mut socket = Self::connect(server, &path).await.unwrap();
        let Received::Text(open) = socket.receive().await else {
            panic!("an open packet");
        };
        let handshake = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
        (socket, handshake)
    }

    pub(super) async fn echo(server: &impl AsRef<str>) -> Self {
        Self::open(server, "/engine.io/").await.0
    }

    /// The WebSocket beside a polling session.
    pub(super) async fn beside(server: &impl AsRef<str>, polling: &Polling) -> Self {
        Self::try_beside(server, polling).await.unwrap()
    }

    /// The same, of a session that may have ended.
    pub(super) async fn try_beside(
        server: &impl AsRef<str>,
        polling: &Polling,
    ) -> Result<Self, u16> {
        let sid = &polling.sid;
        let path = format!("/engine.io/?EIO=4&transport=websocket&sid={sid}");
        Self::connect(server, &path).await
    }

    /// A Socket.IO session in the main namespace; everything up to `auth` is read.
    pub(super) async fn socket_io(server: &impl AsRef<str>) -> Self {
        let (mut socket, _) = Self::open(server, "/socket.io/").await;
        socket.send("40").await;
        socket.receive().await;
        socket.receive().await;
        socket
    }

    pub(super) async fn send(&mut self, packet: &str) {
        self.0.send(Message::text(packet)).await.unwrap();
    }

    /// Sends a frame to a server that may have closed already.
    pub(super) async fn say(&mut self, frame: Message) {
        let _closed = self.0.send(frame).await;
    }

    pub(super) async fn send_binary(&mut self, bytes: &'static [u8]) {
        let message = Message::Binary(Bytes::from_static(bytes));
        self.0.send(message).await.unwrap();
    }

    pub(super) async fn receive(&mut self) -> Received {
        let message = timeout(PATIENCE, self.0.next()).await.expect("a message");
        match message {
            Some(Ok(Message::Text(text))) => Received::Text(text.to_string()),
            Some(Ok(Message::Binary(bytes))) => Received::Binary(bytes),
            Some(Ok(Message::Close(frame))) => {
                Received::Closed(frame.map(|CloseFrame { code, .. }| code.into()))
            }
            None | Some(Err(_)) => Received::Closed(None),
            Some(Ok(other)) => panic!("{other:?}"),
        }
    }

    /// Waits for the close, whatever comes before it.
    pub(super) async fn receive_close(&mut self) -> Option<u16> {
        loop {
            if let Received::Closed(code) = self.receive().await {
                return code;
            }
        }
    }
}
