//! Clients that never say who they are, or have more sessions and connections than one may: bounded in memory and in
//! number, felt by nobody else, and told by readiness before there is no room.

use std::net::Ipv4Addr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use crate::support::gateway::Gateway;
use crate::support::node::Node;
use crate::support::rest::Person;
use crate::support::until;
use crate::support::ws::Ws;

/// Where strangers come from: another address than everybody else's.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Handshakes of a flood.
const FLOOD: usize = 20_000;
/// Of one answer without a body worth the name, in bytes.
const ANSWER: usize = 4 * 1024;

async fn connect(gateway: &Gateway, from: Ipv4Addr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let to = ([127, 0, 0, 1], gateway.port()).into();
    socket.connect(to).await.unwrap()
}

/// Sends one request and reads its answer, whose head says how long it is; the status.
async fn ask(stream: &mut TcpStream, request: &str) -> u16 {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::with_capacity(ANSWER);
    while !is_whole(&answer) {
        let read = stream.read_buf(&mut answer).await.unwrap();
        assert!(read > 0, "no whole answer: {answer:?}");
    }
    let status = std::str::from_utf8(&answer[9..12]).unwrap();
    status.parse().unwrap()
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let mut lines = head.lines();
    let length = lines.find_map(|line| {
        line.to_lowercase()
            .strip_prefix("content-length: ")?
            .parse()
            .ok()
    });
    body.len() >= length.unwrap_or(0)
}

fn handshake(headers: &str) -> String {
    let path = "/socket.io/?EIO=4&transport=polling";
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n")
}

/// How many of so many handshakes, over a few connections from elsewhere, were let in.
async fn flood(gateway: &Gateway, count: usize, headers: &str) -> usize {
    let request = handshake(headers);
    let over_one = async || {
        let mut stream = connect(gateway, ELSEWHERE).await;
        let mut granted = 0;
        for _ in 0..count / 4 {
            granted += usize::from(ask(&mut stream, &request).await == 200);
        }
        granted
    };
    let granted = tokio::join!(over_one(), over_one(), over_one(), over_one());
    granted.0 + granted.1 + granted.2 + granted.3
}

