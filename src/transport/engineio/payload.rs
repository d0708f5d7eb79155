//! Payloads of long-polling: packets joined by a record separator, binary ones in base64. Knows no session.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::packet::{EnginePacket, InvalidEnginePacket};
use crate::transport::outbox::Frame;

const SEPARATOR: char = '\x1e';
const BINARY: char = 'b';

/// One packet of a request's body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PayloadPart<'a> {
    Text(EnginePacket<'a>),
    Binary(Vec<u8>),
}

/// Why a part of a body is no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartError {
    /// Longer than a frame may be.
    TooLarge,
    /// It is no Engine.IO packet.
    Invalid(InvalidEnginePacket),
}

/// The packets of a body, each at most `most` bytes long, decoded one at a time, so that a body of many tiny packets costs
/// no more than its bytes.
pub(super) fn decode(
    body: &str,
    most: usize,
) -> impl Iterator<Item = Result<PayloadPart<'_>, PartError>> {
    body.split(SEPARATOR).map(move |text| part(text, most))
}

fn part(text: &str, most: usize) -> Result<PayloadPart<'_>, PartError> {
    let (part, length) = match text.strip_prefix(BINARY) {
        Some(encoded) => {
            let bytes = STANDARD.decode(encoded);
            let bytes = bytes.map_err(|_| PartError::Invalid(InvalidEnginePacket))?;
            let length = bytes.len();
            (PayloadPart::Binary(bytes), length)
        }
        None => {
            let packet = EnginePacket::parse(text).map_err(PartError::Invalid)?;
            (PayloadPart::Text(packet), text.len())
        }
    };
    if length > most {
        return Err(PartError::TooLarge);
    }
    Ok(part)
}

/// A response body under construction.
#[derive(Debug, Default)]
pub(super) struct Payload(String);

impl Payload {
    pub(super) fn frame(&mut self, frame: &Frame) {
        match frame {
            Frame::Text(packet) => self.packet(packet.as_str()),
            Frame::Binary(bytes) => {
                self.separate();
                self.0.push(BINARY);
                STANDARD.encode_string(bytes, &mut self.0);
            }
        }
    }

    pub(super) fn packet(&mut self, packet: &str) {
        self.separate();
        self.0.push_str(packet);
    }

    fn separate(&mut self) {
        if !self.0.is_empty() {
            self.0.push(SEPARATOR);
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_body(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transport::engineio::packet::text_message;

    #[test]
    fn text_and_binary_packets_are_separated() {
        let parts: Result<Vec<_>, _> = decode("4hello\x1ebAQIDBA==", 100).collect();
        let expected = vec![
            PayloadPart::Text(EnginePacket::Message("hello")),
            PayloadPart::Binary(vec![1, 2, 3, 4]),
        ];
        assert_eq!(parts, Ok(expected));
        assert!(decode("", 100).all(|part| part.is_err()));
        assert!(decode("b!", 100).all(|part| part.is_err()));
        let parts: Vec<_> = decode("4hello\x1ebAQIDBA==\x1e4hi", 3).collect();
        assert_eq!(
            parts,
            [
                Err(PartError::TooLarge),
                Err(PartError::TooLarge),
                Ok(PayloadPart::Text(EnginePacket::Message("hi"))),
            ]
        );
    }

    proptest! {
        #[test]
        fn a_payload_reads_back(messages in prop::collection::vec(
            prop_oneof![
                "[^\x1e]{0,20}".prop_map(|text| text_message(&text)),
                prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Frame::Binary(bytes.into())),
            ],
            1..8,
        )) {
            let mut payload = Payload::default();
            messages.iter().for_each(|frame| payload.frame(frame));
            let body = payload.into_body();
            let read: Vec<Frame> = decode(&body, usize::MAX)
                .map(|part| match part {
                    Ok(PayloadPart::Text(EnginePacket::Message(text))) => text_message(text),
                    Ok(PayloadPart::Binary(bytes)) => Frame::Binary(bytes.into()),
                    other => panic!("{other:?}"),
                })
                .collect();
            prop_assert_eq!(read, messages);
        }

        #[test]
        fn no_body_panics(body in "[0-9b\x1ea-zA-Z+/=é]{0,40}") {
            decode(&body, usize::MAX).for_each(drop);
        }
    }
}
