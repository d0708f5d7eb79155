//! For `fuzz/`: reads texts as Socket.IO packets. Refuses to know what they are meant to be.

use super::super::outbox::Frame;
use super::args::{parse_args, parse_event};
use super::packet::Packet;

/// What is read and has arguments is written back and means the same; only such packets are ever written.
pub fn packet(text: &str) {
    let Ok(packet) = Packet::parse(text) else {
        return;
    };
    let _ = parse_event(packet.payload);
    if parse_args(packet.payload).is_none() {
        return;
    }
    let Frame::Text(written) = packet.encode() else {
        return;
    };
    // Behind Engine.IO's own digit.
    let again = Packet::parse(&written.as_str()[1..]);
    assert_eq!(
        again.as_ref(),
        Ok(&packet),
        "{text:?} was written as {written:?}"
    );
}
