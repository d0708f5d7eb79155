//! Direct conversations that are known to exist, so that only the first send asks the store (D6). Knows no store; an
//! id that was forgotten costs a question, a wrong one would cost a lost message, so ids are only added when stored.

use std::collections::HashSet;

use parking_lot::Mutex;

use crate::domain::ConversationId;

/// Ids in one generation; two are kept, so about 2 MiB at most.
const GENERATION: usize = 16_384;

/// A bounded set that forgets what was not asked for in a while.
pub(super) struct KnownConversations(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashSet<ConversationId>,
    old: HashSet<ConversationId>,
}

impl KnownConversations {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// Whether it is known; keeps it from being forgotten soon.
    pub(super) fn contains(&self, id: ConversationId) -> bool {
        let mut generations = self.0.lock();
        if generations.young.contains(&id) {
            return true;
        }
        let known = generations.old.contains(&id);
        if known {
            generations.insert(id);
        }
        known
    }

    pub(super) fn insert(&self, id: ConversationId) {
        self.0.lock().insert(id);
    }
}

impl Generations {
    /// A full generation becomes the old one, and what was old is forgotten.
    fn insert(&mut self, id: ConversationId) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Entropy, RoomId, Timestamp};

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_forgotten() {
        let (known, entropy) = (KnownConversations::new(), Entropy::seeded(1));
        let next = || ConversationId::Room(RoomId::generate(Timestamp::from_millis(0), &entropy));
        let (asked, forgotten) = (next(), next());
        known.insert(asked);
        known.insert(forgotten);
        for count in 0..GENERATION * 3 {
            known.insert(next());
            assert!(count % 1000 != 0 || known.contains(asked));
        }
        assert!(known.contains(asked));
        assert!(!known.contains(forgotten));
        let generations = known.0.lock();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION);
    }
}
