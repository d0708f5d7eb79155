//! What one session was given and what of it is proved received (D28), and the sends of its own whose answer is the
//! offer (D29). Knows neither the outbox nor the cursors; the session asks it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::offer::Offer;
use crate::domain::{ConversationId, EventId, Seq};

/// How many marks may wait for their proof; the outbox has at most one ping on its way and coalesces the others. One more
/// takes the place of the last, and proves what that one would have.
const MARKS: usize = 4;

/// Seqs by conversation.
pub(super) type Heads = HashMap<ConversationId, Seq>;

/// Book-keeping of one session. `Mark` is the outbox's: marks of one outbox are ordered.
#[derive(Debug)]
pub(super) struct Receipts<Mark> {
    /// Given since the last mark: the highest seq per conversation.
    given: Heads,
    /// Given before a mark whose proof has not arrived.
    marked: VecDeque<(Mark, Heads)>,
    /// Direct messages this session is sending, until they are answered: the log may show one before the committer
    /// says where it is.
    expected: HashSet<EventId>,
    /// Own sends in direct conversations that are committed but not yet both answered and passed.
    own: BTreeMap<(ConversationId, Seq), Own>,
}

impl<Mark> Default for Receipts<Mark> {
    fn default() -> Self {
        Self {
            given: Heads::new(),
            marked: VecDeque::new(),
            expected: HashSet::new(),
            own: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Default)]
struct Own {
    id: Option<EventId>,
    answered: bool,
    /// The session's position has passed it without its being written.
    passed: Option<Arc<Offer>>,
}

impl<Mark: Ord> Receipts<Mark> {
    /// An event was put into the outbox, or passed because its answer shows it. True when nothing was waiting for a
    /// mark before.
    pub(super) fn give(&mut self, conversation: ConversationId, seq: Seq) -> bool {
        let was_empty = self.given.is_empty();
        self.given.insert(conversation, seq);
        was_empty
    }

    /// Whether there is something a mark would prove, and room for one.
    #[must_use]
    pub(super) fn wants_mark(&self) -> bool {
        !self.given.is_empty() && self.marked.len() < MARKS
    }

    /// Whether something given is not marked yet.
    #[must_use]
    pub(super) fn has_unmarked(&self) -> bool {
        !self.given.is_empty()
    }

    /// Everything given so far comes before this mark.
    pub(super) fn mark(&mut self, mark: Mark) {
        let mut given = std::mem::take(&mut self.given);
        let mut held_back = Heads::new();
        for (conversation, seq) in &mut given {
            let unanswered = self
                .first_unanswered(*conversation)
                .filter(|first| first <= seq);
            if let Some(first) = unanswered {
                held_back.insert(*conversation, *seq);
                *seq = first.previous();
            }
        }
        self.given = held_back;
        if self.marked.len() >= MARKS
            && let Some((_, last)) = self.marked.pop_back()
        {
            for (conversation, seq) in last {
                given.entry(conversation).or_insert(seq);
            }
        }
        self.marked.push_back((mark, given));
    }

    /// Everything before this mark was received: the cursors to move.
    #[must_use]
    pub(super) fn prove(&mut self, mark: &Mark) -> Heads {
        let mut proved = Heads::new();
        while self
            .marked
            .front()
            .is_some_and(|(earlier, _)| earlier <= mark)
        {
            proved.extend(
                self.marked
                    .pop_front()
                    .into_iter()
                    .flat_map(|(_, heads)| heads),
            );
        }
        proved.retain(|_, seq| *seq > Seq::ZERO);
        proved
    }

    /// Whether everything given is proved.
    #[must_use]
    pub(super) fn is_settled(&self) -> bool {
        self.given.is_empty() && self.marked.is_empty()
    }

    /// The session is sending this message.
    pub(super) fn expect(&mut self, id: EventId) {
        self.expected.insert(id);
    }

