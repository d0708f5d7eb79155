//! What was committed here is offered to the sessions of this gateway at once, and published to everybody else's. Knows
//! neither who commits nor what comes back over the bus.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::catch_up::CatchUp;
use super::envelope;
use super::offer::{Effect, Offer};
use super::offering::Offering;
use super::passing;
use super::publisher::{Publisher, channels_of, lane};
use super::recall::Recall;
use super::session::Session;
use super::sessions::Sessions;
use super::topics::Topics;
use crate::bus::Channel;
use crate::chat::AnnounceCursors;
use crate::commit::Announce;
use crate::domain::{Body, ConversationId, Event, Seq, SessionId, UserId};
use crate::traces::{Publishing, Trace};

/// Offers committed events to local sessions and publishes them to other gateways.
pub struct Announcer {
    sessions: Arc<Sessions>,
    topics: Arc<Topics>,
    catch_up: Arc<CatchUp>,
    offering: Arc<Offering>,
    recall: Arc<Recall>,
    publisher: Arc<Publisher>,
}

impl Announcer {
    pub(super) fn new(
        sessions: Arc<Sessions>,
        topics: Arc<Topics>,
        catch_up: Arc<CatchUp>,
        offering: Arc<Offering>,
        recall: Arc<Recall>,
        publisher: Arc<Publisher>,
    ) -> Self {
        Self {
            sessions,
            topics,
            catch_up,
            offering,
            recall,
            publisher,
        }
    }

    /// The session whose own direct message an event is, while it is here.
    fn author(&self, event: &Event, origin: Option<SessionId>) -> Option<Arc<Session>> {
        match (event.conversation, &event.body) {
            (ConversationId::Direct(..), Body::Message(_)) => self.sessions.get(origin?),
            _ => None,
        }
    }

    /// A session's own direct message was committed: its answer shows it (D29). For a retry of what the session was
    /// given before, there is nothing to note.
    fn note_own(&self, session: &Arc<Session>, event: &Event) {
        let position = self.topics.position_of(session, event.conversation);
        // One that has joined is about to find out about a conversation it does not know.
        if position.map_or(session.has_joined(), |position| position < event.seq) {
            session.own_committed(event.conversation, event.seq, event.id);
        }
    }

    fn publish(&self, offer: &Offer, publishing: Option<Publishing>) {
        let payload = envelope::encode_event(offer, self.publisher.gateway());
        let lane = lane(offer.conversation);
        let mut receipts = Vec::new();
        for channel in channels_of(offer.conversation) {
            let payload = payload.clone();
            match publishing {
                Some(_) => receipts.push(self.publisher.publish_told(channel, lane, payload)),
                None => self.publisher.publish(channel, lane, payload),
            }
        }
        if let Some(publishing) = publishing {
            end_when_taken(publishing, receipts);
        }
    }
}

impl Announce for Announcer {
    fn committed(&self, event: &Arc<Event>, origin: Option<SessionId>, trace: Option<&Trace>) {
        let publishing = trace.and_then(|trace| trace.publish(event.conversation, event.seq));
        let context = publishing.as_ref().map(Publishing::context);
        let offer = Offer::traced(event, context);
        let author = self.author(event, origin);
        if let Some(author) = &author {
            self.note_own(author, event);
        }
        self.recall.note(event.conversation, event.seq);
        // Before its own echo can come back from the bus and be taken for another gateway's.
        self.offering.offer(Arc::clone(&offer));
        if let Some(author) = author {
            pass_own(&author, || Arc::clone(&offer));
        }
        self.publish(&offer, publishing);
        if let Effect::Added(user) = offer.effect {
            self.joined(event.conversation, &[user]);
        }
        // A conversation that another gateway opened, while its hint has not arrived (P5).
        for user in event.conversation.direct_users() {
            self.catch_up.discover(event.conversation, user);
        }
    }

    fn delegated(&self, event: &Arc<Event>, origin: Option<SessionId>) {
        if let Some(author) = self.author(event, origin) {
            self.note_own(&author, event);
            pass_own(&author, || Offer::of(event));
        }
    }

    fn found(&self, event: &Arc<Event>) {
        self.offering.offer(Offer::of(event));
    }

    fn joined(&self, conversation: ConversationId, users: &[UserId]) {
        self.recall.note_joined(conversation, users);
        let payload = envelope::encode_joined(conversation);
        for user in users {
            self.catch_up.discover(conversation, *user);
            self.publisher
                .publish(Channel::User(*user), lane(conversation), payload.clone());
        }
    }
}

impl AnnounceCursors for Announcer {
    fn cursors_moved(&self, conversation: ConversationId, moved: &[(UserId, Seq)], read: bool) {
        passing::receipt(&self.publisher, conversation, moved, read);
    }
}

/// A session that is being handed over is offered nothing more. A direct message of its own it passes all the same,
/// when it is the next one: its answer is about to be written, and must not come again once it is proved (D33). The
/// offer is made only then: a drain is rare.
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
