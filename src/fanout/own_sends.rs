//! One's own message is not given twice (D29): the answer to a direct message shows it to the session that sent it, and
//! the event of the log, which may come before the answer or after it, is not written there. Until the answer is written
//! nothing from that event on counts as received, and if there never is one, the event is written after all. Knows one
//! session's sends, and neither its outbox nor its cursors.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::offer::Offer;
use crate::domain::{ConversationId, EventId, Seq};

/// Direct messages that a session has sent and of which not everything is said yet.
#[derive(Debug, Default)]
pub(super) struct OwnSends {
    /// Not answered yet; the log may show one before the committer says where it is.
    expected: HashSet<EventId>,
    /// Committed, and not both answered and passed.
    committed: BTreeMap<(ConversationId, Seq), Committed>,
}

#[derive(Debug)]
struct Committed {
    id: EventId,
    is_answered: bool,
    /// The session's position has passed it without its being written.
    passed: Option<Arc<Offer>>,
}

impl OwnSends {
    /// The session is sending this message.
    pub(super) fn expect(&mut self, id: EventId) {
        self.expected.insert(id);
    }

    /// Its answer was written; or none will be, that shows it: then it is an event like all others, and what was passed
    /// because its answer would show it has to be written after all.
    #[must_use]
    pub(super) fn expect_no_more(&mut self, id: EventId) -> Option<Arc<Offer>> {
        self.expected.remove(&id);
        let mut withheld = None;
        self.committed.retain(|_, own| {
            let is_unshown = own.id == id && !own.is_answered;
            if is_unshown {
                withheld = own.passed.take();
            }
            !is_unshown
        });
        withheld
    }

    /// It was committed at this place; its answer is not written yet.
    pub(super) fn committed(&mut self, conversation: ConversationId, seq: Seq, id: EventId) {
        let own = Committed {
            id,
            is_answered: false,
            passed: None,
        };
        self.committed.entry((conversation, seq)).or_insert(own);
    }

    /// Its answer was written, or nobody wants one.
    pub(super) fn answered(&mut self, conversation: ConversationId, seq: Seq) {
        self.update(conversation, seq, |own| own.is_answered = true);
    }

    /// The session's position passes this event: whether it is the session's own, and need not be written. One that is
    /// still expected is recognised by its id.
    pub(super) fn passes(&mut self, offer: &Arc<Offer>) -> bool {
        let (conversation, seq) = (offer.conversation, offer.seq);
        if let Some(id) = offer.id.filter(|id| self.expected.remove(id)) {
            self.committed(conversation, seq, id);
        }
        self.update(conversation, seq, |own| {
            own.passed = Some(Arc::clone(offer));
        })
    }

    /// Where the first of them is in a conversation that has no answer yet.
    pub(super) fn first_unanswered(&self, conversation: ConversationId) -> Option<Seq> {
        self.committed
            .range((conversation, Seq::ZERO)..=(conversation, Seq::MAX))
            .find(|(_, own)| !own.is_answered)
            .map(|((_, seq), _)| *seq)
    }

    fn update(
        &mut self,
        conversation: ConversationId,
        seq: Seq,
        update: impl FnOnce(&mut Committed),
    ) -> bool {
        let Some(own) = self.committed.get_mut(&(conversation, seq)) else {
            return false;
        };
        update(own);
        if own.is_answered && own.passed.is_some() {
            self.committed.remove(&(conversation, seq));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::offer::{Effect, Encoded};
    use super::super::receipts::Receipts;
    use super::super::receipts::tests::{conversation, seqs};
    use super::*;
    use crate::wire::EventName;

    fn offer(conversation: ConversationId, seq: u64) -> Arc<Offer> {
        Arc::new(Offer {
            conversation,
            at: None,
            seq: Seq::new(seq),
            effect: Effect::None,
            id: Some(EventId::from_bytes([1; 12])),
            writer: None,
            traced: None,
            encoded: Some(Encoded::new(EventName::ReceiveMessage, Bytes::new())),
        })
    }

    #[test]
    fn d29_a_send_counts_as_given_only_once_its_answer_is_written() {
        let (mut receipts, mut own) = (Receipts::<u64>::default(), OwnSends::default());
        own.committed(conversation(1), Seq::new(4), EventId::from_bytes([1; 12]));
        assert!(own.passes(&offer(conversation(1), 4)));
        receipts.give(conversation(1), Seq::new(4));
        receipts.mark(1, &own);
        assert_eq!(seqs(&receipts.prove(&1)), [3]);
        own.answered(conversation(1), Seq::new(4));
        receipts.mark(2, &own);
        assert_eq!(seqs(&receipts.prove(&2)), [4]);
    }

    #[test]
    fn an_own_send_is_forgotten_when_answered_and_passed_in_either_order() {
        let mut own = OwnSends::default();
        for order in [true, false] {
            own.committed(conversation(1), Seq::new(4), EventId::from_bytes([1; 12]));
            for step in [order, !order] {
                match step {
                    true => own.answered(conversation(1), Seq::new(4)),
                    false => assert!(own.passes(&offer(conversation(1), 4))),
                }
            }
            assert!(own.committed.is_empty());
        }
        assert!(!own.passes(&offer(conversation(1), 4)));
    }

    #[test]
    fn d29_what_passed_and_is_never_answered_is_written_after_all_and_counts_from_then_on() {
        let (mut receipts, mut own) = (Receipts::<u64>::default(), OwnSends::default());
        let id = EventId::from_bytes([1; 12]);
        own.expect(id);
        assert!(own.passes(&offer(conversation(1), 4)));
        receipts.give(conversation(1), Seq::new(4));
        receipts.give(conversation(1), Seq::new(5));
        receipts.mark(1, &own);
        assert_eq!(seqs(&receipts.prove(&1)), [3]);
        let withheld = own.expect_no_more(id).map(|offer| offer.seq.get());
        assert_eq!(withheld, Some(4));
        receipts.mark(2, &own);
        assert_eq!(seqs(&receipts.prove(&2)), [5]);
    }

    #[test]
    fn d29_what_is_never_answered_and_has_not_passed_is_nobodys_own_any_more() {
        let mut own = OwnSends::default();
        let id = EventId::from_bytes([1; 12]);
        own.expect(id);
        own.committed(conversation(1), Seq::new(4), id);
        assert!(own.expect_no_more(id).is_none());
        assert!(!own.passes(&offer(conversation(1), 4)));
    }

    #[test]
    fn d29_what_was_answered_is_not_written_besides() {
        let mut own = OwnSends::default();
        let id = EventId::from_bytes([1; 12]);
        own.expect(id);
        own.committed(conversation(1), Seq::new(4), id);
        own.answered(conversation(1), Seq::new(4));
        assert!(own.expect_no_more(id).is_none());
        assert!(own.passes(&offer(conversation(1), 4)));
    }
}
