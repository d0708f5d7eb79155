//! What gateways send each other: a small binary header before JSON that is ready for the wire, so that a receiving
//! gateway forwards bytes without parsing JSON. Knows no bus.
//!
//! Layout, integers big endian: version (1 byte), kind (1 byte), then by kind. An id is its 12 bytes; a conversation is
//! a tag (0 room, 1 direct) and one or two ids. Another version or kind is skipped: gateways of two releases run side by
//! side during a rolling upgrade. An event whose effect has `EXTENDED` set says more before its JSON: a length (1
//! byte) and that many bytes, of which a reader takes what it knows and skips the rest.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::offer::{Effect, Encoded, Offer};
use crate::domain::{ConversationId, EventId, GatewayId, Seq, Timestamp, UserId};
use crate::traces::{TraceContext, Traced};
use crate::wire::EventName;
pub use delegation::{DelegationAnswer, DelegationRequest, encode_answer, encode_request};
use fields::{
    ID_BYTES, VERSION, header, put_conversation, put_trace, take_conversation, take_id, take_trace,
    take_user,
};

mod delegation;
mod fields;

/// Added to an effect's tag: an extension follows.
const EXTENDED: u8 = 0x80;

/// Written where earlier builds say whose request an event was, which no build has ever asked. The 8 bytes keep their
/// place: gateways of two builds run side by side during an upgrade.
const NO_SESSION: u64 = 0;

/// When the event was accepted, in milliseconds since 1970: the first part of an extension.
const AT_BYTES: usize = 8;

/// With where its trace is (the second part), the gateway that has written the event, and the event's id.
const EXTENSION_BYTES: usize = AT_BYTES + TraceContext::BYTES + size_of::<u64>() + ID_BYTES;

/// What one payload of the bus says.
#[derive(Debug)]
pub enum Envelope {
    /// An event of a conversation's log.
    Event(Offer),
    /// The channel's user became a member of this conversation.
    Joined(ConversationId),
    /// Something for whoever is there, neither stored nor replayed.
    Passing(Passing),
    /// The channel's user came or went.
    Presence(PresenceChange),
    /// A log reaches at least to here (D10).
    Head(ConversationId, Seq),
    /// Payloads of another gateway are lost: the channel's gateway is to look for itself (D10).
    Gap,
    /// Another gateway delegates messages to the channel's (D38).
    Delegated(DelegationRequest),
    /// What became of messages that the channel's gateway has delegated.
    Settled(DelegationAnswer),
}

/// Something for those sessions of a conversation that are there: typing, receipts.
#[derive(Debug)]
pub struct Passing {
    /// Whose sessions are told.
    pub conversation: ConversationId,
    /// Whose doing it is; their own sessions do not get it. None: it tells of several.
    pub from: Option<UserId>,
    /// What they are told.
    pub encoded: Encoded,
}

/// A user came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceChange {
    /// Who came or went.
    pub user: UserId,
    /// Online from now on, or offline.
    pub online: bool,
    /// When they did, by the clock of their gateway.
    pub at: Timestamp,
}

impl Envelope {
    /// Reads a payload; `None` when it is of another version or damaged.
    #[must_use]
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        let kind = bytes.try_get_u8().ok()?;
        match kind {
            1 => decode_event(bytes).map(Self::Event),
            2 => take_conversation(&mut bytes).map(Self::Joined),
            3 => decode_passing(bytes).map(Self::Passing),
            4 => decode_presence(bytes).map(Self::Presence),
            5 => decode_head(bytes),
            6 => Some(Self::Gap),
            9 => delegation::decode_request(bytes).map(Self::Delegated),
            8 => delegation::decode_answer(bytes).map(Self::Settled),
            _ => None,
        }
    }
}

/// An event's payload, written by this gateway.
#[must_use]
pub fn encode_event(offer: &Offer, writer: GatewayId) -> Bytes {
    let encoded = offer.encoded.as_ref();
    let json = encoded.map_or(&[][..], |encoded| &encoded.json);
    let mut out = header(1, 96 + json.len());
    put_name(&mut out, encoded.map(|encoded| encoded.name));
    put_conversation(&mut out, offer.conversation);
    out.put_u64(offer.seq.get());
    out.put_u64(NO_SESSION);
    let extension = offer.at.zip(offer.id);
    put_effect(&mut out, offer.effect, extension.is_some());
    if let Some((at, id)) = extension {
        out.put_u8(u8::try_from(EXTENSION_BYTES).unwrap_or(u8::MAX));
        out.put_i64(at.millis());
        put_trace(&mut out, offer.traced.map(|traced| traced.context));
        out.put_u64(writer.to_u64());
        out.put_slice(&id.to_bytes());
    }
    out.put_slice(json);
    out.freeze()
}

/// The payload that tells a user's gateways of a new membership.
#[must_use]
pub fn encode_joined(conversation: ConversationId) -> Bytes {
    let mut out = header(2, 32);
    put_conversation(&mut out, conversation);
    out.freeze()
}

