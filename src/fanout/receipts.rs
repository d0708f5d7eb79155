//! What one session was given, and what of it is proved received (D28). Knows neither the outbox nor the cursors; the
//! session asks it.

use std::collections::{HashMap, VecDeque};

use super::own_sends::OwnSends;
use crate::domain::{ConversationId, Seq};

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
}

impl<Mark> Default for Receipts<Mark> {
    fn default() -> Self {
        Self {
            given: Heads::new(),
            marked: VecDeque::new(),
        }
    }
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

    /// Everything given so far comes before this mark; but a send of the session's own, and what follows it, only once its
    /// answer was written (D29).
    pub(super) fn mark(&mut self, mark: Mark, own: &OwnSends) {
        let mut given = std::mem::take(&mut self.given);
        let mut held_back = Heads::new();
        for (conversation, seq) in &mut given {
            let unanswered = own.first_unanswered(*conversation);
            let unanswered = unanswered.filter(|first| first <= seq);
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
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::UserId;

    pub(in super::super) fn conversation(byte: u8) -> ConversationId {
        ConversationId::direct(UserId::from_bytes([byte; 12]), UserId::from_bytes([0; 12]))
    }

    pub(in super::super) fn seqs(heads: &Heads) -> Vec<u64> {
        let mut seqs: Vec<_> = heads.values().map(|seq| seq.get()).collect();
        seqs.sort_unstable();
        seqs
    }

    #[test]
    fn d28_only_what_came_before_a_proved_mark_is_proved() {
        let mut receipts = Receipts::<u64>::default();
        assert!(receipts.give(conversation(1), Seq::new(1)));
        assert!(!receipts.give(conversation(2), Seq::new(5)));
        receipts.mark(1, &OwnSends::default());
        receipts.give(conversation(1), Seq::new(2));
        assert_eq!(seqs(&receipts.prove(&1)), [1, 5]);
        assert!(!receipts.is_settled());
        receipts.mark(2, &OwnSends::default());
        assert_eq!(seqs(&receipts.prove(&2)), [2]);
        assert!(receipts.is_settled());
    }

    #[test]
    fn d28_a_later_proof_proves_the_earlier_marks_too() {
        let mut receipts = Receipts::<u64>::default();
        for seq in 1..=3 {
            receipts.give(conversation(1), Seq::new(seq));
            receipts.mark(seq, &OwnSends::default());
        }
        assert_eq!(seqs(&receipts.prove(&2)), [2]);
        assert_eq!(seqs(&receipts.prove(&3)), [3]);
    }

    #[test]
    fn one_mark_too_many_takes_the_place_of_the_last() {
        let mut receipts = Receipts::<u64>::default();
        let marks = MARKS as u64 + 3;
        for seq in 1..=marks {
            receipts.give(conversation(1), Seq::new(seq));
            receipts.mark(seq, &OwnSends::default());
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
