//! RFC 6455 section by section, over bare TCP: what a client may send and what it may not, on both paths that are
//! WebSockets. The cases are those of the document and of the public test suites.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connect;
use crate::support::fold::DEADLINE;
use crate::support::frames::{BINARY, CLOSE, CONTINUATION, FINAL, PING, PONG, TEXT, frame};
use crate::support::gateway::{Gateway, shared_embedded};

const PATHS: [&str; 2] = ["/ws", "/socket.io/?EIO=4&transport=websocket"];
/// The key of the document's own example, and its answer (section 1.3).
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FINAL | CLOSE, &[&code.to_be_bytes()[..], reason].concat())
}

/// A client that says exactly what it is told to.
struct Raw(TcpStream);

impl Raw {
    /// An open WebSocket.
    async fn open(gateway: &Gateway, path: &str) -> Self {
        let mut stream = connect(gateway.port()).await;
        let request = request(path, &valid());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{path}");
        Self(stream)
    }

    async fn say(&mut self, frames: &[Vec<u8>]) {
        // The gateway may have closed at the first of them.
        let _closed = self.0.write_all(&frames.concat()).await;
    }

    /// The next frame: its first byte and its payload. `None` at the end.
    async fn hear(&mut self) -> Option<(u8, Vec<u8>)> {
        let reading = async {
            let head = self.0.read_u8().await.ok()?;
            let length = match self.0.read_u8().await.ok()? {
                126 => self.0.read_u16().await.ok()?.into(),
                127 => self.0.read_u64().await.ok()?,
                length => u64::from(length),
            };
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut payload).await.ok()?;
            Some((head, payload))
        };
        timeout(DEADLINE, reading)
            .await
            .expect("the gateway says something")
    }

    /// The next control frame; what the protocol above says is passed over.
    async fn hear_control(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            match self.hear().await? {
                (head, _) if head & 0x0F < CLOSE => {}
                frame => return Some(frame),
            }
        }
    }

    /// The code with which the gateway closes; 0 for a close without one.
    async fn closed(&mut self) -> Option<u16> {
        loop {
            match self.hear_control().await? {
                (head, payload) if head == FINAL | CLOSE => {
                    let code = payload.first_chunk::<2>();
                    return Some(code.map_or(0, |code| u16::from_be_bytes(*code)));
                }
                _ => {}
            }
        }
    }
}

