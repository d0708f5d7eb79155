//! What this gateway announced lately (D10): the newest seq of each conversation it committed to, and who was added
//! where. Announced again when payloads may have been lost, or the tail of a conversation stays unseen, since no later
//! event reveals the gap. Where this does not reach back far enough, every gateway is told to look for itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::envelope;
use super::{Hub, announce, channels_of};
use crate::bus::Channel;
use crate::domain::{ConversationId, Seq, UserId};

/// How long an announcement is remembered.
const LIFETIME: Duration = Duration::from_secs(30);
/// How many of each kind are; beyond it the older half of that time is forgotten, or all.
const LIMIT: usize = 50_000;
/// How many are published at once, and the pause after that.
const CHUNK: usize = 500;
const PAUSE: Duration = Duration::from_millis(10);
/// The pause before all gateways are told again.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Heads(Mutex<State>);

#[derive(Debug)]
struct State {
    heads: HashMap<ConversationId, (Seq, Instant)>,
    joined: HashMap<(ConversationId, UserId), Instant>,
    /// Who came or went.
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
struct Again {
    heads: Vec<(ConversationId, Seq)>,
    joined: Vec<(ConversationId, UserId)>,
    presence: Vec<UserId>,
    /// It is not all that may have been lost.
    is_incomplete: bool,
}

impl Default for Heads {
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

impl Heads {
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
    fn again(&self) -> Again {
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

    fn told_gap(&self, at: Instant) {
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

impl Hub {
    /// Payloads of this gateway since then may have been lost: tells again soon how far its conversations reach.
    pub(super) fn announce_again(&self, since: Instant) {
        self.heads.doubt(since);
        self.heads_wanted.notify_one();
    }

    /// At a pace that leaves the publishing queues room for what is live.
    pub(super) async fn announce_again_when_wanted(self: Arc<Self>, stop: CancellationToken) {
        while stop
            .run_until_cancelled(self.heads_wanted.notified())
            .await
            .is_some()
        {
            let again = self.heads.again();
            for heads in again.heads.chunks(CHUNK) {
                self.publish_heads(heads);
                tokio::time::sleep(PAUSE).await;
            }
            for joined in again.joined.chunks(CHUNK) {
                self.publish_joined(joined);
                tokio::time::sleep(PAUSE).await;
            }
            for users in again.presence.chunks(CHUNK) {
                for user in users {
                    self.hint_presence(*user, self.users.is_here(*user));
                }
                tokio::time::sleep(PAUSE).await;
            }
            if again.is_incomplete {
                self.tell_gap().await;
            }
        }
    }

    fn publish_heads(&self, heads: &[(ConversationId, Seq)]) {
        for (conversation, seq) in heads {
            self.metrics.hints.heads_republished.increment(1);
            let payload = envelope::encode_head(*conversation, *seq);
            for channel in channels_of(*conversation) {
                self.publish(channel, announce::lane(*conversation), payload.clone());
            }
        }
    }

    fn publish_joined(&self, joined: &[(ConversationId, UserId)]) {
        for (conversation, user) in joined {
            let payload = envelope::encode_joined(*conversation);
            let lane = announce::lane(*conversation);
            self.publish(Channel::User(*user), lane, payload);
        }
    }

    /// Tells every gateway, on its own channel, that payloads of this one are lost. While presence cannot say which
    /// there are Redis is away for all of them, and its return makes each look for itself; the next doubt asks again.
    async fn tell_gap(&self) {
        let at = Instant::now();
        self.heads.told_gap(at);
        match self.presence.gateways().await {
            Ok(gateways) => gateways.into_iter().for_each(|gateway| {
                let payload: Bytes = envelope::encode_gap();
                self.bus
                    .publish(Channel::Gateway(gateway), gateway.to_u64(), payload);
            }),
            Err(error) => {
                tracing::warn!(%error, "other gateways are not told of a gap, trying again");
                tokio::time::sleep(RETRY).await;
                self.announce_again(at);
            }
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
        let heads = Heads::default();
        assert_eq!(heads.again(), Again::default());
        let user = UserId::from_bytes([1; 12]);
        heads.note(direct(1), Seq::new(2));
        heads.note(direct(1), Seq::new(1));
        heads.note_joined(direct(1), &[user]);
        heads.note_presence(user);
        heads.doubt(Instant::now());
        let again = heads.again();
        assert_eq!(again.heads, [(direct(1), Seq::new(2))]);
        assert_eq!(again.joined, [(direct(1), user)]);
        assert_eq!(again.presence, [user]);
        assert!(!again.is_incomplete);
        assert_eq!(heads.again(), Again::default());
    }

    #[tokio::test(start_paused = true)]
    async fn d10_a_doubt_that_reaches_back_beyond_what_is_remembered_is_a_gap_for_all() {
        let heads = Heads::default();
        let begun = Instant::now();
        heads.note(direct(1), Seq::new(1));
        tokio::time::advance(LIFETIME + LIFETIME).await;
        heads.sweep();
        heads.doubt(begun);
        assert!(heads.again().is_incomplete);
        heads.doubt(Instant::now());
        assert!(!heads.again().is_incomplete);
    }

    #[tokio::test(start_paused = true)]
    async fn d10_an_overflow_is_a_gap_for_all() {
        let heads = Heads::default();
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        for number in 0..=u32::try_from(LIMIT).unwrap() {
            heads.note(direct(number), Seq::new(1));
        }
        heads.doubt(begun);
        assert!(heads.again().is_incomplete);
    }

    #[tokio::test(start_paused = true)]
    async fn d10_a_gap_that_may_be_lost_itself_is_told_again() {
        let heads = Heads::default();
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        heads.told_gap(Instant::now());
        heads.doubt(begun);
        assert!(heads.again().is_incomplete);
    }
}
