//! What this gateway knows to be committed: per conversation the newest seq, and who may write as of that seq. The
//! committer guesses from it (D1) and authorises with it (D2). Knows neither the store nor the hub; both tell it.
//!
//! What the bus tells is kept apart: it says that there is something to be read, and by whom, and moves nothing (D50).
//!
//! A sender's standing is kept only as long as every event since it was read has been noted, in order: after a gap, or
//! after an event that changes membership, it is forgotten. So an insert at `head + 1` that succeeds was authorised as
//! of everything before it.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::domain::{ConversationId, GatewayId, Member, Role, Seq, UserId, make_room};

/// How many conversations are remembered; beyond it, those not touched lately are forgotten and read again.
const CONVERSATIONS: usize = 50_000;
/// How many senders' standings are remembered per conversation; beyond it they are forgotten and read again.
const SENDERS: usize = 4096;

/// The newest committed seq and the senders' standing, per conversation. Bounded.
#[derive(Debug, Default)]
pub struct Frontier(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    known: HashMap<ConversationId, KnownConversation>,
    /// Counts touches; a conversation's `touched` tells how long ago it was used.
    now: u64,
}

#[derive(Debug, Default)]
struct KnownConversation {
    /// The newest seq that this gateway has stored, or has read from the store.
    head: Seq,
    /// The newest that the bus has told of; behind the head when there is nothing to be read.
    heard: Seq,
    /// When standings were last forgotten, as `State::now` counts: a standing read before is not stored after, nor
    /// when the whole conversation was forgotten in between.
    generation: u64,
    members: HashMap<UserId, Option<Membership>>,
    touched: u64,
    /// How many own events must follow until another gateway's last one is forgotten.
    contention: u8,
    /// That one was heard from the bus, so the next one will be.
    is_heard: bool,
    /// Which gateway it was, if it was heard and said so.
    writer: Option<GatewayId>,
}

/// What is to be known of an active member to decide what they may do.
#[derive(Debug, Clone, Copy)]
struct Membership {
    role: Role,
    joined_seq: Seq,
}

