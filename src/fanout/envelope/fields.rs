//! The fields that payloads are made of, and what every payload begins with. Knows no kind of payload.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::domain::{ConversationId, RoomId, UserId};
use crate::traces::TraceContext;

/// The version of all payloads: a payload of another one is skipped.
pub(super) const VERSION: u8 = 1;

/// Bytes of an id.
pub(super) const ID_BYTES: usize = 12;

pub(super) fn header(kind: u8, capacity: usize) -> BytesMut {
    let mut out = BytesMut::with_capacity(2 + capacity);
    out.put_u8(VERSION);
    out.put_u8(kind);
    out
}

/// Where a trace is, or as many zeros.
pub(super) fn put_trace(out: &mut BytesMut, trace: Option<TraceContext>) {
    out.put_slice(&trace.map_or([0; TraceContext::BYTES], TraceContext::to_bytes));
}

/// What [`put_trace`] has put; the outer none when there is too little.
pub(super) fn take_trace(bytes: &mut Bytes) -> Option<Option<TraceContext>> {
    let trace =
        (bytes.len() >= TraceContext::BYTES).then(|| bytes.split_to(TraceContext::BYTES))?;
    Some(TraceContext::from_bytes(&trace))
}

pub(super) fn put_conversation(out: &mut BytesMut, conversation: ConversationId) {
    match conversation {
        ConversationId::Room(room) => {
            out.put_u8(0);
            out.put_slice(&room.to_bytes());
        }
        ConversationId::Direct(low, high) => {
            out.put_u8(1);
            out.put_slice(&low.to_bytes());
            out.put_slice(&high.to_bytes());
        }
    }
}

pub(super) fn take_conversation(bytes: &mut Bytes) -> Option<ConversationId> {
    match bytes.try_get_u8().ok()? {
        0 => Some(ConversationId::Room(RoomId::from_bytes(take_id(bytes)?))),
        1 => {
            let (low, high) = (take_user(bytes)?, take_user(bytes)?);
            (low <= high).then(|| ConversationId::direct(low, high))
        }
        _ => None,
    }
}

pub(super) fn take_user(bytes: &mut Bytes) -> Option<UserId> {
    take_id(bytes).map(UserId::from_bytes)
}

pub(super) fn take_id(bytes: &mut Bytes) -> Option<[u8; ID_BYTES]> {
    let mut id = [0; ID_BYTES];
    bytes.try_copy_to_slice(&mut id).ok()?;
    Some(id)
}
