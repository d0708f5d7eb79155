//! Messages and changes that one gateway delegates to another, and what became of them.
//!
//! A request: its number (8 bytes), the gateway that asks (8), the conversation, then one entry after the other: event id
//! (12), sender (12), when it was accepted (8), what it is (1) and its fields, and where its trace is (25, zero when it is
//! not traced). A text is its length (4) and that. An answer: the request's number, then 9 bytes for each entry that was
//! taken: a tag, and the place it is stored at.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::fields::{
    header, put_conversation, put_trace, take_conversation, take_id, take_trace, take_user,
};
use crate::commit::{CommitError, Delegated, Entry, Settled};
use crate::domain::{
    Change, ChangeKind, ClientMessageId, Content, ConversationId, Emoji, EventId, Fingerprint,
    GatewayId, Refusal, Role, RoomName, Seq, Timestamp, UserId,
};
use crate::store::{NewMessage, Run};
use crate::traces::TraceContext;

/// What an entry takes besides its texts, in bytes, at most.
const FIXED: usize = 58 + TraceContext::BYTES;

/// What another gateway is to commit.
#[derive(Debug)]
pub struct DelegationRequest {
    /// Counts the requests of the gateway that asks, so that answers find theirs.
    pub number: u64,
    /// The gateway that asks, and is to be answered.
    pub from: GatewayId,
    /// The conversation whose log is written to.
    pub conversation: ConversationId,
    /// The entries, at most [`Run::LIMIT`].
    pub entries: Vec<Delegated>,
}

/// What became of a request's entries.
#[derive(Debug)]
pub struct DelegationAnswer {
    /// Which request it answers.
    pub number: u64,
    /// The outcomes of the request's first entries, in order; those after them were not taken.
    pub settled: Vec<Settled>,
}

/// A request's payload.
#[must_use]
pub fn encode_request(
    number: u64,
    from: GatewayId,
    conversation: ConversationId,
    entries: &[Delegated],
) -> Bytes {
    let sizes = entries.iter().map(|Delegated { entry, .. }| match entry {
        Entry::Message(message) => message.client_message_id.as_str().len() + entry.bytes(),
        Entry::Change(_) => RoomName::LIMIT + entry.bytes(),
    });
    let mut out = header(9, 48 + FIXED * entries.len() + sizes.sum::<usize>());
    out.put_u64(number);
    out.put_u64(from.to_u64());
    put_conversation(&mut out, conversation);
    for Delegated { entry, trace } in entries {
        match entry {
            Entry::Message(message) => put_message(&mut out, message),
            Entry::Change(change) => put_change(&mut out, change),
        }
        put_trace(&mut out, *trace);
    }
    out.freeze()
}

fn put_head(out: &mut BytesMut, (id, sender, at): (EventId, UserId, Timestamp), tag: u8) {
    out.put_slice(&id.to_bytes());
    out.put_slice(&sender.to_bytes());
    out.put_i64(at.millis());
    out.put_u8(tag);
}

fn put_text(out: &mut BytesMut, text: &str) {
    // All are far shorter: the longest is what the setting content_bytes allows.
    out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    out.put_slice(text.as_bytes());
}

fn put_message(out: &mut BytesMut, message: &NewMessage) {
    put_head(out, (message.id, message.sender, message.at), 0);
    put_text(out, message.client_message_id.as_str());
    put_text(out, message.content.as_str());
}

fn put_change(out: &mut BytesMut, change: &Change) {
    let head = (change.id, change.actor, change.at);
    match &change.kind {
        ChangeKind::AddMember { user, role } => {
            put_head(out, head, 1);
            out.put_slice(&user.to_bytes());
            put_text(out, role.as_str());
        }
        ChangeKind::RemoveMember { user } => {
            put_head(out, head, 2);
            out.put_slice(&user.to_bytes());
        }
        ChangeKind::ChangeRole { user, role } => {
            put_head(out, head, 3);
            out.put_slice(&user.to_bytes());
            put_text(out, role.as_str());
        }
        ChangeKind::Rename { name } => {
            put_head(out, head, 4);
            put_text(out, name.as_str());
        }
        ChangeKind::DeleteRoom => put_head(out, head, 5),
        ChangeKind::Edit { target, content } => {
            put_head(out, head, 6);
            out.put_u64(target.get());
            put_text(out, content.as_str());
        }
        ChangeKind::Delete { target } => {
            put_head(out, head, 7);
            out.put_u64(target.get());
        }
        ChangeKind::React {
            target,
            emoji,
            added,
        } => {
            put_head(out, head, 8);
            out.put_u64(target.get());
            put_text(out, emoji.as_str());
            out.put_u8(u8::from(*added));
        }
    }
}

