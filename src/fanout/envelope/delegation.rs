//! Messages that one gateway delegates to another, and what became of them.
//!
//! A request: its number (8 bytes), the gateway that asks (8), the conversation, then one message after the other: event
//! id (12), sender (12), when it was accepted (8), the length of its clientMessageId (2) and that, the length of its
//! content (4) and that, and where its trace is (25, zero when it is not traced). An answer: the request's number, then
//! 9 bytes for each message that was taken: a tag, and the place it is stored at.

use bytes::{Buf, BufMut, Bytes};

use super::fields::{
    header, put_conversation, put_trace, take_conversation, take_id, take_trace, take_user,
};
use crate::commit::{CommitError, Delegated, Settled};
use crate::domain::{
    ClientMessageId, Content, ConversationId, EventId, Fingerprint, GatewayId, Refusal, Seq,
    Timestamp,
};
use crate::store::{NewMessage, Run};
use crate::traces::TraceContext;

/// What a message takes besides its texts, in bytes.
const FIXED: usize = 46 + TraceContext::BYTES;

/// Messages for another gateway to commit.
#[derive(Debug)]
pub struct Request {
    /// Which of its sender's it is.
    pub number: u64,
    /// The gateway that asks, and is to be answered.
    pub from: GatewayId,
    /// The log.
    pub conversation: ConversationId,
    /// The messages, at most [`Run::LIMIT`].
    pub messages: Vec<Delegated>,
}

/// What became of them.
#[derive(Debug)]
pub struct Answer {
    /// Which request it answers.
    pub number: u64,
    /// Of the first ones, in order; those after were not taken.
    pub settled: Vec<Settled>,
}

/// A request's payload.
#[must_use]
pub fn encode_request(
    number: u64,
    from: GatewayId,
    conversation: ConversationId,
    messages: &[Delegated],
) -> Bytes {
    let texts = messages.iter().map(|Delegated { message, .. }| {
        FIXED + message.client_message_id.as_str().len() + message.content.as_str().len()
    });
    let mut out = header(7, 48 + texts.sum::<usize>());
    out.put_u64(number);
    out.put_u64(from.to_u64());
    put_conversation(&mut out, conversation);
    for Delegated { message, trace } in messages {
        let (own_id, content) = (message.client_message_id.as_str(), message.content.as_str());
        out.put_slice(&message.id.to_bytes());
        out.put_slice(&message.sender.to_bytes());
        out.put_i64(message.at.millis());
        // Both are far shorter: 128 bytes, and what the setting content_bytes allows.
        out.put_u16(u16::try_from(own_id.len()).unwrap_or(u16::MAX));
        out.put_slice(own_id.as_bytes());
        out.put_u32(u32::try_from(content.len()).unwrap_or(u32::MAX));
        out.put_slice(content.as_bytes());
        put_trace(&mut out, *trace);
    }
    out.freeze()
}

/// An answer's payload.
#[must_use]
pub fn encode_answer(answer: &Answer) -> Bytes {
    let mut out = header(8, 8 + 9 * answer.settled.len());
    out.put_u64(answer.number);
    for settled in &answer.settled {
        let (tag, seq) = match settled {
            Settled::Stored(seq) => (0, *seq),
            Settled::Before => (1, Seq::ZERO),
            Settled::Failed(CommitError::Refused(Refusal::NotAMember)) => (2, Seq::ZERO),
            Settled::Failed(CommitError::ClientMessageIdReused) => (3, Seq::ZERO),
            Settled::Failed(CommitError::Internal) => (4, Seq::ZERO),
            // Nothing else is refused to a message for good.
            Settled::Failed(_) => (u8::MAX, Seq::ZERO),
        };
        out.put_u8(tag);
        out.put_u64(seq.get());
    }
    out.freeze()
}

pub(super) fn decode_request(mut bytes: Bytes) -> Option<Request> {
    let number = bytes.try_get_u64().ok()?;
    let from = GatewayId::from_u64(bytes.try_get_u64().ok()?);
    let conversation = take_conversation(&mut bytes)?;
    let mut messages = Vec::new();
    while bytes.has_remaining() {
        messages.push(take_message(&mut bytes)?);
        if messages.len() > Run::LIMIT {
            return None;
        }
    }
    Some(Request {
        number,
        from,
        conversation,
        messages,
    })
}

fn take_message(bytes: &mut Bytes) -> Option<Delegated> {
    let id = EventId::from_bytes(take_id(bytes)?);
    let sender = take_user(bytes)?;
    let at = Timestamp::from_millis(bytes.try_get_i64().ok()?);
    let length = usize::from(bytes.try_get_u16().ok()?);
    let client_message_id = ClientMessageId::parse(&take_text(bytes, length)?).ok()?;
    let length = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
    // How long it may be is decided where it was received.
    let content = Content::parse(&take_text(bytes, length)?, usize::MAX).ok()?;
    let trace = take_trace(bytes)?;
    let message = NewMessage {
        id,
        sender,
        at,
        client_message_id,
        fingerprint: Fingerprint::of(&content),
        content,
    };
    Some(Delegated { message, trace })
}

fn take_text(bytes: &mut Bytes, length: usize) -> Option<String> {
    let text = (length <= bytes.len()).then(|| bytes.split_to(length))?;
    String::from_utf8(text.into()).ok()
}

pub(super) fn decode_answer(mut bytes: Bytes) -> Option<Answer> {
    let number = bytes.try_get_u64().ok()?;
    let mut settled = Vec::new();
    while bytes.has_remaining() {
        let tag = bytes.try_get_u8().ok()?;
        let seq = Seq::new(bytes.try_get_u64().ok()?);
        settled.push(match tag {
            0 => Settled::Stored(seq),
            1 => Settled::Before,
            2 => Settled::Failed(CommitError::Refused(Refusal::NotAMember)),
            3 => Settled::Failed(CommitError::ClientMessageIdReused),
            4 => Settled::Failed(CommitError::Internal),
            // Whatever it is, it is no answer.
            _ => return None,
        });
    }
    Some(Answer { number, settled })
}
