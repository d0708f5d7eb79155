//! Engine.IO packets: one digit for the type, then the data. Knows neither sessions nor transports.

use crate::transport::outbox::Frame;

/// The open packet's digit.
const OPEN: char = '0';
/// The heartbeat's question, from the server.
pub(super) const PING: &str = "2";
/// Ends a pending poll without saying anything.
pub(super) const NOOP: &str = "6";
/// What a client asks on a new WebSocket before it upgrades to it.
pub(super) const PROBE: &str = "2probe";
/// The answer to [`PROBE`].
pub(super) const PROBE_ANSWER: &str = "3probe";

/// What a client may say in a text packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EnginePacket<'a> {
    /// The client ends the session.
    Close,
    /// A question; answered with a pong that carries the same data.
    Ping(&'a str),
    /// The answer to the server's ping.
    Pong,
    /// Data for the application.
    Message(&'a str),
    /// The WebSocket is to be used from now on.
    Upgrade,
    /// Says nothing; ends a poll.
    Noop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Engine.IO packet")]
pub(super) struct InvalidEnginePacket;

impl<'a> EnginePacket<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, InvalidEnginePacket> {
        let (Some(digit), Some(data)) = (text.as_bytes().first(), text.get(1..)) else {
            return Err(InvalidEnginePacket);
        };
        match digit {
            b'1' => Ok(Self::Close),
            b'2' => Ok(Self::Ping(data)),
            b'3' => Ok(Self::Pong),
            b'4' => Ok(Self::Message(data)),
            b'5' => Ok(Self::Upgrade),
            b'6' => Ok(Self::Noop),
            _ => Err(InvalidEnginePacket),
        }
    }
}

/// A message packet as a text frame. Binary messages need no packet: they are binary frames.
#[must_use]
pub fn text_message(data: &str) -> Frame {
    let mut packet = String::with_capacity(1 + data.len());
    packet.push('4');
    packet.push_str(data);
    Frame::from(packet)
}

/// The open packet: the handshake's answer.
pub(super) fn open(handshake: &str) -> String {
    format!("{OPEN}{handshake}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_types_a_client_may_send_are_packets() {
        assert_eq!(
            EnginePacket::parse("4hello"),
            Ok(EnginePacket::Message("hello"))
        );
        assert_eq!(
            EnginePacket::parse("2probe"),
            Ok(EnginePacket::Ping("probe"))
        );
        for invalid in ["", "abc", "0{}", "7", "é"] {
            assert_eq!(EnginePacket::parse(invalid), Err(InvalidEnginePacket));
        }
    }

    proptest! {
        #[test]
        fn a_message_reads_back_and_nothing_panics(data in any::<String>()) {
            let Frame::Text(packet) = text_message(&data) else {
                panic!("a text frame");
            };
            prop_assert_eq!(EnginePacket::parse(packet.as_str()), Ok(EnginePacket::Message(&data)));
            let _ = EnginePacket::parse(&data);
        }
    }
}
