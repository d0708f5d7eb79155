//! What this gateway knows to be committed: per conversation the newest seq, and who may write as of that seq. The
//! committer guesses from it (D1) and authorises with it (D2). Knows neither the store nor the hub; both tell it.
//!
//! A sender's standing is kept only as long as every event since it was read has been noted, in order: after a gap, or
//! after an event that changes membership, it is forgotten. So an insert at `head + 1` that succeeds was authorised as
//! of everything before it.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::domain::{ConversationId, GatewayId, Seq, UserId};

/// How many conversations are remembered; beyond it, those not touched lately are forgotten and read again.
const CONVERSATIONS: usize = 50_000;
/// How many senders' standings are remembered per conversation; beyond it they are forgotten and read again.
const SENDERS: usize = 4096;

/// The newest committed seq and the senders' standing, per conversation. Bounded.
#[derive(Debug, Default)]
pub struct Frontier(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    known: HashMap<ConversationId, Known>,
    /// Counts touches; a conversation's `touched` tells how long ago it was used.
    now: u64,
}

#[derive(Debug, Default)]
struct Known {
    head: Seq,
    /// When standings were last forgotten, as `Inner::now` counts: a standing read before is not stored after, nor
    /// when the whole conversation was forgotten in between.
    generation: u64,
    may_write: HashMap<UserId, bool>,
    touched: u64,
    /// How many own events must follow until another gateway's last one is forgotten.
    contention: u8,
    /// That one was heard from the bus, so the next one will be.
    is_heard: bool,
    /// Which gateway it was, if it was heard and said so.
    writer: Option<GatewayId>,
}

/// Who has written an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    Own,
    OtherHeard(Option<GatewayId>),
    OtherRead,
}

/// After how many own events in a row a conversation counts as this gateway's alone.
const CONTENTION: u8 = 16;

/// The state of a conversation as of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// The newest committed seq known.
    pub(super) head: Seq,
    /// To be given back with what is read to complete the picture.
    pub(super) generation: u64,
    /// Senders whose membership must be read.
    pub(super) unknown: Vec<UserId>,
    /// Senders who are not members.
    pub(super) refused: Vec<UserId>,
}

impl Frontier {
    /// Notes that an event is committed, as heard from the bus or read from the log after the bus told of it; `writer` is
    /// the gateway that has written it, if that is known.
    pub fn note(
        &self,
        conversation: ConversationId,
        seq: Seq,
        changes_membership: bool,
        writer: Option<GatewayId>,
    ) {
        let writer = Writer::OtherHeard(writer);
        self.advance(conversation, seq, changes_membership, writer);
    }

    /// Notes another gateway's event that was read from the log before the bus told of it.
    pub(super) fn note_read(
        &self,
        conversation: ConversationId,
        seq: Seq,
        changes_membership: bool,
    ) {
        self.advance(conversation, seq, changes_membership, Writer::OtherRead);
    }

    /// Notes an event that this gateway has written.
    pub(super) fn note_own(
        &self,
        conversation: ConversationId,
        seq: Seq,
        changes_membership: bool,
    ) {
        self.advance(conversation, seq, changes_membership, Writer::Own);
    }

    /// Whether another gateway has written to it lately.
    pub(super) fn is_contended(&self, conversation: ConversationId) -> bool {
        let inner = self.0.lock();
        let known = inner.known.get(&conversation);
        known.is_some_and(|known| known.contention > 0)
    }

    /// Whether the bus told of what another gateway has written to it lately.
    pub(super) fn is_overheard(&self, conversation: ConversationId) -> bool {
        let inner = self.0.lock();
        let known = inner.known.get(&conversation);
        known.is_some_and(|known| known.contention > 0 && known.is_heard)
    }

    /// The gateway that has written to it last, when that was another one and the bus told of it.
    pub(super) fn writer(&self, conversation: ConversationId) -> Option<GatewayId> {
        let inner = self.0.lock();
        inner.known.get(&conversation)?.writer
    }

    fn advance(
        &self,
        conversation: ConversationId,
        seq: Seq,
        changes_membership: bool,
        writer: Writer,
    ) {
        let mut inner = self.0.lock();
        let Some(known) = inner.touch(conversation) else {
            let known = Known {
                head: seq,
                ..Known::default()
            };
            inner.insert(conversation, known);
            return;
        };
        if seq <= known.head {
            return;
        }
        let follows = seq == known.head.next();
        known.head = seq;
        match writer {
            Writer::Own => known.contention = known.contention.saturating_sub(1),
            Writer::OtherHeard(writer) => known.contend(true, writer),
            Writer::OtherRead => known.contend(false, None),
        }
        if !follows || changes_membership {
            known.forget_senders();
        }
    }

    /// The newest committed seq known, if any.
    #[must_use]
    pub fn head(&self, conversation: ConversationId) -> Option<Seq> {
        self.0
            .lock()
            .known
            .get(&conversation)
            .map(|known| known.head)
    }

    /// Notes a head that was read from the store.
    pub(super) fn learn_head(&self, conversation: ConversationId, head: Seq) {
        if head == Seq::ZERO {
            self.0.lock().insert_if_absent(conversation);
        } else {
            self.note_read(conversation, head, false);
        }
    }

    /// What is known of these senders as of the head; `None` when not even the head is known.
    pub(super) fn standing(
        &self,
        conversation: ConversationId,
        senders: impl Iterator<Item = UserId>,
    ) -> Option<Standing> {
        let mut inner = self.0.lock();
        let known = inner.touch(conversation)?;
        let mut standing = Standing {
            head: known.head,
            generation: known.generation,
            unknown: Vec::new(),
            refused: Vec::new(),
        };
        for sender in senders {
            let list = match (conversation, known.may_write.get(&sender)) {
                // The id itself names the members of a direct conversation, for ever.
                (ConversationId::Direct(low, high), _) if sender == low || sender == high => {
                    continue;
                }
                (ConversationId::Direct(..), _) | (_, Some(false)) => &mut standing.refused,
                (_, Some(true)) => continue,
                (_, None) => &mut standing.unknown,
            };
            if !list.contains(&sender) {
                list.push(sender);
            }
        }
        Some(standing)
    }

