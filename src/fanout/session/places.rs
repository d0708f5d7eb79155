//! Where a session stands in each of its conversations, and where it wants to begin: the one owner of that. Knows neither
//! topics nor logs, nor what the session is given; who catches it up says how far it is.

use std::collections::HashMap;

use crate::domain::{ConversationId, Seq};

/// Where a session stands in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It reads the log.
    CatchingUp {
        /// It was given everything up to here. None: where it begins is not known yet.
        given: Option<Seq>,
        /// It was told of the conversation again while it was finding out about it.
        is_told_again: bool,
    },
    /// It is attached to the topic, from this seq on: the topic knows how far it is.
    Attached(Seq),
    /// It was given everything that is its user's, up to here.
    Ended(Seq),
}

impl Place {
    /// The last seq given to the session, while the topic does not know.
    pub(super) const fn given(self) -> Option<Seq> {
        match self {
            Self::CatchingUp { given, .. } => given,
            Self::Ended(seq) => Some(seq),
            Self::Attached(_) => None,
        }
    }

    const fn is_told_again(self) -> bool {
        matches!(
            self,
            Self::CatchingUp {
                is_told_again: true,
                ..
            }
        )
    }
}

/// See the module's documentation. There is an entry for each conversation that the session has to do with, or had.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) has_joined: bool,
    /// The session is being handed over to another gateway: no new conversations.
    pub(super) is_withdrawn: bool,
    places: HashMap<ConversationId, Place>,
    /// Where this device wants to resume (D30), until it does.
    pub(super) resume: HashMap<ConversationId, Seq>,
}

impl Places {
    /// None where the session has nothing to do with it.
    pub(super) fn of(&self, conversation: ConversationId) -> Option<Place> {
        self.places.get(&conversation).copied()
    }

    /// The session is to catch up, from where it was; false when it does already, or is live, or is being handed over.
    pub(super) fn begin(&mut self, conversation: ConversationId) -> bool {
        let given = match self.places.get_mut(&conversation) {
            None => None,
            Some(Place::Ended(seq)) => Some(*seq),
            Some(Place::CatchingUp { is_told_again, .. }) => {
                *is_told_again = true;
                return false;
            }
            Some(Place::Attached(_)) => return false,
        };
        if self.is_withdrawn {
            return false;
        }
        let place = Place::CatchingUp {
            given,
            is_told_again: false,
        };
        self.places.insert(conversation, place);
        true
    }

    /// The session was given everything up to here, and no topic gives it what follows.
    pub(super) fn advance(&mut self, conversation: ConversationId, position: Seq) {
        if let Some(place) = self.places.get_mut(&conversation) {
            *place = Place::CatchingUp {
                given: Some(position),
                is_told_again: place.is_told_again(),
            };
        }
    }

    /// Whoever has left has no place that could change.
    pub(super) fn replace(&mut self, conversation: ConversationId, place: Place) {
        if let Some(current) = self.places.get_mut(&conversation) {
            *current = place;
        }
    }

    /// The session catches up no more. Whether it was told of the conversation again meanwhile.
    pub(super) fn abandon(&mut self, conversation: ConversationId) -> bool {
        let place = self.places.remove(&conversation);
        if let Some(seq) = place.and_then(Place::given) {
            self.places.insert(conversation, Place::Ended(seq));
        }
        place.is_some_and(Place::is_told_again)
    }

    /// The session has nothing to do with it any more.
    pub(super) fn forget(&mut self, conversation: ConversationId) {
        self.places.remove(&conversation);
    }

    /// All that the session has to do with, or had.
    pub(super) fn all(&self) -> impl Iterator<Item = ConversationId> {
        self.places.keys().copied()
    }
}