/// An answer's payload.
#[must_use]
pub fn encode_answer(answer: &DelegationAnswer) -> Bytes {
    let mut out = header(8, 8 + 9 * answer.settled.len());
    out.put_u64(answer.number);
    for settled in &answer.settled {
        let (tag, seq) = match settled {
            Settled::Stored(seq) => (0, *seq),
            Settled::Before => (1, Seq::ZERO),
            Settled::Failed(CommitError::Refused(refusal)) => (2, number_of(*refusal)),
            Settled::Failed(CommitError::ClientMessageIdReused) => (3, Seq::ZERO),
            Settled::Failed(CommitError::Internal) => (4, Seq::ZERO),
            Settled::Nothing => (5, Seq::ZERO),
            // Nothing else is for good.
            Settled::Failed(CommitError::Busy | CommitError::Unavailable) => (u8::MAX, Seq::ZERO),
        };
        out.put_u8(tag);
        out.put_u64(seq.get());
    }
    out.freeze()
}

/// Where a refusal is in the list of all, in the field of a place.
fn number_of(refusal: Refusal) -> Seq {
    let number = Refusal::ALL.iter().position(|known| *known == refusal);
    Seq::new(number.map_or(u64::MAX, |number| number as u64))
}

pub(super) fn decode_request(mut bytes: Bytes) -> Option<DelegationRequest> {
    let number = bytes.try_get_u64().ok()?;
    let from = GatewayId::from_u64(bytes.try_get_u64().ok()?);
    let conversation = take_conversation(&mut bytes)?;
    let mut entries = Vec::new();
    while bytes.has_remaining() {
        let entry = take_entry(&mut bytes, conversation)?;
        let trace = take_trace(&mut bytes)?;
        entries.push(Delegated { entry, trace });
        if entries.len() > Run::LIMIT {
            return None;
        }
    }
    Some(DelegationRequest {
        number,
        from,
        conversation,
        entries,
    })
}

fn take_entry(bytes: &mut Bytes, conversation: ConversationId) -> Option<Entry> {
    let id = EventId::from_bytes(take_id(bytes)?);
    let sender = take_user(bytes)?;
    let at = Timestamp::from_millis(bytes.try_get_i64().ok()?);
    let kind = match bytes.try_get_u8().ok()? {
        0 => {
            let client_message_id = ClientMessageId::parse(&take_text(bytes)?).ok()?;
            let content = take_content(bytes)?;
            return Some(Entry::Message(NewMessage {
                id,
                sender,
                at,
                client_message_id,
                fingerprint: Fingerprint::of(&content),
                content,
            }));
        }
        tag => take_kind(bytes, tag)?,
    };
    Some(Entry::Change(Change {
        id,
        conversation,
        actor: sender,
        at,
        kind,
    }))
}

fn take_kind(bytes: &mut Bytes, tag: u8) -> Option<ChangeKind> {
    Some(match tag {
        1 => ChangeKind::AddMember {
            user: take_user(bytes)?,
            role: Role::parse(&take_text(bytes)?)?,
        },
        2 => ChangeKind::RemoveMember {
            user: take_user(bytes)?,
        },
        3 => ChangeKind::ChangeRole {
            user: take_user(bytes)?,
            role: Role::parse(&take_text(bytes)?)?,
        },
        4 => ChangeKind::Rename {
            name: RoomName::parse(&take_text(bytes)?).ok()?,
        },
        5 => ChangeKind::DeleteRoom,
        6 => ChangeKind::Edit {
            target: take_seq(bytes)?,
            content: take_content(bytes)?,
        },
        7 => ChangeKind::Delete {
            target: take_seq(bytes)?,
        },
        8 => ChangeKind::React {
            target: take_seq(bytes)?,
            emoji: Emoji::parse(&take_text(bytes)?).ok()?,
            added: bytes.try_get_u8().ok()? == 1,
        },
        // A later version's.
        _ => return None,
    })
}

fn take_seq(bytes: &mut Bytes) -> Option<Seq> {
    bytes.try_get_u64().ok().map(Seq::new)
}

/// How long it may be is decided where it was received.
fn take_content(bytes: &mut Bytes) -> Option<Content> {
    Content::parse(&take_text(bytes)?, usize::MAX).ok()
}

fn take_text(bytes: &mut Bytes) -> Option<String> {
    let length = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
    let text = (length <= bytes.len()).then(|| bytes.split_to(length))?;
    String::from_utf8(text.into()).ok()
}

pub(super) fn decode_answer(mut bytes: Bytes) -> Option<DelegationAnswer> {
    let number = bytes.try_get_u64().ok()?;
    let mut settled = Vec::new();
    while bytes.has_remaining() {
        let tag = bytes.try_get_u8().ok()?;
        let seq = Seq::new(bytes.try_get_u64().ok()?);
        settled.push(match tag {
            0 => Settled::Stored(seq),
            1 => Settled::Before,
            2 => {
                let number = usize::try_from(seq.get()).ok()?;
                Settled::Failed(CommitError::Refused(*Refusal::ALL.get(number)?))
            }
            3 => Settled::Failed(CommitError::ClientMessageIdReused),
            4 => Settled::Failed(CommitError::Internal),
            5 => Settled::Nothing,
            // Whatever it is, it is no answer.
            _ => return None,
        });
    }
    Some(DelegationAnswer { number, settled })
}