/// A passing object's payload.
#[must_use]
pub fn encode_passing(passing: &Passing) -> Bytes {
    let mut out = header(3, 48 + passing.encoded.json.len());
    put_name(&mut out, Some(passing.encoded.name));
    put_conversation(&mut out, passing.conversation);
    out.put_u8(u8::from(passing.from.is_some()));
    passing
        .from
        .into_iter()
        .for_each(|user| out.put_slice(&user.to_bytes()));
    out.put_slice(&passing.encoded.json);
    out.freeze()
}

/// The payload that tells watchers of a user's coming or going.
#[must_use]
pub fn encode_presence(change: PresenceChange) -> Bytes {
    let mut out = header(4, 32);
    out.put_slice(&change.user.to_bytes());
    out.put_u8(u8::from(change.online));
    out.put_i64(change.at.millis());
    out.freeze()
}

/// The payload that says how far a log reaches.
#[must_use]
pub fn encode_head(conversation: ConversationId, seq: Seq) -> Bytes {
    let mut out = header(5, 40);
    put_conversation(&mut out, conversation);
    out.put_u64(seq.get());
    out.freeze()
}

/// The payload of [`Envelope::Gap`].
#[must_use]
pub fn encode_gap() -> Bytes {
    header(6, 0).freeze()
}

fn decode_event(mut bytes: Bytes) -> Option<Offer> {
    let name = take_name(&mut bytes)?;
    let conversation = take_conversation(&mut bytes)?;
    let seq = Seq::new(bytes.try_get_u64().ok()?);
    bytes.try_get_u64().ok()?;
    let is_extended = bytes.first()? & EXTENDED != 0;
    let effect = take_effect(&mut bytes)?;
    let extension = match is_extended {
        true => take_extension(&mut bytes)?,
        false => Extension::default(),
    };
    Some(Offer {
        conversation,
        seq,
        at: extension.at,
        effect,
        id: extension.id,
        writer: extension.writer,
        traced: extension.trace.map(Traced::now),
        encoded: name.map(|name| Encoded::new(name, bytes)),
    })
}

/// What an event says besides.
#[derive(Default)]
struct Extension {
    at: Option<Timestamp>,
    trace: Option<TraceContext>,
    writer: Option<GatewayId>,
    id: Option<EventId>,
}

/// What is longer than expected is another release's, and so is what is shorter.
fn take_extension(bytes: &mut Bytes) -> Option<Extension> {
    let length = usize::from(bytes.try_get_u8().ok()?);
    let mut extension = (length <= bytes.len()).then(|| bytes.split_to(length))?;
    let at = extension.try_get_i64().ok().map(Timestamp::from_millis);
    let trace = take_trace(&mut extension).flatten();
    let writer = extension.try_get_u64().ok().map(GatewayId::from_u64);
    let id = take_id(&mut extension).map(EventId::from_bytes);
    Some(Extension {
        at,
        trace,
        writer,
        id,
    })
}

fn decode_passing(mut bytes: Bytes) -> Option<Passing> {
    let name = take_name(&mut bytes)??;
    let conversation = take_conversation(&mut bytes)?;
    let from = match bytes.try_get_u8().ok()? {
        0 => None,
        _ => Some(take_user(&mut bytes)?),
    };
    Some(Passing {
        conversation,
        from,
        encoded: Encoded::new(name, bytes),
    })
}

fn decode_presence(mut bytes: Bytes) -> Option<PresenceChange> {
    let user = take_user(&mut bytes)?;
    let online = bytes.try_get_u8().ok()? != 0;
    let at = Timestamp::from_millis(bytes.try_get_i64().ok()?);
    Some(PresenceChange { user, online, at })
}

fn decode_head(mut bytes: Bytes) -> Option<Envelope> {
    let conversation = take_conversation(&mut bytes)?;
    let seq = Seq::new(bytes.try_get_u64().ok()?);
    Some(Envelope::Head(conversation, seq))
}

/// Writes a name's number, or one that no name has.
fn put_name(out: &mut BytesMut, name: Option<EventName>) {
    out.put_u8(name.map_or(u8::MAX, EventName::number));
}

/// The name; the inner none when there is none, or it is another release's.
fn take_name(bytes: &mut Bytes) -> Option<Option<EventName>> {
    Some(EventName::numbered(bytes.try_get_u8().ok()?))
}

fn put_effect(out: &mut BytesMut, effect: Effect, is_extended: bool) {
    let (tag, user) = match effect {
        Effect::None => (0, None),
        Effect::Roles => (1, None),
        Effect::Added(user) => (2, Some(user)),
        Effect::Removed(user) => (3, Some(user)),
        Effect::Closed => (4, None),
    };
    out.put_u8(if is_extended { tag | EXTENDED } else { tag });
    user.into_iter()
        .for_each(|user| out.put_slice(&user.to_bytes()));
}

fn take_effect(bytes: &mut Bytes) -> Option<Effect> {
    match bytes.try_get_u8().ok()? & !EXTENDED {
        0 => Some(Effect::None),
        1 => Some(Effect::Roles),
        2 => take_user(bytes).map(Effect::Added),
        3 => take_user(bytes).map(Effect::Removed),
        4 => Some(Effect::Closed),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
