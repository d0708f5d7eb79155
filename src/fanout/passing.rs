//! What is told to whoever is there in a conversation, and neither stored nor told again: that somebody is typing, and
//! how far members have received or read. Knows no session.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;

use super::envelope::{self, Passing};
use super::offer::Encoded;
use super::publisher::{Publisher, channels_of, lane};
use crate::bus::Channel;
use crate::domain::{ConversationId, Seq, UserId};
use crate::wire::{self, EventName};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TypingJson {
    conversation_id: String,
    user_id: String,
    typing: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptJson {
    conversation_id: String,
    cursors: BTreeMap<String, u64>,
}

/// Tells the others in a conversation that somebody is typing, or no longer.
pub(super) fn typing(
    publisher: &Publisher,
    conversation: ConversationId,
    from: UserId,
    typing: bool,
) {
    let shape = TypingJson {
        conversation_id: conversation.to_string(),
        user_id: from.to_string(),
        typing,
    };
    let encoded = Encoded::new(EventName::Typing, Bytes::from(wire::encode(&shape)));
    let passing = Passing {
        conversation,
        from: Some(from),
        encoded,
    };
    pass(publisher, &passing);
}

/// Tells the others how far members have received, or read. Who is told together with others is told, too.
pub(super) fn receipt(
    publisher: &Publisher,
    conversation: ConversationId,
    moved: &[(UserId, Seq)],
    read: bool,
) {
    let cursors = moved
        .iter()
        .map(|(user, seq)| (user.to_string(), seq.get()));
    let shape = ReceiptJson {
        conversation_id: conversation.to_string(),
        cursors: cursors.collect(),
    };
    let name = if read {
        EventName::MessageRead
    } else {
        EventName::MessageDelivered
    };
    let encoded = Encoded::new(name, Bytes::from(wire::encode(&shape)));
    let from = match moved {
        [(user, _)] => Some(*user),
        _ => None,
    };
    let passing = Passing {
        conversation,
        from,
        encoded,
    };
    pass(publisher, &passing);
}

/// Passes something on to whoever is there in a conversation, on every gateway, except its author's sessions.
fn pass(publisher: &Publisher, passing: &Passing) {
    let payload = envelope::encode_passing(passing);
    let lane = lane(passing.conversation);
    let author = passing.from.map(Channel::User);
    for channel in channels_of(passing.conversation).filter(|channel| Some(*channel) != author) {
        publisher.publish(channel, lane, payload.clone());
    }
}