/// Which gateway has written an event: this one or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EventOrigin {
    Own,
    Other,
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
    /// Notes what the bus tells: the log is said to reach to here, by the gateway that has written that, if it said so.
    /// It is a hint, and no place is guessed from it before the store has confirmed it (D50).
    pub fn hear(&self, conversation: ConversationId, seq: Seq, writer: Option<GatewayId>) {
        let mut inner = self.0.lock();
        if let Some(known) = inner.touch(conversation)
            && seq > known.head.max(known.heard)
        {
            known.heard = seq;
            known.contend(true, writer);
        }
    }

    /// Notes an event that was read from the log.
    pub fn note_read(&self, conversation: ConversationId, seq: Seq, changes_membership: bool) {
        self.advance(conversation, seq, changes_membership, EventOrigin::Other);
    }

    /// Notes an event that this gateway has written.
    pub(super) fn note_own(
        &self,
        conversation: ConversationId,
        seq: Seq,
        changes_membership: bool,
    ) {
        self.advance(conversation, seq, changes_membership, EventOrigin::Own);
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
        writer: EventOrigin,
    ) {
        let mut inner = self.0.lock();
        let Some(known) = inner.touch(conversation) else {
            let known = KnownConversation {
                head: seq,
                ..KnownConversation::default()
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
            EventOrigin::Own => known.contention = known.contention.saturating_sub(1),
            // The bus has told of it, and perhaps whose it is.
            EventOrigin::Other if seq <= known.heard => known.contention = CONTENTION,
            EventOrigin::Other => known.contend(false, None),
        }
        if !follows || changes_membership {
            known.forget_senders();
        }
    }

    /// Behind which event, and up to which, the bus has told of events that were not read yet; none when it has not.
    pub(super) fn unread(&self, conversation: ConversationId) -> Option<(Seq, Seq)> {
        let inner = self.0.lock();
        let known = inner.known.get(&conversation)?;
        (known.heard > known.head).then_some((known.head, known.heard))
    }

    /// The newest seq that is known or said to be committed, if any: only to tell who writes, never where.
    pub(super) fn heard(&self, conversation: ConversationId) -> Option<Seq> {
        let inner = self.0.lock();
        let known = inner.known.get(&conversation)?;
        Some(known.head.max(known.heard))
    }

    /// The store was asked for what the bus has told of: what it did not show is not believed any longer.
    pub(super) fn confirmed(&self, conversation: ConversationId) {
        let mut inner = self.0.lock();
        if let Some(known) = inner.known.get_mut(&conversation) {
            known.heard = known.head;
        }
    }

    /// The store was asked only for the head: who may write as of it is to be read anew.
    pub(super) fn confirm_head(&self, conversation: ConversationId, head: Seq) {
        let mut inner = self.0.lock();
        if let Some(known) = inner.touch(conversation) {
            if head > known.head {
                known.head = head;
                known.forget_senders();
            }
            known.heard = known.head;
        }
    }

    /// The newest seq known to be committed, if any.
    #[must_use]
    pub fn head(&self, conversation: ConversationId) -> Option<Seq> {
        self.0
            .lock()
            .known
            .get(&conversation)
            .map(|known| known.head)
    }

    /// Notes a head that was read from the store without what lies before it, which may have changed who may write.
    pub(super) fn learn_head(&self, conversation: ConversationId, head: Seq) {
        if head == Seq::ZERO {
            self.0.lock().insert_if_absent(conversation);
        } else {
            self.note_read(conversation, head, true);
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
            let list = match (conversation, known.members.get(&sender)) {
                // The id itself names the members of a direct conversation, for ever.
                (ConversationId::Direct(low, high), _) if sender == low || sender == high => {
                    continue;
                }
                (ConversationId::Direct(..), _) | (_, Some(None)) => &mut standing.refused,
                (_, Some(Some(_))) => continue,
                (_, None) => &mut standing.unknown,
            };
            if !list.contains(&sender) {
                list.push(sender);
            }
        }
        Some(standing)
    }

    /// A sender's active membership, but for the cursors, which are not known; none when they are not known any more.
    pub(super) fn member(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Option<Option<Member>> {
        let member = |role, joined_seq| Member::joining(conversation, user, role, joined_seq);
        match conversation {
            ConversationId::Direct(low, high) => {
                let belongs = user == low || user == high;
                Some(belongs.then(|| member(Role::Member, Seq::new(1))))
            }
            ConversationId::Room(_) => {
                let inner = self.0.lock();
                let membership = *inner.known.get(&conversation)?.members.get(&user)?;
                Some(membership.map(|known| member(known.role, known.joined_seq)))
            }
        }
    }

    /// Notes a sender's membership as read after `generation` was current; ignored when it no longer is.
    pub(super) fn learn_sender(
        &self,
        conversation: ConversationId,
        generation: u64,
        sender: UserId,
        member: Option<&Member>,
    ) {
        let mut inner = self.0.lock();
        if let Some(known) = inner.touch(conversation)
            && known.generation == generation
        {
            if known.members.len() >= SENDERS {
                known.members.clear();
            }
            let active = member.filter(|member| member.is_active());
            let membership = active.map(|member| Membership {
                role: member.role,
                joined_seq: member.joined_seq,
            });
            known.members.insert(sender, membership);
        }
    }

    /// A sender's membership is read again the next time.
    pub(super) fn forget_sender(&self, conversation: ConversationId, sender: UserId) {
        let mut inner = self.0.lock();
        if let Some(known) = inner.touch(conversation) {
            known.members.remove(&sender);
        }
    }
}

impl KnownConversation {
    fn contend(&mut self, is_heard: bool, writer: Option<GatewayId>) {
        self.contention = CONTENTION;
        self.is_heard = is_heard;
        self.writer = writer;
    }

    fn forget_senders(&mut self) {
        self.generation = self.touched;
        self.members.clear();
    }
}

impl State {
    fn touch(&mut self, conversation: ConversationId) -> Option<&mut KnownConversation> {
        self.now += 1;
        let known = self.known.get_mut(&conversation)?;
        known.touched = self.now;
        Some(known)
    }

    fn insert(&mut self, conversation: ConversationId, mut known: KnownConversation) {
        let horizon = self.now.saturating_sub(CONVERSATIONS as u64 / 2);
        let is_young = |known: &KnownConversation| known.touched > horizon;
        make_room(&mut self.known, CONVERSATIONS, &conversation, is_young);
        self.now += 1;
        known.touched = self.now;
        known.generation = self.now;
        self.known.insert(conversation, known);
    }

    fn insert_if_absent(&mut self, conversation: ConversationId) {
        if !self.known.contains_key(&conversation) {
            self.insert(conversation, KnownConversation::default());
        }
    }
}

#[cfg(test)]
mod tests;
