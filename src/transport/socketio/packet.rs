//! Socket.IO packets as text: `<type>[<attachments>-][<namespace>,][<id>][payload]`. Knows neither sessions nor what
//! the payload means.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::transport::outbox::Frame;

/// The default namespace, which packets do not name.
pub(super) const ROOT: &str = "/";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PacketType {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
    BinaryEvent,
    BinaryAck,
}

impl PacketType {
    const fn parse(digit: u8) -> Option<Self> {
        match digit {
            b'0' => Some(Self::Connect),
            b'1' => Some(Self::Disconnect),
            b'2' => Some(Self::Event),
            b'3' => Some(Self::Ack),
            b'4' => Some(Self::ConnectError),
            b'5' => Some(Self::BinaryEvent),
            b'6' => Some(Self::BinaryAck),
            _ => None,
        }
    }

    const fn digit(self) -> char {
        match self {
            Self::Connect => '0',
            Self::Disconnect => '1',
            Self::Event => '2',
            Self::Ack => '3',
            Self::ConnectError => '4',
            Self::BinaryEvent => '5',
            Self::BinaryAck => '6',
        }
    }

    /// The kind of the same packet when attachments follow it.
    pub(super) const fn with_attachments(self) -> Self {
        match self {
            Self::Event => Self::BinaryEvent,
            Self::Ack => Self::BinaryAck,
            other => other,
        }
    }

    pub(super) const fn is_binary(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }
}

/// One packet, taken apart; the payload is JSON or empty, and not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) kind: PacketType,
    /// How many binary messages belong to it; 0 unless the kind is binary.
    pub(super) attachments: usize,
    pub(super) namespace: &'a str,
    pub(super) id: Option<u64>,
    pub(super) payload: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a Socket.IO packet")]
pub(super) struct InvalidPacket;

impl<'a> Packet<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, InvalidPacket> {
        let digit = text.bytes().next().ok_or(InvalidPacket)?;
        let kind = PacketType::parse(digit).ok_or(InvalidPacket)?;
        let (attachments, rest) = if kind.is_binary() {
            let (count, rest) = text[1..].split_once('-').ok_or(InvalidPacket)?;
            (parse_number(count)? as usize, rest)
        } else {
            (0, &text[1..])
        };
        let (namespace, rest) = split_namespace(rest);
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (id, payload) = rest.split_at(digits);
        Ok(Self {
            kind,
            attachments,
            namespace,
            id: (digits > 0).then(|| parse_number(id)).transpose()?,
            payload,
        })
    }

    /// The packet as an Engine.IO message.
    pub(super) fn encode(&self) -> Frame {
        let mut text = String::with_capacity(16 + self.namespace.len() + self.payload.len());
        text.push('4');
        text.push(self.kind.digit());
        // Writing to a String cannot fail.
        if self.kind.is_binary() {
            let _ = write!(text, "{}-", self.attachments);
        }
        if self.namespace != ROOT {
            let _ = write!(text, "{},", self.namespace);
        }
        if let Some(id) = self.id {
            let _ = write!(text, "{id}");
        }
        text.push_str(self.payload);
        Frame::from(text)
    }
}

fn split_namespace(text: &str) -> (&str, &str) {
    if text.starts_with('/') {
        text.split_once(',').unwrap_or((text, ""))
    } else {
        (ROOT, text)
    }
}

/// Digits only: `parse` alone would take a sign.
fn parse_number(digits: &str) -> Result<u64, InvalidPacket> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidPacket);
    }
    digits.parse().map_err(|_| InvalidPacket)
}

/// An event of the default namespace, encoded once for any number of sockets (`Socket::outbox`). Each argument
/// is one JSON value.
#[must_use]
pub fn encode_event(name: &str, args: &[&str]) -> Frame {
    encode_event_in(ROOT, name, args)
}

/// Like [`encode_event`], for another namespace.
fn encode_event_in(namespace: &str, name: &str, args: &[&str]) -> Frame {
    Packet {
        kind: PacketType::Event,
        attachments: 0,
        namespace,
        id: None,
        payload: &event_payload(name, args),
    }
    .encode()
}

