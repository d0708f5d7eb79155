//! Works through one conversation's lane: authorise, guess, insert, and try again until everything is settled. What an
//! insert's outcome means to those who wait is next door, in `outcomes.rs`.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::delegation::GATHER;
use super::pending::{Pending, Work};
use super::{CommitError, Shared};
use crate::commit::batcher::Appended;
use crate::commit::frontier::Standing;
use crate::domain::{Change, ConversationId, Entropy, Event, Member, UserId};
use crate::store::{Changed, NewConversation, NewMessage, Run, StoreError, StoreResult};

/// The first wait after a conflict that a majority read cannot explain yet, or after an unknown outcome.
const BACKOFF: Duration = Duration::from_millis(2);
/// The longest wait.
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// The longest wait after a conflict that is explained, when it was not the first in a row (D2): two gateways that
/// write alternately step out of each other's way.
const STEP_ASIDE: Duration = Duration::from_millis(2);

/// The most messages in a run of a gateway that writes for others. What is delegated arrives while a run is on its way and
/// waits for its end, so that with long runs it would have every second turn only. Seen in one room of forty senders with
/// eight under way each: of 128 messages, the slowest sender had half of the mean; of 64, two thirds, and a fifth fewer
/// messages came through.
pub(super) const FOR_OTHERS: usize = 96;

/// How many memberships are read at once.
const READS: usize = 16;

pub(super) type PendingMessage = Box<Pending<NewMessage, Arc<Event>>>;

/// What an attempt has brought.
pub(super) enum Progress {
    /// Something is known that was not: try again at once.
    Some,
    /// Another gateway was first, and what it wrote is known: try again, at once or nearly so (D2).
    Conflict,
    /// Nothing is: wait a little.
    None,
    /// An insert's outcome is unknown: wait a little (D5).
    Unknown,
}

impl Shared {
    /// Drives a lane until it is empty. A panic is the outcome of its portion only: the lane keeps its driver, and the
    /// portion's room is free again.
    pub(super) async fn drive(&self, conversation: ConversationId) {
        loop {
            let limit = self.portion(conversation).await;
            let Some(portion) = self.lanes.next(conversation, limit) else {
                break;
            };
            let share = portion.share;
            let work = AssertUnwindSafe(self.work_off(conversation, portion.work));
            if work.catch_unwind().await.is_err() {
                // Its senders' answers were dropped, which they read as "unavailable".
                let count = share.count;
                tracing::error!(count, "a driver of the committer has panicked");
            }
            self.lanes.done(conversation, share);
        }
    }

    /// How many messages of a lane are worked on together: its share of what can be inserted, and less where others
    /// delegate. All there are, where another gateway writes, since in its lane they stand in line with its own; a little
    /// later, so that there are more.
    async fn portion(&self, conversation: ConversationId) -> usize {
        if self.writers.other(conversation).is_some() {
            tokio::time::sleep(GATHER).await;
            Run::LIMIT
        } else if self.writers.writes_for_others(conversation) {
            self.lanes.share().min(FOR_OTHERS)
        } else {
            self.lanes.share()
        }
    }

    async fn work_off(&self, conversation: ConversationId, portion: Vec<Work>) {
        let mut messages = VecDeque::with_capacity(portion.len());
        for work in portion {
            match work {
                Work::Message(pending) => messages.push_back(pending),
                Work::Change(pending) => self.make_change(pending).await,
                Work::Conversation(pending) => self.make_conversation(pending).await,
            }
        }
        self.commit_messages(conversation, messages).await;
    }

    /// Makes a change; one whose outcome is unknown is made again under the same event id until it is known (D5). One
    /// whose sender was told "unavailable" before its turn came is not begun: nobody expects it any more.
    async fn make_change(&self, mut pending: Box<Pending<Change, Changed>>) {
        if pending.is_given_up(Instant::now()) {
            return;
        }
        let mut backoff = Backoff::new();
        let result = loop {
            match self.change_log(&pending.subject).await {
                Err(StoreError::Unavailable(cause)) => {
                    tracing::warn!(cause, "unknown outcome of a change, trying again");
                    backoff.wait(&self.entropy).await;
                }
                result => break result,
            }
        };
        if let Ok(Changed::Applied(event)) = &result {
            self.committed(&Arc::new((**event).clone()), pending.claim_origin(), None);
        }
        pending.settle(result.map_err(CommitError::from));
    }

