//! What the use cases announce: offered here at once, published to everybody else.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::oneshot;

use super::super::envelope::{self, Passing};
use super::super::offer::{Effect, Encoded, Offer};
use super::super::session::Session;
use super::{Hub, channels_of};
use crate::bus::Channel;
use crate::chat::Announce;
use crate::domain::{Body, ConversationId, Event, Seq, SessionId, UserId};
use crate::traces::{Publishing, Trace};
use crate::wire;

/// Hands announcements to a hub; a type of its own, since offering needs the hub's `Arc`.
#[derive(Debug, Clone)]
pub struct HubAnnouncer(pub Arc<Hub>);

impl Announce for HubAnnouncer {
    fn committed(&self, event: &Arc<Event>, origin: Option<SessionId>, trace: Option<&Trace>) {
        let publishing = trace.and_then(|trace| trace.publish(event.conversation, event.seq));
        let context = publishing.as_ref().map(Publishing::context);
        let offer = Offer::traced(event, origin, context);
        let author = self.0.author(event, origin);
        if let Some(author) = &author {
            self.0.note_own(author, event);
        }
        self.0.heads.note(event.conversation, event.seq);
        let payload = envelope::encode_event(&offer, self.0.gateway);
        let (added, lane) = (offer.effect, lane(event.conversation));
        // Before its own echo can come back from the bus and be taken for another gateway's.
        self.0.offer(Arc::clone(&offer));
        if let Some(author) = author {
            pass_own(&author, || Arc::clone(&offer));
        }
        let mut receipts = Vec::new();
        for channel in channels_of(event.conversation) {
            let payload = payload.clone();
            match publishing {
                Some(_) => receipts.push(self.0.publish_told(channel, lane, payload)),
                None => self.0.publish(channel, lane, payload),
            }
        }
        if let Some(publishing) = publishing {
            end_when_taken(publishing, receipts);
        }
        if let Effect::Added(user) = added {
            self.joined(event.conversation, &[user]);
        }
        // A conversation that another gateway opened, while its hint has not arrived (P5).
        for user in event.conversation.direct_users() {
            self.0.discover(event.conversation, user);
        }
    }

    fn delegated(&self, event: &Arc<Event>, origin: Option<SessionId>) {
        if let Some(author) = self.0.author(event, origin) {
            self.0.note_own(&author, event);
            pass_own(&author, || Offer::of(event, origin));
        }
    }

    fn found(&self, event: &Arc<Event>) {
        self.0.offer(Offer::of(event, None));
    }

    fn joined(&self, conversation: ConversationId, users: &[UserId]) {
        self.0.heads.note_joined(conversation, users);
        let payload = envelope::encode_joined(conversation);
        for user in users {
            self.0.discover(conversation, *user);
            self.0
                .publish(Channel::User(*user), lane(conversation), payload.clone());
        }
    }

    fn cursors_moved(&self, conversation: ConversationId, moved: &[(UserId, Seq)], read: bool) {
        self.0.receipt(conversation, moved, read);
    }
}

impl Hub {
    /// The session whose own direct message an event is, while it is here.
    fn author(&self, event: &Event, origin: Option<SessionId>) -> Option<Arc<Session>> {
        match (event.conversation, &event.body) {
            (ConversationId::Direct(..), Body::Message(_)) => self.session(origin?),
            _ => None,
        }
    }

    /// A session's own direct message was committed: its answer shows it (D29). For a retry of what the session was
    /// given before, there is nothing to note.
    fn note_own(&self, session: &Arc<Session>, event: &Event) {
        let position = self.position(session, event.conversation);
        // One that has joined is about to find out about a conversation it does not know.
        if position.map_or(session.has_joined(), |position| position < event.seq) {
            session.own_committed(event.conversation, event.seq, event.id);
        }
    }

    /// Passes something on to whoever is there in a conversation, on every gateway, except its author's sessions.
    pub(super) fn pass(self: &Arc<Self>, passing: &Passing) {
        let payload = envelope::encode_passing(passing);
        let lane = lane(passing.conversation);
        let author = passing.from.map(Channel::User);
        for channel in channels_of(passing.conversation).filter(|channel| Some(*channel) != author)
        {
            self.publish(channel, lane, payload.clone());
        }
    }

    /// Tells the others in a conversation that somebody is typing, or no longer. Not stored, not replayed.
    pub fn typing(self: &Arc<Self>, conversation: ConversationId, from: UserId, typing: bool) {
        let shape = Typing {
            conversation_id: conversation.to_string(),
            user_id: from.to_string(),
            typing,
        };
        let encoded = Encoded::new("typing", Bytes::from(wire::encode(&shape)));
        self.pass(&Passing {
            conversation,
            from: Some(from),
            encoded,
        });
    }

    /// Tells the others how far members have received, or read. Who is told together with others is told, too.
    fn receipt(
        self: &Arc<Self>,
        conversation: ConversationId,
        moved: &[(UserId, Seq)],
        read: bool,
    ) {
        let cursors = moved
            .iter()
            .map(|(user, seq)| (user.to_string(), seq.get()));
        let shape = Receipt {
            conversation_id: conversation.to_string(),
            cursors: cursors.collect(),
        };
        let name = if read {
            "message_read"
        } else {
            "message_delivered"
        };
        let encoded = Encoded::new(name, Bytes::from(wire::encode(&shape)));
        let from = match moved {
            [(user, _)] => Some(*user),
            _ => None,
        };
        self.pass(&Passing {
            conversation,
            from,
            encoded,
        });
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Typing {
    conversation_id: String,
    user_id: String,
    typing: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    conversation_id: String,
    cursors: BTreeMap<String, u64>,
}

/// A session that is being handed over is offered nothing more. A direct message of its own it passes all the same, when
/// it is the next one: its answer is about to be written, and must not come again once it is proved (D33). The offer is
/// made only then: a drain is rare.
fn pass_own(author: &Arc<Session>, offer: impl FnOnce() -> Arc<Offer>) {
    if author.is_withdrawn() {
        author.pass_released(&offer());
    }
}

/// Ends a span once the bus has what was published. In a task of its own, awaited by nobody: while the bus is away it
/// waits with what was published, and ends with it.
fn end_when_taken(publishing: Publishing, receipts: Vec<oneshot::Receiver<()>>) {
    tokio::spawn(async move {
        let mut is_taken = true;
        for receipt in receipts {
            is_taken &= receipt.await.is_ok();
        }
        publishing.ended(is_taken);
    });
}

/// One conversation always takes one publishing connection (D9).
pub(super) fn lane(conversation: ConversationId) -> u64 {
    let mut hasher = DefaultHasher::new();
    conversation.hash(&mut hasher);
    hasher.finish()
}
