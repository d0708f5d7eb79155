//! Clients that send without pause and read nothing: every kind of frame and packet, all at once at one gateway, whose
//! memory stays bounded (D40). Raw TCP, because no library floods like that.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::polling_session;
use crate::support::fold::DEADLINE;
use crate::support::frames::{BINARY, CONTINUATION, FINAL, PING, PONG, TEXT, frame};
use crate::support::gateway::Gateway;
use crate::support::rest::Person;
use crate::support::ws::Ws;

/// How long they send.
const FLOOD: Duration = Duration::from_secs(30);
/// How much all of them together may add to the gateway's memory, in bytes.
const MEMORY: u64 = 64 << 20;
/// What is written at once, in bytes.
const CHUNK: usize = 64 * 1024;
/// Between two connections of a flood that the gateway has ended: a fresh handshake is no frame.
const AGAIN: Duration = Duration::from_secs(1);

fn text(packet: &str) -> Vec<u8> {
    frame(FINAL | TEXT, packet.as_bytes())
}

/// One way to flood a gateway.
struct Flood {
    name: &'static str,
    /// Where the WebSocket is; `None`: HTTP requests over one connection.
    socket: Option<String>,
    /// Said once per connection.
    opening: Vec<u8>,
    /// Said without end.
    unit: Vec<u8>,
}

impl Flood {
    fn on(path: &str, name: &'static str, opening: Vec<u8>, unit: Vec<u8>) -> Self {
        Self {
            name,
            socket: Some(path.to_owned()),
            opening,
            unit,
        }
    }

    fn ws(name: &'static str, opening: Vec<u8>, unit: Vec<u8>) -> Self {
        Self::on("/ws", name, opening, unit)
    }

    fn socket_io(name: &'static str, opening: Vec<u8>, unit: Vec<u8>) -> Self {
        let path = "/socket.io/?EIO=4&transport=websocket";
        Self::on(path, name, opening, unit)
    }

    fn http(name: &'static str, unit: String) -> Self {
        Self {
            name,
            socket: None,
            opening: Vec::new(),
            unit: unit.into_bytes(),
        }
    }

    /// As much of it as is written at once.
    fn chunk(&self) -> Vec<u8> {
        self.unit.repeat((CHUNK / self.unit.len()).max(1))
    }

    /// Floods until the time is over; connects anew when the gateway ends it. How much was taken, in bytes.
    async fn run(&self, port: u16, until: Instant) -> u64 {
        let chunk = self.chunk();
        let mut taken = 0;
        while Instant::now() < until {
            if let Ok(mut stream) = self.connect(port).await {
                while let Some(left) = until.checked_duration_since(Instant::now()) {
                    match timeout(left, stream.write(&chunk)).await {
                        // A partial write would tear a frame apart: the rest of the chunk follows.
                        Ok(Ok(written)) if written > 0 => {
                            taken += written as u64;
                            let rest = &chunk[written..];
                            if !matches!(timeout(left, stream.write_all(rest)).await, Ok(Ok(()))) {
                                break;
                            }
                            taken += rest.len() as u64;
                        }
                        _ => break,
                    }
                }
            }
            sleep(AGAIN).await;
        }
        taken
    }

    async fn connect(&self, port: u16) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        let mut stream = socket.connect(([127, 0, 0, 1], port).into()).await?;
        if let Some(path) = &self.socket {
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
        }
        stream.write_all(&self.opening).await?;
        Ok(stream)
    }
}