    /// Makes a conversation, likewise; and announces it to its members, or they would stay deaf to it until they
    /// reconnect (D46). After an unknown outcome "it is there already" is no reason not to: this call may have made it.
    /// The event that a room begins with comes before the hint: whoever follows that finds it in the log (D53).
    async fn make_conversation(&self, mut pending: Box<Pending<NewConversation, ()>>) {
        if pending.is_given_up(Instant::now()) {
            return;
        }
        let mut backoff = Backoff::new();
        let mut is_in_doubt = false;
        let result = loop {
            match self.store_conversation(&pending.subject).await {
                Err(StoreError::Unavailable(cause)) => {
                    tracing::warn!(
                        cause,
                        "unknown whether a conversation is made, trying again"
                    );
                    is_in_doubt = true;
                    backoff.wait(&self.entropy).await;
                }
                result => break result,
            }
        };
        if result.as_ref().is_ok_and(|is_new| *is_new || is_in_doubt) {
            if let Some(created) = pending.subject.first_event() {
                self.committed(created, pending.claim_origin(), None);
            }
            let users = pending.subject.users();
            self.announce.joined(pending.subject.id(), &users);
        }
        pending.settle(result.map(|_| ()).map_err(CommitError::from));
    }

    /// Whether it was not there before.
    async fn store_conversation(&self, new: &NewConversation) -> StoreResult<bool> {
        match new {
            NewConversation::Direct(conversation, at) => {
                self.store.ensure_direct(*conversation, *at).await
            }
            NewConversation::Room(room) => {
                self.store.create_room(room.clone()).await.map(|()| true)
            }
        }
    }

    async fn change_log(&self, change: &Change) -> StoreResult<Changed> {
        if self.frontier.head(change.conversation).is_none() {
            self.store.clamp_cursors(change.conversation).await?;
        }
        self.store.change(change).await
    }

    async fn commit_messages(
        &self,
        conversation: ConversationId,
        mut pending: VecDeque<PendingMessage>,
    ) {
        let mut backoff = Backoff::new();
        let mut conflicts = 0_u32;
        loop {
            drop_abandoned(&mut pending);
            if pending.is_empty() {
                return;
            }
            let progress = match self.attempt(conversation, &mut pending).await {
                Ok(progress) => progress,
                Err(error) => postpone(&error, &mut pending),
            };
            conflicts = match progress {
                Progress::Conflict => conflicts + 1,
                _ => 0,
            };
            match progress {
                Progress::Some => backoff = Backoff::new(),
                Progress::Conflict => {
                    backoff = Backoff::new();
                    self.lost_places(conversation, conflicts);
                    if conflicts > 1 {
                        tokio::time::sleep(self.entropy.jitter(STEP_ASIDE)).await;
                    }
                }
                Progress::None => backoff.wait(&self.entropy).await,
                Progress::Unknown => {
                    let held = pending.len() as f64;
                    self.metrics.unknown_held.increment(held);
                    backoff.wait(&self.entropy).await;
                    self.metrics.unknown_held.decrement(held);
                }
            }
        }
    }

