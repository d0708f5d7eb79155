//! Frames as the server writes them: whole and unmasked (RFC 6455, section 5.2). Knows no connection.

use super::super::outbox::{Batch, Frame};
use super::ping::Ping;

const FINAL: u8 = 0x80;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const PING: u8 = 0x9;

/// Appends what a batch holds.
pub(super) fn encode_batch(out: &mut Vec<u8>, batch: &Batch, ping: &Ping) {
    for frame in &batch.frames {
        match frame {
            Frame::Text(text) => encode(out, TEXT, text.as_bytes()),
            Frame::Binary(bytes) => encode(out, BINARY, bytes),
        }
    }
    if batch.ping {
        match ping {
            Ping::Text(text) => encode(out, TEXT, text.as_bytes()),
            Ping::Numbered(count) => encode(out, PING, &count.next()),
        }
    }
}

fn encode(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(FINAL | opcode);
    let length = payload.len();
    if let Ok(short) = u8::try_from(length)
        && short < 126
    {
        out.push(short);
    } else if let Ok(medium) = u16::try_from(length) {
        out.push(126);
        out.extend_from_slice(&medium.to_be_bytes());
    } else {
        out.push(127);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use tungstenite::Message;
    use tungstenite::protocol::{Role, WebSocketContext};

    use super::*;

    #[test]
    fn a_client_reads_back_every_length() {
        let lengths = [0, 1, 125, 126, 127, 0xFFFF, 0x1_0000];
        let frames = lengths.map(|length| Frame::from("x".repeat(length)));
        let batch = Batch {
            frames: frames.into(),
            ping: true,
        };
        let mut out = Vec::new();
        encode_batch(&mut out, &batch, &Ping::Numbered(std::sync::Arc::default()));
        let mut client = WebSocketContext::new(Role::Client, None);
        let mut stream = Cursor::new(out);
        for length in lengths {
            let text = client.read(&mut stream).unwrap();
            assert_eq!(text, Message::text("x".repeat(length)));
        }
        let number = 1_u64.to_be_bytes().to_vec();
        assert_eq!(
            client.read(&mut stream).unwrap(),
            Message::Ping(number.into())
        );
    }
}