/// The headers of a valid request (section 4.1).
fn valid() -> Vec<(&'static str, &'static str)> {
    vec![
        ("Host", "example.com"),
        ("Connection", "keep-alive, Upgrade"),
        ("Upgrade", "WebSocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ]
}

fn request(path: &str, headers: &[(&str, &str)]) -> String {
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    format!("GET {path} HTTP/1.1\r\n{}\r\n", lines.collect::<String>())
}

/// The valid headers with one exchanged, or left out.
fn with(name: &str, value: Option<&'static str>) -> Vec<(&'static str, &'static str)> {
    let headers = valid().into_iter();
    let changed = headers.filter_map(|(other, old)| match other == name {
        true => value.map(|value| (other, value)),
        false => Some((other, old)),
    });
    changed.collect()
}

/// The whole answer to a request for `/ws` that gets no WebSocket.
async fn refused(gateway: &Gateway, request: String) -> String {
    let mut stream = connect(gateway.port()).await;
    let request = request.replace("keep-alive, ", "");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = timeout(DEADLINE, stream.read(&mut answer)).await;
    answer.truncate(read.expect("an answer").unwrap());
    // The first frame may come in the same packet.
    String::from_utf8_lossy(&answer).into_owned()
}

/// Says this on either path; the code with which each closes.
async fn closes(frames: &[Vec<u8>]) -> [Option<u16>; 2] {
    let gateway = shared_embedded().await;
    let mut codes = [None; 2];
    for (path, code) in PATHS.iter().zip(&mut codes) {
        let mut raw = Raw::open(gateway, path).await;
        raw.say(frames).await;
        *code = raw.closed().await;
    }
    codes
}

#[tokio::test]
async fn section_4_2_a_valid_handshake_is_answered_with_the_keys_proof() {
    let gateway = shared_embedded().await;
    for path in PATHS {
        let answer = refused(gateway, request(path, &valid())).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.contains(ACCEPT), "{answer}");
    }
}

#[tokio::test]
async fn section_4_2_1_a_handshake_that_lacks_something_is_refused_with_our_error() {
    let gateway = shared_embedded().await;
    let twice = [with("", None), vec![("Sec-WebSocket-Key", KEY)]].concat();
    let (version, key) = ("Sec-WebSocket-Version", "Sec-WebSocket-Key");
    let (upgrade, invalid, host) = ("upgrade_required", "invalid_request", "invalid_host");
    for (headers, status, code) in [
        (with("Connection", None), 426, upgrade),
        (with("Upgrade", Some("h2c")), 426, upgrade),
        (with(version, None), 426, upgrade),
        (with(key, None), 400, invalid),
        (with(key, Some("")), 400, invalid),
        (with(key, Some("c2hvcnQ=")), 400, invalid),
        (with(key, Some("dGhlIHNhbXBsZSBub25jZQ")), 400, invalid),
        (with(key, Some("!!!! no base64 !!!!!!!!!")), 400, invalid),
        (twice, 400, invalid),
        (with("Host", None), 400, host),
        (with("Host", Some("two words")), 400, host),
    ] {
        let answer = refused(gateway, request("/ws", &headers)).await;
        let (head, body) = (format!("HTTP/1.1 {status} "), format!(r#""code":"{code}""#));
        assert!(answer.starts_with(&head), "{headers:?} {answer}");
        assert!(answer.contains(&body), "{headers:?} {answer}");
    }
}

#[tokio::test]
async fn section_4_4_another_version_is_told_which_there_is() {
    let gateway = shared_embedded().await;
    for version in ["8", "14", "x"] {
        let headers = with("Sec-WebSocket-Version", Some(version));
        let answer = refused(gateway, request("/ws", &headers)).await;
        assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
        assert!(answer.contains("sec-websocket-version: 13\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn section_5_1_a_frame_without_a_mask_is_a_protocol_error() {
    let unmasked = vec![FINAL | TEXT, 2, b'{', b'}'];
    assert_eq!(closes(&[unmasked]).await, [Some(1002); 2]);
}

#[tokio::test]
async fn section_5_2_reserved_bits_and_opcodes_are_protocol_errors() {
    for bits in [0x40, 0x20, 0x10] {
        let reserved = frame(FINAL | bits | TEXT, b"4{}");
        assert_eq!(closes(&[reserved]).await, [Some(1002); 2], "{bits:x}");
    }
    for opcode in [0x3, 0x7, 0xB, 0xF] {
        let unknown = frame(FINAL | opcode, b"");
        assert_eq!(closes(&[unknown]).await, [Some(1002); 2], "{opcode:x}");
    }
}

#[tokio::test]
async fn section_5_4_fragments_are_put_together_and_may_have_control_frames_between_them() {
    let gateway = shared_embedded().await;
    let mut raw = Raw::open(gateway, "/ws").await;
    raw.say(&[
        frame(TEXT, br#"{"type":"hello","#),
        frame(FINAL | PING, b"between"),
        frame(CONTINUATION, b""),
        frame(FINAL | CONTINUATION, br#""token":"none"}"#),
    ])
    .await;
    assert_eq!(raw.hear().await, Some((FINAL | PONG, b"between".to_vec())));
    let (_, answer) = raw.hear().await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains(r#""code":"token_invalid""#), "{answer}");
}

#[tokio::test]
async fn section_5_4_fragments_in_no_order_are_protocol_errors() {
    let lonely = [frame(FINAL | CONTINUATION, b"x")];
    assert_eq!(closes(&lonely).await, [Some(1002); 2]);
    let nested = [frame(TEXT, b"{"), frame(FINAL | TEXT, b"}")];
    assert_eq!(closes(&nested).await, [Some(1002); 2]);
}

#[tokio::test]
async fn section_5_5_control_frames_are_short_and_whole() {
    for opcode in [CLOSE, PING, PONG] {
        let long = frame(FINAL | opcode, &[b'a'; 126]);
        assert_eq!(closes(&[long]).await, [Some(1002); 2], "{opcode:x}");
        let torn = frame(opcode, b"");
        assert_eq!(closes(&[torn]).await, [Some(1002); 2], "{opcode:x}");
    }
}

#[tokio::test]
async fn section_5_5_1_a_close_is_answered_with_its_code() {
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ] {
        assert_eq!(closes(&[close(code, b"")]).await, [Some(code); 2]);
    }
    let goodbye = close(1000, "grüß".as_bytes());
    assert_eq!(closes(&[goodbye]).await, [Some(1000); 2]);
    assert_eq!(closes(&[frame(FINAL | CLOSE, b"")]).await, [Some(0); 2]);
}

#[tokio::test]
async fn section_7_4_a_close_of_the_wrong_form_is_a_protocol_error() {
    // One byte is no code (Autobahn 7.3.2), and a long reason no control frame (7.3.6).
    assert_eq!(closes(&[frame(FINAL | CLOSE, b"x")]).await, [Some(1002); 2]);
    assert_eq!(closes(&[close(1000, &[b'r'; 124])]).await, [Some(1002); 2]);
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ] {
        assert_eq!(closes(&[close(code, b"")]).await, [Some(1002); 2], "{code}");
    }
}

#[tokio::test]
async fn section_5_5_2_a_ping_is_answered_with_its_payload_and_a_pong_with_nothing() {
    let gateway = shared_embedded().await;
    for path in PATHS {
        let mut raw = Raw::open(gateway, path).await;
        for payload in [&b""[..], b"a", &[0xFF; 125]] {
            raw.say(&[
                frame(FINAL | PONG, b"unasked"),
                frame(FINAL | PING, payload),
            ])
            .await;
            let answer = raw.hear_control().await;
            assert_eq!(answer, Some((FINAL | PONG, payload.to_vec())), "{path}");
        }
    }
}

#[tokio::test]
async fn section_5_6_a_kind_of_data_that_is_not_taken_is_named() {
    let gateway = shared_embedded().await;
    let mut raw = Raw::open(gateway, "/ws").await;
    raw.say(&[frame(FINAL | BINARY, b"{}")]).await;
    assert_eq!(raw.closed().await, Some(1003));
}

#[tokio::test]
async fn section_8_1_text_that_is_not_utf_8_is_named() {
    for bytes in [
        &b"4\xFF"[..],
        b"4\xED\xA0\x80",
        b"4\xC0\xAF",
        b"4\xF4\x90\x80\x80",
    ] {
        assert_eq!(closes(&[frame(FINAL | TEXT, bytes)]).await, [Some(1007); 2]);
    }
    let torn = [frame(TEXT, b"4\xCE"), frame(FINAL | CONTINUATION, b"x")];
    assert_eq!(closes(&torn).await, [Some(1007); 2]);
    // In a close's reason as well (Autobahn 7.5.1).
    let reason = close(1000, b"\xCE\xBA\xED\xA0\x80");
    assert_eq!(closes(&[reason]).await, [Some(1007); 2]);
}

#[tokio::test]
async fn section_10_4_a_message_too_large_is_named_whole_or_in_fragments() {
    let whole = frame(FINAL | TEXT, &vec![b'4'; 200 * 1024]);
    assert_eq!(closes(&[whole]).await, [Some(1009); 2]);
    let part = vec![b'4'; 50 * 1024];
    let mut parts = vec![frame(TEXT, &part)];
    parts.extend((0..3).map(|_| frame(CONTINUATION, &part)));
    assert_eq!(closes(&parts).await, [Some(1009); 2]);
}