fn post(sid: &str, body: &str) -> String {
    format!(
        "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What is answered by the transport itself: nothing of it passes through an outbox.
async fn pings(gateway: &Gateway, hello: &[u8], connect: &[u8]) -> Vec<Flood> {
    let ping = frame(FINAL | PING, &[7; 125]);
    let sid = polling_session(gateway).await;
    let beside = format!("/socket.io/?EIO=4&transport=websocket&sid={sid}");
    let probing = "socket.io: ping beside polling";
    vec![
        Flood::ws("ws: ping, anonymous", vec![], ping.clone()),
        Flood::ws("ws: ping", hello.to_vec(), ping.clone()),
        Flood::socket_io("socket.io: ping", connect.to_vec(), ping.clone()),
        Flood::on(&beside, probing, text("2probe"), ping.clone()),
    ]
}

fn on_ws(hello: &[u8], receiver: &str) -> Vec<Flood> {
    let typing =
        json!({"type": "typing", "receiverId": receiver, "typing": true, "ref": "r".repeat(120)});
    let payload = [7; 125];
    let fragments = [hello, &frame(TEXT, b"{")].concat();
    let open = || hello.to_vec();
    vec![
        Flood::ws("ws: pong", open(), frame(FINAL | PONG, &payload)),
        Flood::ws(
            "ws: empty fragments",
            fragments.clone(),
            frame(CONTINUATION, b""),
        ),
        Flood::ws("ws: fragments", fragments, frame(CONTINUATION, &payload)),
        Flood::ws("ws: requests", open(), text(&typing.to_string())),
        Flood::ws("ws: no request", open(), text("{}")),
        Flood::ws("ws: hello", vec![], open()),
    ]
}

fn on_socket_io(connect: &[u8], receiver: &str) -> Vec<Flood> {
    let typing = json!(["typing", {"receiverId": receiver, "typing": true}]);
    let attached = [
        text(r#"451-["typing",{"_placeholder":true,"num":0}]"#),
        frame(FINAL | BINARY, b"x"),
    ];
    let open = || connect.to_vec();
    vec![
        Flood::socket_io("socket.io: pong frames", open(), frame(FINAL | PONG, b"")),
        Flood::socket_io("socket.io: noop, anonymous", vec![], text("6")),
        Flood::socket_io("socket.io: pong packets", open(), text("3")),
        Flood::socket_io("socket.io: upgrade packets", open(), text("5")),
        Flood::socket_io("socket.io: events", open(), text(&format!("42{typing}"))),
        Flood::socket_io(
            "socket.io: with acks",
            open(),
            text(&format!("421{typing}")),
        ),
        Flood::socket_io("socket.io: stray acks", open(), text("431[]")),
        Flood::socket_io("socket.io: CONNECT", vec![], text("40/nowhere,")),
        Flood::socket_io("socket.io: DISCONNECT", open(), text("41/nowhere,")),
        Flood::socket_io("socket.io: attachments", open(), attached.concat()),
    ]
}

async fn on_polling(gateway: &Gateway) -> Vec<Flood> {
    let many = |packet: &str| [packet; 100].join("\x1e");
    let (noops, pongs, connects) = (many("6"), many("3"), many("40/nowhere,"));
    let sid = polling_session(gateway).await;
    let poll =
        format!("GET /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: x\r\n\r\n");
    vec![
        Flood::http(
            "polling: noops",
            post(&polling_session(gateway).await, &noops),
        ),
        Flood::http(
            "polling: pongs",
            post(&polling_session(gateway).await, &pongs),
        ),
        Flood::http(
            "polling: CONNECT",
            post(&polling_session(gateway).await, &connects),
        ),
        Flood::http("polling: polls", poll),
    ]
}

/// A gateway, and what a connection says first on either protocol.
struct Scene {
    gateway: Gateway,
    receiver: String,
    hello: Vec<u8>,
    connect: Vec<u8>,
}

impl Scene {
    async fn new() -> Self {
        let gateway = Gateway::embedded_with(&[("HOBNOB_OUTBOX_BYTES", "262144")]).await;
        let ann = Person::register(&gateway, "ann").await;
        Self {
            gateway,
            receiver: ann.id,
            hello: text(&json!({"type": "hello", "token": ann.token}).to_string()),
            connect: text(&format!("40{}", json!({"token": ann.token}))),
        }
    }

    /// All of them at once: memory stays bounded, and somebody else is served meanwhile.
    async fn endures(&self, floods: Vec<Flood>) {
        let bob = Person::register(&self.gateway, "bob").await;
        let calm = Ws::join(&self.gateway, &bob).await;
        let typing = json!({"type": "typing", "receiverId": bob.id, "typing": true});
        let (before, until) = (self.gateway.resident_bytes(), Instant::now() + FLOOD);
        let (port, mut running) = (self.gateway.port(), JoinSet::new());
        for flood in floods {
            running.spawn(async move { (flood.name, flood.run(port, until).await) });
        }
        while Instant::now() < until {
            let grown = self.gateway.resident_bytes().saturating_sub(before);
            assert!(grown < MEMORY, "the floods cost {} MiB", grown >> 20);
            let asked = timeout(DEADLINE, calm.request(typing.clone())).await;
            assert_eq!(asked.expect("others are served")["ok"], true);
            // Between two looks, as long as it is flooded.
            sleep(Duration::from_millis(250)).await;
        }
        let taken = running.join_all().await;
        let grown = self.gateway.resident_bytes().saturating_sub(before);
        println!("{} KiB more, of {taken:?}", grown >> 10);
    }
}

#[tokio::test]
async fn who_pings_without_reading_costs_no_memory() {
    let scene = Scene::new().await;
    let floods = pings(&scene.gateway, &scene.hello, &scene.connect).await;
    scene.endures(floods).await;
}

#[tokio::test]
async fn who_sends_without_reading_costs_no_memory_whatever_is_sent() {
    let scene = Scene::new().await;
    let mut floods = on_ws(&scene.hello, &scene.receiver);
    floods.extend(on_socket_io(&scene.connect, &scene.receiver));
    floods.extend(on_polling(&scene.gateway).await);
    scene.endures(floods).await;
}