    /// Authorises what is pending, inserts it at the guess, and settles what can be settled.
    async fn attempt(
        &self,
        conversation: ConversationId,
        pending: &mut VecDeque<PendingMessage>,
    ) -> StoreResult<Progress> {
        if let Some(writer) = self.writer_of(conversation, pending) {
            return self.delegate(writer, conversation, pending).await;
        }
        self.confirm(conversation, pending).await?;
        if pending.is_empty() {
            return Ok(Progress::Some);
        }
        let standing = self.complete_standing(conversation, pending).await?;
        if !standing.refused.is_empty() {
            return self.refuse(conversation, &standing, pending).await;
        }
        let run = Run {
            conversation,
            first: standing.head.next(),
            messages: pending
                .iter()
                .map(|waiting| waiting.subject.clone())
                .collect(),
        };
        let first = run.first;
        let Appended { outcome, batch } = self.insert(run, pending).await;
        self.settle_stored(conversation, first, (outcome.committed, batch), pending);
        match outcome.stopped {
            None => Ok(Progress::Some),
            Some(stop) => {
                let place = (first, first.plus(outcome.committed as u64));
                self.stopped(conversation, place, stop, pending).await
            }
        }
    }

    /// Inserts a run: shared with others, unless its last outcome was unknown. Then whatever holds this conversation
    /// up may hold up the next insert as well, and should hold up nobody else's.
    async fn insert(&self, run: Run, pending: &VecDeque<PendingMessage>) -> Appended {
        if pending.iter().any(|waiting| waiting.attempted.is_some()) {
            self.batcher.append_alone(run).await
        } else {
            let is_contended = self.frontier.is_contended(run.conversation)
                && !self.writers.writes_for_others(run.conversation);
            self.batcher.append(run, is_contended).await
        }
    }

    /// The head and every pending sender's standing as of it: the head is read first, the memberships second (D2). What
    /// is not known here may have been restored: before the log grows past a cursor that is beyond it, that is clamped
    /// (D37).
    async fn complete_standing(
        &self,
        conversation: ConversationId,
        pending: &VecDeque<PendingMessage>,
    ) -> StoreResult<Standing> {
        loop {
            let senders = pending.iter().map(|waiting| waiting.subject.sender);
            let Some(standing) = self.frontier.standing(conversation, senders) else {
                self.store.clamp_cursors(conversation).await?;
                let heads = self.store.heads(&[conversation]).await?;
                let head = heads.get(&conversation).copied().unwrap_or_default();
                self.frontier.learn_head(conversation, head);
                continue;
            };
            if standing.unknown.is_empty() {
                return Ok(standing);
            }
            let reads = stream::iter(standing.unknown).map(|sender| async move {
                let member = self.store.member(conversation, sender).await?;
                StoreResult::Ok((sender, member.as_ref().is_some_and(Member::is_active)))
            });
            let read: Vec<(UserId, bool)> = reads.buffered(READS).try_collect().await?;
            for (sender, may_write) in read {
                self.frontier
                    .learn_sender(conversation, standing.generation, sender, may_write);
            }
        }
    }
}

/// Those whose sender was told "unavailable" and of which no insert was ever tried are certainly not stored.
fn drop_abandoned(pending: &mut VecDeque<PendingMessage>) {
    let now = Instant::now();
    pending.retain(|waiting| waiting.attempted.is_some() || !waiting.is_given_up(now));
}

/// A read has failed. A condition passes; a fault may not, and is the answer to all of which no insert has an unknown
/// outcome. The others are kept (D5).
fn postpone(error: &StoreError, pending: &mut VecDeque<PendingMessage>) -> Progress {
    match error {
        StoreError::Unavailable(cause) => tracing::debug!(cause, "commit postponed"),
        StoreError::Broken(cause) => {
            pending.retain_mut(|waiting| {
                let is_kept = waiting.attempted.is_some();
                if !is_kept {
                    waiting.settle(Err(CommitError::Internal));
                }
                is_kept
            });
            tracing::warn!(cause, kept = pending.len(), "commit failed");
        }
    }
    Progress::None
}

/// Full jitter, doubling.
struct Backoff(Duration);

impl Backoff {
    const fn new() -> Self {
        Self(BACKOFF)
    }

    async fn wait(&mut self, entropy: &Entropy) {
        tokio::time::sleep(entropy.jitter(self.0) + Duration::from_micros(500)).await;
        self.0 = (self.0 * 2).min(BACKOFF_MAX);
    }
}
