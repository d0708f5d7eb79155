//! What the fan-out asks a session about its conversations, and tells it: each is one step on its places, under its lock.

use std::collections::HashMap;
use std::sync::Arc;

use super::places::Place;
use super::{Offer, Session};
use crate::domain::{ConversationId, Seq};

impl Session {
    /// Marks the session as joined; false when it was already.
    pub(in crate::fanout) fn join(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().places.has_joined, true)
    }

    /// It could not join after all, and may try again.
    pub(in crate::fanout) fn unjoin(&self) {
        self.state.lock().places.has_joined = false;
    }

    /// Whether it has joined.
    #[must_use]
    pub fn has_joined(&self) -> bool {
        self.state.lock().places.has_joined
    }

    /// No new conversations from now on: it is being handed over.
    pub(in crate::fanout) fn withdraw(&self) {
        self.state.lock().places.is_withdrawn = true;
    }

    /// Whether the session is being handed over to another gateway (D33).
    pub(in crate::fanout) fn is_withdrawn(&self) -> bool {
        self.state.lock().places.is_withdrawn
    }

    /// Notes where this device wants to resume.
    pub(in crate::fanout) fn resume_from(&self, places: HashMap<ConversationId, Seq>) {
        self.state.lock().places.resume = places;
    }

    /// Where this device wants to resume in a conversation, if it said; told once.
    pub(in crate::fanout) fn take_resume(&self, conversation: ConversationId) -> Option<Seq> {
        self.state.lock().places.resume.remove(&conversation)
    }

    /// Where it stands in a conversation; none when it has nothing to do with it.
    pub(in crate::fanout) fn place(&self, conversation: ConversationId) -> Option<Place> {
        self.state.lock().places.of(conversation)
    }

    /// The last seq given to it, while the topic does not know.
    pub(in crate::fanout) fn given(&self, conversation: ConversationId) -> Option<Seq> {
        self.place(conversation)?.given()
    }

    /// Whether it has to do with a conversation.
    pub(in crate::fanout) fn knows(&self, conversation: ConversationId) -> bool {
        matches!(
            self.place(conversation),
            Some(Place::CatchingUp { .. } | Place::Attached(_))
        )
    }

    /// Whether it is live in a conversation, so that its user is known to belong to it. Who catches up may be a former
    /// member.
    pub(crate) fn is_live(&self, conversation: ConversationId) -> bool {
        matches!(self.place(conversation), Some(Place::Attached(_)))
    }

    /// Notes a conversation as one to catch up with; false when it is known already.
    pub(in crate::fanout) fn begin(&self, conversation: ConversationId) -> bool {
        self.state.lock().places.begin(conversation)
    }

    /// Was given everything up to here, by whoever catches it up or hands it over.
    pub(in crate::fanout) fn advance(&self, conversation: ConversationId, position: Seq) {
        self.state.lock().places.advance(conversation, position);
    }

    /// Is given what follows by the topic.
    pub(in crate::fanout) fn attached(&self, conversation: ConversationId, from: Seq) {
        let mut state = self.state.lock();
        state.places.replace(conversation, Place::Attached(from));
    }

    /// The session was given all events of a conversation that its user has left.
    pub(in crate::fanout) fn ended(&self, conversation: ConversationId, at: Seq) {
        let mut state = self.state.lock();
        state.places.replace(conversation, Place::Ended(at));
    }

    /// Catches up no more: of what it was not given anything of, it knows nothing any more. Whether it was told of the
    /// conversation again meanwhile.
    pub(in crate::fanout) fn abandon(&self, conversation: ConversationId) -> bool {
        self.state.lock().places.abandon(conversation)
    }

    /// Gives an event to a session that no topic gives any to any more, when it is the next one there.
    pub(in crate::fanout) fn pass_released(self: &Arc<Self>, offer: &Arc<Offer>) {
        let given = self.given(offer.conversation);
        if given.is_some_and(|given| given.next() == offer.seq) {
            self.give(offer);
            self.advance(offer.conversation, offer.seq);
        }
    }

    /// Forgets a conversation: it has ended.
    pub(in crate::fanout) fn forget(&self, conversation: ConversationId) {
        self.state.lock().places.forget(conversation);
    }

    /// The conversations it has to do with, or had.
    pub(in crate::fanout) fn conversations(&self) -> Vec<ConversationId> {
        self.state.lock().places.all().collect()
    }
}