async fn readiness(gateway: &Gateway) -> (u16, Value) {
    let answer = reqwest::get(gateway.admin_url("/readyz")).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn what_a_stranger_s_handshake_says_is_not_kept() {
    let settings = [
        ("HOBNOB_HANDSHAKE_RATE", "0"),
        ("HOBNOB_ANONYMOUS_LIMIT", "100000"),
    ];
    let gateway = Gateway::embedded_with(&settings).await;
    // What the connections themselves take is taken before.
    assert_eq!(flood(&gateway, 40, "").await, 40);
    let headers: String = (0..5)
        .map(|number| format!("x-{number}: {}\r\n", "x".repeat(3_900)))
        .collect();
    let before = gateway.resident_bytes();
    assert_eq!(flood(&gateway, 4_000, &headers).await, 4_000);
    let growth = gateway.resident_bytes().saturating_sub(before);
    // 78 MB of headers were sent; a session of its own is a few kB.
    assert!(growth < 40 << 20, "{growth} bytes for 4,000 handshakes");
}

#[tokio::test]
async fn a_flood_of_strangers_takes_nobody_s_place() {
    let gateway = Gateway::embedded_with(&[("HOBNOB_HANDSHAKE_RATE", "50")]).await;
    let node = Node::start().await;
    let ann = Person::register(&gateway, "ann").await;
    let begun = Instant::now();
    let flooding = flood(&gateway, FLOOD, "");
    let connecting = async {
        for transports in [&["polling"][..], &["websocket"], &["polling", "websocket"]] {
            // Who says who they are gets in.
            let client = node.open_by(&gateway, &ann, transports).await;
            client.join(&ann, json!({})).await;
        }
        drop(Ws::join(&gateway, &ann).await);
        readiness(&gateway).await
    };
    let (granted, (status, report)) = tokio::join!(flooding, connecting);
    assert_eq!(status, 200, "{report}");
    // A tenth of anonymous_limit at a time; places that were free again meanwhile were granted again.
    let most = 250 + 50 * (begun.elapsed().as_secs() as usize + 1);
    assert!(granted <= most, "{granted} of {most}");
    let refused = r#"hobnob_connections_refused_total{reason="anonymous_limit"}"#;
    let refused = gateway.metric(refused).await;
    assert_eq!(refused, (FLOOD - granted) as f64);
}

#[tokio::test]
async fn a_full_lobby_is_degraded_on_both_protocols_and_a_token_in_the_handshake_gets_in() {
    let settings = [("HOBNOB_ANONYMOUS_LIMIT", "10")];
    let gateway = Gateway::embedded_with(&settings).await;
    let ann = Person::register(&gateway, "ann").await;
    let mut inside = Vec::new();
    for number in 2..12 {
        let mut stream = connect(&gateway, Ipv4Addr::new(127, 0, 0, number)).await;
        assert_eq!(ask(&mut stream, &handshake("")).await, 200);
        inside.push(stream);
    }
    let (status, report) = readiness(&gateway).await;
    assert_eq!(status, 200, "{report}");
    let lobby = &report["checks"]["anonymous"]["status"];
    assert_eq!(lobby, "degraded", "{report}");
    let mut stream = connect(&gateway, Ipv4Addr::LOCALHOST).await;
    assert_eq!(ask(&mut stream, &handshake("")).await, 503);
    let upgrade = |headers: &str| {
        format!(
            "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        )
    };
    assert_eq!(ask(&mut stream, &upgrade("")).await, 503);
    let known = upgrade(&format!("authorization: Bearer {}\r\n", ann.token));
    assert_eq!(ask(&mut stream, &known).await, 101);
}

#[tokio::test]
async fn one_session_too_many_of_a_user_is_refused_and_the_others_stay() {
    let settings = [("HOBNOB_USER_SESSION_LIMIT", "2")];
    let gateway = Gateway::embedded_with(&settings).await;
    let node = Node::start().await;
    let (ann, bob) = Person::pair(&gateway, &gateway).await;
    let (first, second) = (
        Ws::join(&gateway, &ann).await,
        Ws::join(&gateway, &ann).await,
    );
    let third = Ws::open(gateway.port()).await;
    let hello = json!({"token": ann.token});
    let answer = third.ask("hello", hello).await;
    assert_eq!(answer["error"]["code"], "too_many_sessions", "{answer}");
    assert_eq!(third.closed().await, (4103, "too_many_sessions".to_owned()));
    let url = gateway.url("");
    let refused = node.connect(&url, &ann.token, &["websocket"]).await;
    let data = refused.err().expect("it is one too many").data;
    assert_eq!(data["code"], "too_many_sessions");
    // Neither those that are open nor anybody else notice.
    drop(Ws::join(&gateway, &bob).await);
    let typing = json!({"receiverId": bob.id, "typing": true});
    for client in [&first, &second] {
        client.granted("typing", typing.clone()).await;
    }
    drop(second);
    until("a place that is free is free again", async || {
        let again = Ws::open(gateway.port()).await;
        let hello = json!({"type": "hello", "token": ann.token});
        again.request(hello).await["type"] == "hello"
    })
    .await;
}

#[tokio::test]
async fn it_is_unready_before_the_last_session_and_one_address_has_its_share() {
    let settings = [
        ("HOBNOB_SESSION_LIMIT", "10"),
        ("HOBNOB_ADDRESS_SESSION_LIMIT", "9"),
    ];
    let gateway = Gateway::embedded_with(&settings).await;
    let ann = Person::register(&gateway, "ann").await;
    let mut sessions = Vec::new();
    for _ in 0..9 {
        assert!(gateway.is_ready().await);
        sessions.push(Ws::join(&gateway, &ann).await);
    }
    let (status, report) = readiness(&gateway).await;
    assert_eq!(status, 503, "{report}");
    assert_eq!(report["checks"]["sessions"]["status"], "failed", "{report}");
    let another = Ws::open(gateway.port()).await;
    let hello = json!({"type": "hello", "token": ann.token});
    let answer = another.request(hello).await;
    assert_eq!(answer["error"]["code"], "too_many_sessions", "{answer}");
    sessions.pop();
    gateway.until_ready(true).await;
}

#[tokio::test]
async fn one_address_has_its_share_of_connections_unless_it_is_a_trusted_proxy() {
    let request = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n";
    for (trusted, sixth) in [("", 503), ("127.0.0.2", 200)] {
        let settings = [
            ("HOBNOB_ADDRESS_CONNECTION_LIMIT", "5"),
            ("HOBNOB_TRUSTED_PROXIES", trusted),
        ];
        let gateway = Gateway::embedded_with(&settings).await;
        let mut held = Vec::new();
        for _ in 0..5 {
            let mut stream = connect(&gateway, ELSEWHERE).await;
            assert_eq!(ask(&mut stream, request).await, 200);
            held.push(stream);
        }
        let mut stream = connect(&gateway, ELSEWHERE).await;
        assert_eq!(ask(&mut stream, request).await, sixth, "{trusted}");
        let mut stream = connect(&gateway, Ipv4Addr::new(127, 0, 0, 3)).await;
        assert_eq!(ask(&mut stream, request).await, 200);
    }
}

#[tokio::test]
async fn operators_are_served_when_there_are_fewer_files_than_clients() {
    const FILES: u32 = 256;
    let gateway = Gateway::embedded_under(FILES, &[]).await;
    let mut clients = Vec::new();
    for _ in 0..400 {
        clients.push(connect(&gateway, Ipv4Addr::LOCALHOST).await);
    }
    gateway.until_ready(false).await;
    for path in ["/livez", "/metrics"] {
        let answer = reqwest::get(gateway.admin_url(path)).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
    let output = gateway.output();
    let complaints = output.matches("cannot accept connections").count();
    assert!(complaints <= 5, "{output}");
    let warning = "the limit of open files is too low";
    assert!(output.contains(warning), "{output}");
    drop(clients);
    gateway.until_ready(true).await;
    Person::register(&gateway, "ann").await;
}