    /// Its answer was written; or none will be, that shows it: then it is an event like all others, and what was passed
    /// because its answer would show it has to be written after all (D29).
    #[must_use]
    pub(super) fn expect_no_more(&mut self, id: EventId) -> Option<Arc<Offer>> {
        self.expected.remove(&id);
        let mut withheld = None;
        self.own.retain(|_, own| {
            let is_unshown = own.id == Some(id) && !own.answered;
            if is_unshown {
                withheld = own.passed.take();
            }
            !is_unshown
        });
        withheld
    }

    /// An event with this id passes: when it is expected, it is the session's own from now on.
    pub(super) fn recognise(&mut self, conversation: ConversationId, seq: Seq, id: EventId) {
        if self.expected.remove(&id) {
            self.own_committed(conversation, seq, Some(id));
        }
    }

    /// Everything up to here was acknowledged by the client.
    pub(super) fn acknowledge(&mut self, conversation: ConversationId, seq: Seq) {
        if self
            .given
            .get(&conversation)
            .is_some_and(|given| *given <= seq)
        {
            self.given.remove(&conversation);
        }
    }

    /// A send of this session was committed; its answer is not written yet.
    pub(super) fn own_committed(
        &mut self,
        conversation: ConversationId,
        seq: Seq,
        id: Option<EventId>,
    ) {
        let own = self.own.entry((conversation, seq)).or_default();
        own.id = own.id.or(id);
    }

    /// Its answer was written, or nobody wants one.
    pub(super) fn own_answered(&mut self, conversation: ConversationId, seq: Seq) {
        self.update_own(conversation, seq, |own| own.answered = true);
    }

    /// The session's position passes this event: whether it was the session's own, and need not be written.
    pub(super) fn own_passes(&mut self, offer: &Arc<Offer>) -> bool {
        self.update_own(offer.conversation, offer.seq, |own| {
            own.passed = Some(Arc::clone(offer));
        })
    }

    fn update_own(
        &mut self,
        conversation: ConversationId,
        seq: Seq,
        update: impl FnOnce(&mut Own),
    ) -> bool {
        let Some(own) = self.own.get_mut(&(conversation, seq)) else {
            return false;
        };
        update(own);
        if own.answered && own.passed.is_some() {
            self.own.remove(&(conversation, seq));
        }
        true
    }

