//! Where a session stands in each of its conversations.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Offer, Place, Session};
use crate::domain::{ConversationId, Seq};

impl Session {
    /// Marks the session as joined; false when it was already.
    pub(in crate::fanout) fn join(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().joined, true)
    }

    /// Notes where this device wants to resume.
    pub(in crate::fanout) fn resume_from(&self, places: HashMap<ConversationId, Seq>) {
        self.state.lock().resume = places;
    }

    /// Where this device wants to resume in a conversation, if it said; told once.
    pub(in crate::fanout) fn take_resume(&self, conversation: ConversationId) -> Option<Seq> {
        self.state.lock().resume.remove(&conversation)
    }

    /// It could not join after all, and may try again.
    pub(in crate::fanout) fn unjoin(&self) {
        self.state.lock().joined = false;
    }

    /// Whether it has joined.
    #[must_use]
    pub fn has_joined(&self) -> bool {
        self.state.lock().joined
    }

    /// Where it stands in a conversation; none when it has nothing to do with it.
    pub(in crate::fanout) fn place(&self, conversation: ConversationId) -> Option<Place> {
        self.state.lock().places.get(&conversation).copied()
    }

    /// Whether it has to do with a conversation.
    pub(in crate::fanout) fn knows(&self, conversation: ConversationId) -> bool {
        matches!(
            self.place(conversation),
            Some(Place::CatchingUp(_) | Place::Attached(_))
        )
    }

    /// Whether it is live in a conversation, so that its user is known to belong to it. Who catches up may be a former
    /// member.
    pub(crate) fn is_live(&self, conversation: ConversationId) -> bool {
        matches!(self.place(conversation), Some(Place::Attached(_)))
    }

    /// Notes a conversation as one to catch up with; false when it is known already.
    pub(in crate::fanout) fn begin(&self, conversation: ConversationId) -> bool {
        let mut state = self.state.lock();
        let given = match state.places.get(&conversation) {
            None => None,
            Some(Place::Ended(seq)) => Some(*seq),
            Some(Place::CatchingUp(_)) => {
                state.again.insert(conversation);
                return false;
            }
            Some(Place::Attached(_)) => return false,
        };
        if state.withdrawn {
            return false;
        }
        state.places.insert(conversation, Place::CatchingUp(given));
        true
    }

    /// Whether it was told of a conversation again while it was finding out about it; told once.
    pub(in crate::fanout) fn take_again(&self, conversation: ConversationId) -> bool {
        self.state.lock().again.remove(&conversation)
    }

    /// The last seq given to it, while the topic does not know.
    pub(in crate::fanout) fn given(&self, conversation: ConversationId) -> Option<Seq> {
        match self.place(conversation)? {
            Place::CatchingUp(seq) => seq,
            Place::Ended(seq) => Some(seq),
            Place::Attached(_) => None,
        }
    }

    /// Moves on in a conversation that it catches up with.
    pub(in crate::fanout) fn advance(&self, conversation: ConversationId, position: Seq) {
        self.set_place(conversation, Place::CatchingUp(Some(position)));
    }

    pub(in crate::fanout) fn set_place(&self, conversation: ConversationId, place: Place) {
        let mut state = self.state.lock();
        if matches!(place, Place::Attached(_)) {
            state.again.remove(&conversation);
        }
        if let Some(current) = state.places.get_mut(&conversation) {
            *current = place;
        }
    }

    /// Gives an event to a session that no topic gives any to any more, when it is the next one there.
    pub(in crate::fanout) fn pass_released(self: &Arc<Self>, offer: &Arc<Offer>) {
        let given = self.given(offer.conversation);
        if given.is_some_and(|given| given.next() == offer.seq) {
            self.give(offer);
            self.advance(offer.conversation, offer.seq);
        }
    }

    /// Forgets a conversation.
    pub(in crate::fanout) fn forget(&self, conversation: ConversationId) {
        self.state.lock().places.remove(&conversation);
    }

    /// The conversations it has to do with.
    pub(in crate::fanout) fn conversations(&self) -> Vec<ConversationId> {
        self.state.lock().places.keys().copied().collect()
    }
}
