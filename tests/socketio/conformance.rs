//! `examples/conformance` as a process, driven by the cases of both protocol documents: whoever points the public suites
//! at it finds a server that speaks the protocols with the timings they expect. Knows nothing of how it is made.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use bytes::Bytes;
use serde_json::Value;
use tempfile::TempDir;

use super::client::{Polling, Received, Socket, ok, request, text};
use crate::support::leash::{Leashed, free_port, repository, scratch};
use crate::support::until;

/// The running example.
struct Example {
    address: String,
    _process: Leashed,
    _directory: TempDir,
}

impl AsRef<str> for Example {
    fn as_ref(&self) -> &str {
        &self.address
    }
}

impl Example {
    async fn start() -> Self {
        let binary = tokio::task::spawn_blocking(build).await.unwrap();
        let directory = scratch("conformance");
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(binary);
        command.args(["--listen", &address]);
        let process = Leashed::start(directory.path(), &command);
        let answers = async || tokio::net::TcpStream::connect(&address).await;
        drop(until("the example listens", answers).await);
        Self {
            address,
            _process: process,
            _directory: directory,
        }
    }
}

/// As it is now: `cargo test` builds examples only when everything is tested.
fn build() -> String {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(repository());
    cargo.args(["build", "--offline", "--workspace", "--example=conformance"]);
    cargo.args(["--message-format=json", "--quiet"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let mut cargo = cargo.stdout(Stdio::piped()).spawn().expect("cargo runs");
    let output = BufReader::new(cargo.stdout.take().expect("a piped output"));
    let messages = output.lines().map_while(Result::ok);
    let messages = messages.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let mut built = messages.filter(|message| message["target"]["name"] == "conformance");
    let built = built.find_map(|message| Some(message["executable"].as_str()?.to_owned()));
    let built = built.expect("the example is built");
    let _lines_after_it = cargo.wait();
    built
}

#[tokio::test]
async fn the_example_of_conformance_speaks_both_protocols() {
    let example = Example::start().await;
    handshakes(&example).await;
    polling(&example).await;
    websocket(&example).await;
    upgrade(&example).await;
    heartbeat(&example).await;
    namespaces(&example).await;
    events(&example).await;
}

async fn handshakes(example: &Example) {
    for path in ["/engine.io/", "/socket.io/"] {
        let (_, handshake) = Polling::open(example, path).await;
        assert_eq!(handshake["upgrades"], serde_json::json!(["websocket"]));
        assert_eq!(handshake["pingInterval"], 300);
        assert_eq!(handshake["pingTimeout"], 200);
        assert_eq!(handshake["maxPayload"], 1_000_000);
        for query in ["transport=polling", "EIO=4&transport=abc", "EIO=4"] {
            let url = format!("{path}?{query}");
            let refused = request(example, "GET", &url, String::new()).await;
            assert_eq!(refused.status, 400, "{url}");
        }
    }
}

async fn polling(example: &Example) {
    for payload in [
        "4hello",
        "4test1\x1e4test2\x1e4test3",
        "4hello\x1ebAQIDBA==",
    ] {
        let polling = Polling::echo(example).await;
        assert_eq!(polling.post(payload).await, ok("ok"));
        assert_eq!(polling.poll().await, ok(payload));
        assert_eq!(polling.post("abc").await.status, 400);
        assert_eq!(polling.poll().await.status, 400);
    }
}

async fn websocket(example: &Example) {
    let mut socket = Socket::echo(example).await;
    socket.send("4hello").await;
    assert_eq!(socket.receive().await, text("4hello"));
    socket.send_binary(&[1, 2, 3]).await;
    assert_eq!(socket.receive().await, attachment(&[1, 2, 3]));
    socket.send("abc").await;
    assert_eq!(socket.receive_close().await, Some(1002));
}

async fn upgrade(example: &Example) {
    let polling = Polling::echo(example).await;
    let mut socket = Socket::beside(example, &polling).await;
    socket.send("2probe").await;
    assert_eq!(socket.receive().await, text("3probe"));
    socket.send("5").await;
    socket.send("4upgraded").await;
    assert_eq!(socket.receive().await, text("4upgraded"));
}

async fn heartbeat(example: &Example) {
    let mut socket = Socket::echo(example).await;
    for _ in 0..3 {
        assert_eq!(socket.receive().await, text("2"));
        socket.send("3").await;
    }
    assert_eq!(socket.receive().await, text("2"));
    assert_eq!(socket.receive().await, Received::Closed(Some(1000)));
}

async fn namespaces(example: &Example) {
    for (packet, namespace, payload) in [
        ("40", "", "{}"),
        (r#"40{"token":"123"}"#, "", r#"{"token":"123"}"#),
        ("40/custom,", "/custom,", "{}"),
    ] {
        let (mut socket, _) = Socket::open(example, "/socket.io/").await;
        socket.send(packet).await;
        let connected = format!("40{namespace}{{\"sid\":");
        let answer = socket.receive().await;
        let is_connected = matches!(&answer, Received::Text(it) if it.starts_with(&connected));
        assert!(is_connected, "{packet}: {answer:?}");
        let auth = format!(r#"42{namespace}["auth",{payload}]"#);
        assert_eq!(socket.receive().await, text(&auth));
    }
    let (mut stranger, _) = Socket::open(example, "/socket.io/").await;
    stranger.send("40/random").await;
    let refused = r#"44/random,{"message":"Invalid namespace"}"#;
    assert_eq!(stranger.receive().await, text(refused));
}

async fn events(example: &Example) {
    let args = r#"{"_placeholder":true,"num":0}"#;
    let mut socket = Socket::socket_io(example).await;
    for (sent, answered, has_attachment) in [
        (
            r#"42["message",1,"2"]"#.to_owned(),
            r#"42["message-back",1,"2"]"#.to_owned(),
            false,
        ),
        (
            r#"42456["message-with-ack",1]"#.to_owned(),
            "43456[1]".to_owned(),
            false,
        ),
        (
            format!(r#"451-["message",{args}]"#),
            format!(r#"451-["message-back",{args}]"#),
            true,
        ),
        (
            format!(r#"451-7["message-with-ack",{args}]"#),
            format!("461-7[{args}]"),
            true,
        ),
    ] {
        socket.send(&sent).await;
        if has_attachment {
            socket.send_binary(&[1, 2, 3]).await;
        }
        assert_eq!(socket.receive().await, text(&answered), "{sent}");
        if has_attachment {
            assert_eq!(socket.receive().await, attachment(&[1, 2, 3]));
        }
    }
    socket.send(r#"42["close-transport"]"#).await;
    socket.receive_close().await;
}

fn attachment(bytes: &'static [u8]) -> Received {
    Received::Binary(Bytes::from_static(bytes))
}
