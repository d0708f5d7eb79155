//! Works through one conversation's lane: authorise, guess, insert, and try again until everything is settled. What an
//! insert's outcome means to those who wait is next door, in `outcomes.rs`.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::answer::CommitError;
use super::decisions::Decision;
use super::delegation::GATHER;
use super::inner::CommitterInner;
use super::pending::{Pending, PendingEntry, Work};
use super::progress::Progress;
use super::together::abandoned;
use crate::commit::batcher::Appended;
use crate::commit::frontier::Standing;
use crate::domain::{Backoff, ConversationId, Member, Seq, UserId};
use crate::store::{NewConversation, Projected, Run, RunOutcome, StoreError, StoreResult};

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

impl CommitterInner {
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
        let mut entries = VecDeque::with_capacity(portion.len());
        for work in portion {
            match work {
                Work::Entry(pending) => entries.push_back(pending),
                Work::Conversation(pending) => self.make_conversation(pending).await,
            }
        }
        self.commit(conversation, entries).await;
    }

    /// Makes a conversation; if the outcome is unknown, again, until it is known (D5). Nothing is begun whose sender was told
    /// "unavailable" before its turn came. Announces it to its members, or they would stay deaf to it until they reconnect
    /// (D46). After an unknown outcome "it is there already" is no reason not to: this call may have made it.
    /// The event that a room begins with comes before the hint: whoever follows that finds it in the log (D53).
    async fn make_conversation(&self, mut pending: Box<Pending<NewConversation, ()>>) {
        if pending.is_given_up(Instant::now()) {
            return;
        }
        let mut backoff = backoff();
        let mut is_in_doubt = false;
        let result = loop {
            match self.store_conversation(&pending.subject).await {
                Err(StoreError::Unavailable(cause)) => {
                    tracing::warn!(
                        cause,
                        "unknown whether a conversation is made, trying again"
                    );
                    is_in_doubt = true;
                    tokio::time::sleep(backoff.step(&self.entropy)).await;
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

    /// Stores a conversation; false when it was there before.
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

    /// Makes events of entries until all are settled.
    async fn commit(&self, conversation: ConversationId, mut pending: VecDeque<PendingEntry>) {
        let mut backoff = backoff();
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
                Progress::Some => backoff.reset(),
                Progress::Conflict => {
                    backoff.reset();
                    self.lost_places(conversation, conflicts);
                    if conflicts > 1 {
                        tokio::time::sleep(self.entropy.jitter(STEP_ASIDE)).await;
                    }
                }
                Progress::None => tokio::time::sleep(backoff.step(&self.entropy)).await,
                Progress::Unknown => {
                    let held = pending.len() as f64;
                    self.metrics.unknown_held.increment(held);
                    tokio::time::sleep(backoff.step(&self.entropy)).await;
                    self.metrics.unknown_held.decrement(held);
                }
            }
        }
    }

    /// Authorises what is pending, decides it, inserts it at the guess, and settles what can be settled.
    async fn attempt(
        &self,
        conversation: ConversationId,
        pending: &mut VecDeque<PendingEntry>,
    ) -> StoreResult<Progress> {
        if let Some(writer) = self.writer_of(conversation, pending) {
            return self.delegate(writer, conversation, pending).await;
        }
        self.confirm(conversation, pending).await?;
        if pending.is_empty() {
            return Ok(Progress::Some);
        }
        let standing = self.complete_standing(conversation, pending).await?;
        if self.find_attempted(conversation, pending).await? {
            return Ok(Progress::Some);
        }
        if !standing.refused.is_empty() && pending.iter().all(|it| it.subject.message().is_some()) {
            return self.refuse(conversation, &standing, pending).await;
        }
        let Some(decisions) = self.decisions(conversation, &standing, pending).await? else {
            return Ok(Progress::Some);
        };
        self.insert_decisions(conversation, standing.head, decisions, pending)
            .await
    }

    /// Inserts the events among what those who wait become, writes what follows from those that are stored, and tells.
    async fn insert_decisions(
        &self,
        conversation: ConversationId,
        head: Seq,
        decisions: Vec<Decision>,
        pending: &mut VecDeque<PendingEntry>,
    ) -> StoreResult<Progress> {
        let first = head.next();
        let events = decisions.iter().filter_map(|decision| match decision {
            Decision::Event(projected) => Some(Arc::clone(&projected.event)),
            _ => None,
        });
        let run = Run {
            conversation,
            first,
            events: events.collect(),
        };
        if run.events.is_empty() {
            return Ok(self.settle_decisions(decisions, (0, None), head, pending));
        }
        let Appended { outcome, batch } = self.insert(run, pending).await;
        let RunOutcome { committed, stopped } = outcome;
        self.project(stored_changes(&decisions, committed)).await;
        let progress = self.settle_decisions(decisions, (committed, Some(batch)), head, pending);
        match stopped {
            None => Ok(progress),
            Some(stop) => {
                let place = (first, first.plus(committed as u64));
                self.stopped(conversation, place, stop, pending).await
            }
        }
    }

    /// Writes what follows from events that are stored: until it is written, nobody is told of them (D56).
    async fn project(&self, events: Vec<Projected>) {
        if events.is_empty() {
            return;
        }
        let mut backoff = backoff();
        loop {
            let written = self.projecting.ask(events.clone()).await;
            match written.unwrap_or_else(|| Err(abandoned())) {
                Ok(()) => return,
                Err(StoreError::Unavailable(cause)) => {
                    tracing::warn!(
                        cause,
                        "what follows from a change is not written, trying again"
                    );
                    tokio::time::sleep(backoff.step(&self.entropy)).await;
                }
                Err(StoreError::Broken(cause)) => {
                    tracing::error!(cause, "what follows from a change cannot be written");
                    return;
                }
            }
        }
    }

    /// Inserts a run: shared with others, unless its last outcome was unknown. Then whatever holds this conversation
    /// up may hold up the next insert as well, and should hold up nobody else's.
    async fn insert(&self, run: Run, pending: &VecDeque<PendingEntry>) -> Appended {
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
        pending: &VecDeque<PendingEntry>,
    ) -> StoreResult<Standing> {
        loop {
            let senders = pending.iter().map(|waiting| waiting.subject.sender());
            let Some(standing) = self.frontier.standing(conversation, senders) else {
                self.store.clamp_cursors(conversation).await?;
                let head = self.read_head(conversation).await?;
                self.frontier.learn_head(conversation, head);
                continue;
            };
            if standing.unknown.is_empty() {
                return Ok(standing);
            }
            let reads = stream::iter(standing.unknown).map(|sender| async move {
                let member = self.store.member(conversation, sender).await?;
                StoreResult::Ok((sender, member))
            });
            let read: Vec<(UserId, Option<Member>)> = reads.buffered(READS).try_collect().await?;
            for (sender, member) in read {
                let generation = standing.generation;
                self.frontier
                    .learn_sender(conversation, generation, sender, member.as_ref());
            }
        }
    }

    /// The head of a log as of which everything is projected that follows from its events (D56): what is decided as of it,
    /// and who is a member, is read behind it.
    pub(super) async fn read_head(&self, conversation: ConversationId) -> StoreResult<Seq> {
        let heads = self.store.heads(&[conversation]).await?;
        self.store.project_leftovers(Some(conversation)).await?;
        Ok(heads.get(&conversation).copied().unwrap_or_default())
    }
}

/// Of the first so many events that are stored, those that are changes.
fn stored_changes(decisions: &[Decision], committed: usize) -> Vec<Projected> {
    let events = decisions.iter().filter_map(|decision| match decision {
        Decision::Event(projected) => Some(projected),
        _ => None,
    });
    let changes = events
        .take(committed)
        .filter(|projected| projected.event.body.is_projected());
    changes.cloned().collect()
}

/// Those whose sender was told "unavailable" and of which no insert was ever tried are certainly not stored.
fn drop_abandoned(pending: &mut VecDeque<PendingEntry>) {
    let now = Instant::now();
    pending.retain(|waiting| waiting.attempted.is_some() || !waiting.is_given_up(now));
}

/// A read has failed. A condition passes; a fault may not, and is the answer to all of which no insert has an unknown
/// outcome. The others are kept (D5).
fn postpone(error: &StoreError, pending: &mut VecDeque<PendingEntry>) -> Progress {
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

/// The waits after a conflict that a majority read cannot explain yet, or after an unknown outcome.
const fn backoff() -> Backoff {
    Backoff::between(Duration::from_millis(2), Duration::from_secs(1))
}