    fn first_unanswered(&self, conversation: ConversationId) -> Option<Seq> {
        self.own
            .range((conversation, Seq::ZERO)..=(conversation, Seq::MAX))
            .find(|(_, own)| !own.answered)
            .map(|((_, seq), _)| *seq)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::offer::{Effect, Encoded};
    use super::*;
    use crate::domain::UserId;

    fn offer(conversation: ConversationId, seq: u64) -> Arc<Offer> {
        Arc::new(Offer {
            conversation,
            at: None,
            seq: Seq::new(seq),
            effect: Effect::None,
            id: None,
            writer: None,
            traced: None,
            encoded: Some(Encoded::new("receive_message", Bytes::new())),
        })
    }

    fn conversation(byte: u8) -> ConversationId {
        ConversationId::direct(UserId::from_bytes([byte; 12]), UserId::from_bytes([0; 12]))
    }

    fn seqs(heads: &Heads) -> Vec<u64> {
        let mut seqs: Vec<_> = heads.values().map(|seq| seq.get()).collect();
        seqs.sort_unstable();
        seqs
    }

    #[test]
    fn d28_only_what_came_before_a_proved_mark_is_proved() {
        let mut receipts = Receipts::<u64>::default();
        assert!(receipts.give(conversation(1), Seq::new(1)));
        assert!(!receipts.give(conversation(2), Seq::new(5)));
        receipts.mark(1);
        receipts.give(conversation(1), Seq::new(2));
        assert_eq!(seqs(&receipts.prove(&1)), [1, 5]);
        assert!(!receipts.is_settled());
        receipts.mark(2);
        assert_eq!(seqs(&receipts.prove(&2)), [2]);
        assert!(receipts.is_settled());
    }

    #[test]
    fn d28_a_later_proof_proves_the_earlier_marks_too() {
        let mut receipts = Receipts::<u64>::default();
        for seq in 1..=3 {
            receipts.give(conversation(1), Seq::new(seq));
            receipts.mark(seq);
        }
        assert_eq!(seqs(&receipts.prove(&2)), [2]);
        assert_eq!(seqs(&receipts.prove(&3)), [3]);
    }

    #[test]
    fn d29_a_send_counts_as_given_only_once_its_answer_is_written() {
        let mut receipts = Receipts::<u64>::default();
        receipts.own_committed(conversation(1), Seq::new(4), None);
        assert!(receipts.own_passes(&offer(conversation(1), 4)));
        receipts.give(conversation(1), Seq::new(4));
        receipts.mark(1);
        assert_eq!(seqs(&receipts.prove(&1)), [3]);
        receipts.own_answered(conversation(1), Seq::new(4));
        receipts.mark(2);
        assert_eq!(seqs(&receipts.prove(&2)), [4]);
    }

    #[test]
    fn an_own_send_is_forgotten_when_answered_and_passed_in_either_order() {
        let mut receipts = Receipts::<u64>::default();
        for order in [true, false] {
            receipts.own_committed(conversation(1), Seq::new(4), None);
            for step in [order, !order] {
                match step {
                    true => receipts.own_answered(conversation(1), Seq::new(4)),
                    false => assert!(receipts.own_passes(&offer(conversation(1), 4))),
                }
            }
            assert!(receipts.own.is_empty());
        }
        assert!(!receipts.own_passes(&offer(conversation(1), 4)));
    }

    #[test]
    fn d29_what_passed_and_is_never_answered_is_written_after_all_and_counts_from_then_on() {
        let mut receipts = Receipts::<u64>::default();
        let id = EventId::from_bytes([1; 12]);
        receipts.expect(id);
        receipts.recognise(conversation(1), Seq::new(4), id);
        assert!(receipts.own_passes(&offer(conversation(1), 4)));
        receipts.give(conversation(1), Seq::new(4));
        receipts.give(conversation(1), Seq::new(5));
        receipts.mark(1);
        assert_eq!(seqs(&receipts.prove(&1)), [3]);
        let withheld = receipts.expect_no_more(id).map(|offer| offer.seq.get());
        assert_eq!(withheld, Some(4));
        receipts.mark(2);
        assert_eq!(seqs(&receipts.prove(&2)), [5]);
    }

    #[test]
    fn d29_what_is_never_answered_and_has_not_passed_is_nobodys_own_any_more() {
        let mut receipts = Receipts::<u64>::default();
        let id = EventId::from_bytes([1; 12]);
        receipts.expect(id);
        receipts.own_committed(conversation(1), Seq::new(4), Some(id));
        assert!(receipts.expect_no_more(id).is_none());
        assert!(!receipts.own_passes(&offer(conversation(1), 4)));
    }

    #[test]
    fn d29_what_was_answered_is_not_written_besides() {
        let mut receipts = Receipts::<u64>::default();
        let id = EventId::from_bytes([1; 12]);
        receipts.expect(id);
        receipts.own_committed(conversation(1), Seq::new(4), Some(id));
        receipts.own_answered(conversation(1), Seq::new(4));
        assert!(receipts.expect_no_more(id).is_none());
        assert!(receipts.own_passes(&offer(conversation(1), 4)));
    }

    #[test]
    fn one_mark_too_many_takes_the_place_of_the_last() {
        let mut receipts = Receipts::<u64>::default();
        let marks = MARKS as u64 + 3;
        for seq in 1..=marks {
            receipts.give(conversation(1), Seq::new(seq));
            receipts.mark(seq);
        }
        assert_eq!(receipts.marked.len(), MARKS);
        assert!(
            seqs(&receipts.prove(&(marks - 1)))
                .iter()
                .all(|seq| *seq < marks - 1)
        );
        assert_eq!(seqs(&receipts.prove(&marks)), [marks]);
        assert!(receipts.is_settled());
    }
}