    /// Notes a sender's membership as read after `generation` was current; ignored when it no longer is.
    pub(super) fn learn_sender(
        &self,
        conversation: ConversationId,
        generation: u64,
        sender: UserId,
        may_write: bool,
    ) {
        let mut inner = self.0.lock();
        if let Some(known) = inner.touch(conversation)
            && known.generation == generation
        {
            if known.may_write.len() >= SENDERS {
                known.may_write.clear();
            }
            known.may_write.insert(sender, may_write);
        }
    }

    /// A sender's membership is read again the next time.
    pub(super) fn forget_sender(&self, conversation: ConversationId, sender: UserId) {
        let mut inner = self.0.lock();
        if let Some(known) = inner.touch(conversation) {
            known.may_write.remove(&sender);
        }
    }
}

impl Known {
    fn contend(&mut self, is_heard: bool, writer: Option<GatewayId>) {
        self.contention = CONTENTION;
        self.is_heard = is_heard;
        self.writer = writer;
    }

    fn forget_senders(&mut self) {
        self.generation = self.touched;
        self.may_write.clear();
    }
}

impl Inner {
    fn touch(&mut self, conversation: ConversationId) -> Option<&mut Known> {
        self.now += 1;
        let known = self.known.get_mut(&conversation)?;
        known.touched = self.now;
        Some(known)
    }

    fn insert(&mut self, conversation: ConversationId, mut known: Known) {
        if self.known.len() >= CONVERSATIONS {
            let horizon = self.now.saturating_sub(CONVERSATIONS as u64 / 2);
            self.known.retain(|_, known| known.touched > horizon);
        }
        self.now += 1;
        known.touched = self.now;
        known.generation = self.now;
        self.known.insert(conversation, known);
    }

    fn insert_if_absent(&mut self, conversation: ConversationId) {
        if !self.known.contains_key(&conversation) {
            self.insert(conversation, Known::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RoomId;

    const ROOM: ConversationId = ConversationId::Room(RoomId::from_bytes([1; 12]));

    fn user(byte: u8) -> UserId {
        UserId::from_bytes([byte; 12])
    }

    fn with_member() -> Frontier {
        let frontier = Frontier::default();
        frontier.learn_head(ROOM, Seq::new(5));
        let generation = standing(&frontier).generation;
        frontier.learn_sender(ROOM, generation, user(1), true);
        frontier
    }

    fn standing(frontier: &Frontier) -> Standing {
        frontier.standing(ROOM, [user(1)].into_iter()).unwrap()
    }

    /// Makes the frontier forget what was known before.
    fn crowd(frontier: &Frontier) {
        for number in 0..(CONVERSATIONS as u64 * 2) {
            let mut bytes = [0; 12];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            let other = ConversationId::Room(RoomId::from_bytes(bytes));
            frontier.note(other, Seq::new(1), false, None);
        }
    }

    fn unknown(frontier: &Frontier) -> Vec<UserId> {
        standing(frontier).unknown
    }

    #[test]
    fn d2_a_standing_survives_messages_in_order() {
        let frontier = with_member();
        frontier.note(ROOM, Seq::new(6), false, None);
        assert!(unknown(&frontier).is_empty());
        assert_eq!(frontier.head(ROOM), Some(Seq::new(6)));
    }

    #[test]
    fn d2_a_standing_is_forgotten_after_a_gap_and_after_a_membership_event() {
        for (seq, changes_membership) in [(7, false), (6, true)] {
            let frontier = with_member();
            frontier.note(ROOM, Seq::new(seq), changes_membership, None);
            assert_eq!(unknown(&frontier), [user(1)]);
        }
    }

    #[test]
    fn d2_a_membership_read_before_a_change_was_noted_is_not_believed_after_it() {
        let frontier = Frontier::default();
        frontier.learn_head(ROOM, Seq::new(5));
        let before = standing(&frontier);
        frontier.note(ROOM, Seq::new(6), true, None);
        frontier.learn_sender(ROOM, before.generation, user(1), true);
        assert_eq!(unknown(&frontier), [user(1)]);
    }

    #[test]
    fn d2_a_membership_read_before_the_conversation_was_forgotten_is_not_believed_after_it() {
        let frontier = Frontier::default();
        frontier.learn_head(ROOM, Seq::new(5));
        let before = standing(&frontier);
        crowd(&frontier);
        assert_eq!(frontier.head(ROOM), None);
        // The removal at 6 was noted and forgotten meanwhile.
        frontier.learn_head(ROOM, Seq::new(6));
        frontier.learn_sender(ROOM, before.generation, user(1), true);
        assert_eq!(unknown(&frontier), [user(1)]);
    }

    #[test]
    fn a_direct_conversation_has_its_two_users_and_nobody_else() {
        let direct = ConversationId::direct(user(1), user(2));
        let frontier = Frontier::default();
        frontier.learn_head(direct, Seq::ZERO);
        let standing = frontier
            .standing(direct, [user(1), user(2), user(3)].into_iter())
            .unwrap();
        assert_eq!(
            (standing.unknown, standing.refused),
            (vec![], vec![user(3)])
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let frontier = Frontier::default();
        crowd(&frontier);
        assert!(frontier.0.lock().known.len() <= CONVERSATIONS);
    }
}
