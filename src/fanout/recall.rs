//! What this gateway announced lately (D10): the newest seq of each conversation it committed to, who was added where,
//! and who came or went. No later event reveals it when the last payload of a conversation is lost; so it is told again
//! after any doubt, and what lies further back than this reaches every gateway has to look for itself. Tells nobody.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::{ConversationId, Seq, UserId};

/// How long an announcement is remembered.
const LIFETIME: Duration = Duration::from_secs(30);
/// How many of each kind are; beyond it the older half of that time is forgotten, or all.
const LIMIT: usize = 50_000;

#[derive(Debug)]
pub(super) struct Recall(Mutex<State>);

#[derive(Debug)]
struct State {
    heads: HashMap<ConversationId, (Seq, Instant)>,
    joined: HashMap<(ConversationId, UserId), Instant>,
    /// Users whose coming or going was announced, and when.
    presence: HashMap<UserId, Instant>,
    /// Everything announced since then is remembered.
    complete_since: Instant,
    /// Since when payloads may have been lost, and nothing was announced again yet.
    doubt: Option<Instant>,
    /// When all gateways were last told to look for themselves: that payload may be lost as well.
    gap_told: Option<Instant>,
}

/// What is to be announced again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Again {
    pub(super) heads: Vec<(ConversationId, Seq)>,
    pub(super) joined: Vec<(ConversationId, UserId)>,
    pub(super) presence: Vec<UserId>,
    /// It is not all that may have been lost.
    pub(super) is_incomplete: bool,
}

impl Default for Recall {
    fn default() -> Self {
        Self(Mutex::new(State {
            heads: HashMap::new(),
            joined: HashMap::new(),
            presence: HashMap::new(),
            complete_since: Instant::now(),
            doubt: None,
            gap_told: None,
        }))
    }
}

impl Recall {
    /// This gateway committed an event, and is about to publish it.
    pub(super) fn note(&self, conversation: ConversationId, seq: Seq) {
        let now = Instant::now();
        let mut state = self.0.lock();
        state.make_room(now);
        let (newest, at) = state.heads.entry(conversation).or_insert((seq, now));
        (*newest, *at) = (seq.max(*newest), now);
    }

    /// These users became members, and their gateways are about to be told.
    pub(super) fn note_joined(&self, conversation: ConversationId, users: &[UserId]) {
        let now = Instant::now();
        let mut state = self.0.lock();
        state.make_room(now);
        let joined = users.iter().map(|user| ((conversation, *user), now));
        state.joined.extend(joined);
    }

    /// This user came or went, and watchers are about to be told.
    pub(super) fn note_presence(&self, user: UserId) {
        let now = Instant::now();
        let mut state = self.0.lock();
        state.make_room(now);
        state.presence.insert(user, now);
    }

    /// Payloads published since then may have been lost.
    pub(super) fn doubt(&self, since: Instant) {
        let mut state = self.0.lock();
        state.doubt = Some(state.doubt.map_or(since, |other| other.min(since)));
    }

    /// Forgets what is too old.
    pub(super) fn sweep(&self) {
        self.0.lock().forget(Instant::now(), LIFETIME);
    }

    /// What is to be announced again for the doubts since the last call.
    pub(super) fn again(&self) -> Again {
        let mut guard = self.0.lock();
        let state = &mut *guard;
        let Some(since) = state.doubt.take() else {
            return Again::default();
        };
        let heads = state.heads.iter();
        Again {
            heads: heads.map(|(id, (seq, _))| (*id, *seq)).collect(),
            joined: state.joined.keys().copied().collect(),
            presence: state.presence.keys().copied().collect(),
            is_incomplete: since < state.complete_since
                || state.gap_told.is_some_and(|told| since <= told),
        }
    }

    /// All gateways are told to look for themselves.
    pub(super) fn told_gap(&self, at: Instant) {
        self.0.lock().gap_told = Some(at);
    }
}

impl State {
    fn make_room(&mut self, now: Instant) {
        if self.is_full() {
            self.forget(now, LIFETIME / 2);
        }
        if self.is_full() {
            self.forget(now, Duration::ZERO);
        }
    }

    fn is_full(&self) -> bool {
        [self.heads.len(), self.joined.len(), self.presence.len()]
            .iter()
            .any(|count| *count >= LIMIT)
    }

    fn count(&self) -> usize {
        self.heads.len() + self.joined.len() + self.presence.len()
    }

    fn forget(&mut self, now: Instant, after: Duration) {
        let is_young = |at: Instant| now.duration_since(at) < after;
        let before = self.count();
        self.heads.retain(|_, (_, at)| is_young(*at));
        self.joined.retain(|_, at| is_young(*at));
        self.presence.retain(|_, at| is_young(*at));
        if self.count() < before {
            let oldest = now.checked_sub(after).unwrap_or(now);
            self.complete_since = self.complete_since.max(oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct(number: u32) -> ConversationId {
        let mut id = [0; 12];
        id[..4].copy_from_slice(&number.to_be_bytes());
        ConversationId::direct(UserId::from_bytes(id), UserId::from_bytes([9; 12]))
    }

    #[tokio::test(start_paused = true)]
    async fn d10_what_was_announced_lately_is_announced_again_after_a_doubt() {
        let recall = Recall::default();
        assert_eq!(recall.again(), Again::default());
        let user = UserId::from_bytes([1; 12]);
        recall.note(direct(1), Seq::new(2));
        recall.note(direct(1), Seq::new(1));
        recall.note_joined(direct(1), &[user]);
        recall.note_presence(user);
        recall.doubt(Instant::now());
        let again = recall.again();
        assert_eq!(again.heads, [(direct(1), Seq::new(2))]);
        assert_eq!(again.joined, [(direct(1), user)]);
        assert_eq!(again.presence, [user]);
        assert!(!again.is_incomplete);
        assert_eq!(recall.again(), Again::default());
    }

    #[tokio::test(start_paused = true)]
    async fn d10_a_doubt_that_reaches_back_beyond_what_is_remembered_is_a_gap_for_all() {
        let recall = Recall::default();
        let begun = Instant::now();
        recall.note(direct(1), Seq::new(1));
        tokio::time::advance(LIFETIME + LIFETIME).await;
        recall.sweep();
        recall.doubt(begun);
        assert!(recall.again().is_incomplete);
        recall.doubt(Instant::now());
        assert!(!recall.again().is_incomplete);
    }

    #[tokio::test(start_paused = true)]
    async fn d10_an_overflow_is_a_gap_for_all() {
        let recall = Recall::default();
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        for number in 0..=u32::try_from(LIMIT).unwrap() {
            recall.note(direct(number), Seq::new(1));
        }
        recall.doubt(begun);
        assert!(recall.again().is_incomplete);
    }

    #[tokio::test(start_paused = true)]
    async fn d10_a_gap_that_may_be_lost_itself_is_told_again() {
        let recall = Recall::default();
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        recall.told_gap(Instant::now());
        recall.doubt(begun);
        assert!(recall.again().is_incomplete);
    }
}
