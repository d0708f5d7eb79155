//! What `fuzz/` feeds with bytes: every decoder of what strangers send. There only in a fuzzer's build; decides what must
//! hold of whatever was read, and refuses to know what it was meant to be.

use bytes::Bytes;

use crate::auth::bearer;
use crate::domain::{
    ClientMessageId, Content, ConversationId, Emoji, Network, RoomName, UserId, Username,
};
use crate::fanout::envelope::Envelope;
use crate::gateway::{native, requests};
use crate::redis::RedisAddress;
use crate::traces::TraceContext;
use crate::transport::{engineio, socketio};

/// The longest content tried, in bytes.
const CONTENT: usize = 16 * 1024;

/// A body of long-polling.
pub fn engineio(bytes: &[u8]) {
    with_text(bytes, engineio::fuzzing::payload);
}

/// A Socket.IO packet.
pub fn socketio(bytes: &[u8]) {
    with_text(bytes, socketio::fuzzing::packet);
}

/// A frame of `/ws`, and a request's parameters on either protocol.
pub fn native(bytes: &[u8]) {
    with_text(bytes, native::fuzzing::frame);
    with_text(bytes, requests::fuzzing::params);
}

/// A payload of the bus.
pub fn envelope(bytes: &[u8]) {
    let _ = Envelope::decode(Bytes::copy_from_slice(bytes));
}

/// Texts that become values: what was taken once is taken again, as the same.
pub fn text(bytes: &[u8]) {
    with_text(bytes, |text| {
        if let Ok(name) = Username::parse(text) {
            assert_eq!(Username::parse(name.as_str()).as_ref(), Ok(&name));
            assert_eq!(Username::fold(&name.folded()), name.folded());
        }
        if let Ok(name) = RoomName::parse(text) {
            assert_eq!(RoomName::parse(name.as_str()).as_ref(), Ok(&name));
        }
        if let Ok(content) = Content::parse(text, CONTENT) {
            assert!(content.as_str().len() <= CONTENT);
        }
        if let Ok(emoji) = Emoji::parse(text) {
            assert_eq!(Emoji::parse(emoji.as_str()).as_ref(), Ok(&emoji));
        }
        let _ = (
            ClientMessageId::parse(text),
            bearer(text),
            text.parse::<Network>(),
        );
        let _ = (TraceContext::parse(text), RedisAddress::parse(text));
        if let Ok(id) = text.parse::<UserId>() {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        if let Ok(id) = text.parse::<ConversationId>() {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    });
}

fn with_text(bytes: &[u8], read: impl Fn(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        read(text);
    }
}