/// The payload of an event: its name, then its arguments.
pub(super) fn event_payload(name: &str, args: &[&str]) -> String {
    let name = json_string(name);
    array(std::iter::once(name.as_ref()).chain(args.iter().copied()))
}

/// A JSON array of JSON values.
pub(super) fn array<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let mut payload = String::from("[");
    for (index, value) in values.enumerate() {
        if index > 0 {
            payload.push(',');
        }
        payload.push_str(value);
    }
    payload.push(']');
    payload
}

fn json_string(text: &str) -> Cow<'static, str> {
    // A string always has a JSON form.
    serde_json::to_string(text).map_or(Cow::Borrowed("\"\""), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(frame: &Frame) -> &str {
        match frame {
            Frame::Text(text) => text.as_str(),
            Frame::Binary(_) => panic!("a text frame"),
        }
    }

    #[test]
    fn the_examples_of_the_protocol_read_and_write() {
        for (encoded, kind, attachments, namespace, id, payload) in [
            ("0", PacketType::Connect, 0, "/", None, ""),
            (
                "0/admin,{\"sid\":\"a\"}",
                PacketType::Connect,
                0,
                "/admin",
                None,
                "{\"sid\":\"a\"}",
            ),
            ("1/admin,", PacketType::Disconnect, 0, "/admin", None, ""),
            ("2[\"foo\"]", PacketType::Event, 0, "/", None, "[\"foo\"]"),
            (
                "212[\"foo\"]",
                PacketType::Event,
                0,
                "/",
                Some(12),
                "[\"foo\"]",
            ),
            (
                "3/admin,13[\"bar\"]",
                PacketType::Ack,
                0,
                "/admin",
                Some(13),
                "[\"bar\"]",
            ),
            (
                "52-/admin,[\"baz\"]",
                PacketType::BinaryEvent,
                2,
                "/admin",
                None,
                "[\"baz\"]",
            ),
            (
                "61-15[\"bar\"]",
                PacketType::BinaryAck,
                1,
                "/",
                Some(15),
                "[\"bar\"]",
            ),
        ] {
            let packet = Packet {
                kind,
                attachments,
                namespace,
                id,
                payload,
            };
            assert_eq!(Packet::parse(encoded).as_ref(), Ok(&packet));
            assert_eq!(text(&packet.encode()), format!("4{encoded}"));
        }
        assert_eq!(Packet::parse("0/admin").unwrap().namespace, "/admin");
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        for invalid in [
            "",
            "abc",
            "7",
            "5[\"a\"]",
            "5-[\"a\"]",
            "5+1-[\"a\"]",
            "é",
            "299999999999999999999[]",
        ] {
            assert_eq!(Packet::parse(invalid), Err(InvalidPacket), "{invalid}");
        }
    }

    #[test]
    fn an_event_is_encoded_with_its_name_escaped() {
        let frame = encode_event("say \"hi\"", &["{\"a\":1}", "2"]);
        assert_eq!(text(&frame), r#"42["say \"hi\"",{"a":1},2]"#);
        assert_eq!(text(&encode_event_in("/b", "e", &[])), r#"42/b,["e"]"#);
    }

    proptest! {
        #[test]
        fn a_packet_reads_back(
            digit in b'0'..=b'6',
            attachments in 0_usize..100,
            namespace in "/[a-z/]{0,8}",
            id in any::<Option<u64>>(),
            payload in "(\\[.{0,20}\\])?",
        ) {
            let kind = PacketType::parse(digit).unwrap();
            let attachments = if kind.is_binary() { attachments } else { 0 };
            let packet = Packet { kind, attachments, namespace: &namespace, id, payload: &payload };
            let frame = packet.encode();
            prop_assert_eq!(Packet::parse(&text(&frame)[1..]), Ok(packet));
        }

        #[test]
        fn no_text_panics(any in any::<String>(), near in "[0-7]{0,3}-?/?[a-z,]{0,4}[0-9]{0,25}[\\[\\]{}\"é]{0,5}") {
            let _ = Packet::parse(&any);
            let _ = Packet::parse(&near);
        }
    }
}
