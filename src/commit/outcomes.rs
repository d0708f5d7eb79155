//! What an attempt's outcome means to those who wait: stored, a retry, refused, at fault, or not known yet. Inserts
//! nothing and does not wait; the driver does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::{Changed, CommitError};
use super::decisions::Decision;
use super::inner::CommitterInner;
use super::pending::{Duty, Entry, PendingEntry};
use super::progress::Progress;
use crate::commit::frontier::Standing;
use crate::domain::{ConversationId, Event, EventId, Refusal, Seq, SessionId};
use crate::store::{Projected, Span, Stop, StoreResult, is_cut};
use crate::traces::Trace;

/// How often, and every how many milliseconds, it is looked whether the event that took a place is heard from the bus
/// before it is read from the log. A read is dear: it waits until the other's commit has reached a majority.
const HEARINGS: (u32, Duration) = (3, Duration::from_millis(1));
/// Up to how many events are read that the bus has told of, before this gateway writes behind them; of more, only the head.
const CONFIRMED: u64 = 16;
/// How many events are read at once after a conflict; when more are new, only the head is read.
const CATCH_UP: usize = 200;

impl CommitterInner {
    /// Settles those whose decisions came true, in their order, up to the first event that is not stored: `committed` are, in
    /// one write with others, `batch` in all. `head` is what they were decided as of.
    pub(super) fn settle_decisions(
        &self,
        decisions: Vec<Decision>,
        (mut committed, batch): (usize, Option<usize>),
        head: Seq,
        pending: &mut VecDeque<PendingEntry>,
    ) -> Progress {
        for decision in decisions {
            let is_event = matches!(decision, Decision::Event(_));
            if is_event && committed == 0 {
                break;
            }
            let Some(mut waiting) = pending.pop_front() else {
                break;
            };
            // What was deleted stays so: whoever may still try to insert it is refused, too.
            let is_final =
                is_event || matches!(decision, Decision::Refused(Refusal::MessageDeleted));
            let in_doubt = !is_final && waiting.may_arrive(head);
            let is_elsewhere = waiting.duty == Duty::Delegated;
            if in_doubt && !is_elsewhere && !waiting.is_given_up(Instant::now()) {
                pending.push_front(waiting);
                return Progress::None;
            }
            let changed = match decision {
                Decision::Event(Projected { event, .. }) => {
                    committed -= 1;
                    let trace = waiting.end_storing(&event, batch);
                    self.committed(&event, waiting.claim_origin(), trace.as_ref());
                    Ok(Changed::Applied(event))
                }
                _ if in_doubt => Err(CommitError::Unavailable),
                Decision::Nothing => Ok(Changed::Nothing),
                Decision::Refused(refusal) => Ok(Changed::Refused(refusal)),
            };
            waiting.settle(changed);
        }
        Progress::Some
    }

    /// Looks for changes whose insert had an unknown outcome: what they would be decided by now may be what they have done.
    /// Whether any is stored; then it is settled.
    pub(super) async fn find_attempted(
        &self,
        conversation: ConversationId,
        pending: &mut VecDeque<PendingEntry>,
    ) -> StoreResult<bool> {
        let is_attempted = |waiting: &&PendingEntry| waiting.attempted.is_some();
        let changes = pending.iter().filter(is_attempted);
        let changes = changes.filter_map(|waiting| waiting.subject.change());
        let ids: Vec<EventId> = changes.map(|change| change.id).collect();
        let mut is_found = false;
        for id in ids {
            if let Some(event) = self.stored_change(conversation, id).await? {
                self.frontier
                    .note_read(conversation, event.seq, event.body.changes_membership());
                is_found |= self.settle_own(&Arc::new(event), pending);
            }
        }
        Ok(is_found)
    }

    /// The first of those still pending is not stored, or nobody knows. `place` is where their run began, and where it
    /// stopped.
    pub(super) async fn stopped(
        &self,
        conversation: ConversationId,
        (first, taken): (Seq, Seq),
        stop: Stop,
        pending: &mut VecDeque<PendingEntry>,
    ) -> StoreResult<Progress> {
        match stop {
            Stop::SeqTaken => {
                self.metrics.append_conflicts.increment(1);
                let traced = pending.iter_mut().flat_map(|waiting| &mut waiting.storing);
                traced.for_each(|storing| storing.conflict());
                // What has an unknown outcome may be what took the place: only the log knows.
                let is_plain = pending.iter().all(|waiting| waiting.attempted.is_none());
                if is_plain && self.is_heard(conversation, taken).await {
                    return Ok(Progress::Conflict);
                }
                self.catch_up(conversation, pending).await
            }
            Stop::IdTaken => self.resolve_retry(conversation, pending).await,
            Stop::Broken(cause) => {
                tracing::error!(cause, "the store refused an event");
                if let Some(mut waiting) = pending.pop_front() {
                    waiting.settle(Err(CommitError::Internal));
                }
                Ok(Progress::Some)
            }
            Stop::Unknown(cause) => {
                let waiting = pending.len();
                self.metrics.unknown_outcomes.increment(waiting as u64);
                // Of the whole run its beginning, whatever the message's own place: see `refuse`.
                for waiting in pending.iter_mut() {
                    waiting.attempted = waiting.attempted.max(Some(first));
                }
                tracing::warn!(cause, waiting, "unknown outcome, trying again");
                Ok(Progress::Unknown)
            }
        }
    }

    /// Whether the bus tells of the event at this place, now or very soon: then it can be read at once (D50).
    async fn is_heard(&self, conversation: ConversationId, place: Seq) -> bool {
        let is_known = || self.frontier.heard(conversation) >= Some(place);
        for _ in 0..HEARINGS.0 {
            if is_known() || !self.frontier.is_overheard(conversation) {
                break;
            }
            tokio::time::sleep(HEARINGS.1).await;
        }
        is_known()
    }

    /// Answers those who may not write: a retry of what was stored before is recognised first (D4). One whose insert
    /// may still be on its way is kept until it is known to have failed (D5), which is when the head has reached the
    /// place where its last run began:
    ///
    /// The run was authorised as of the event before that place, so what took the sender's right away is an event at
    /// that place or after it, and not one of the run. A run is stored in order and up to the first place that is
    /// taken, now or later: its message is either before that event, where a read that knows the head finds it, or
    /// nowhere. (Its own place proves nothing: when the run has stopped before it, it may stay free for ever.)
    pub(super) async fn refuse(
        &self,
        conversation: ConversationId,
        standing: &Standing,
        pending: &mut VecDeque<PendingEntry>,
    ) -> StoreResult<Progress> {
        let mut found = Vec::with_capacity(pending.len());
        for waiting in pending.iter() {
            let is_refused = standing.refused.contains(&waiting.subject.sender());
            let stored = match is_refused {
                true => self.stored(conversation, &waiting.subject).await?,
                false => None,
            };
            found.push((is_refused, stored));
        }
        let mut in_doubt = false;
        let all = std::mem::take(pending);
        for (mut waiting, (is_refused, stored)) in all.into_iter().zip(found) {
            match stored {
                Some(event) => self.settle_retry(&mut waiting, event),
                None if !is_refused => pending.push_back(waiting),
                None if waiting.attempted.is_some_and(|first| first > standing.head) => {
                    in_doubt = true;
                    pending.push_back(waiting);
                }
                // Stored elsewhere it would be at a place, and as of a membership, that are not known here.
                None if waiting.duty == Duty::Delegated => {
                    waiting.settle(Err(CommitError::Unavailable));
                }
                None => {
                    // Without the bus nobody may tell of it when they are a member again.
                    self.frontier
                        .forget_sender(conversation, waiting.subject.sender());
                    waiting.settle(Err(CommitError::Refused(Refusal::NotAMember)));
                }
            }
        }
        if in_doubt {
            self.catch_up(conversation, pending).await
        } else {
            Ok(Progress::Some)
        }
    }

    /// The bus has told of events that this gateway has not read: reads them, since no hint alone, whatever it says, moves
    /// the place of an insert or says who may write (D50). What the store does not show counts for nothing.
    pub(super) async fn confirm(
        &self,
        conversation: ConversationId,
        pending: &mut VecDeque<PendingEntry>,
    ) -> StoreResult<()> {
        let is_plain = pending.iter().all(|waiting| waiting.attempted.is_none());
        let Some((head, heard)) = self.frontier.unread(conversation) else {
            return Ok(());
        };
        let count = heard.get() - head.get();
        // What has an unknown outcome may be among them, however many they are.
        if count > CONFIRMED && is_plain {
            let head = self.read_head(conversation).await?;
            self.frontier.confirm_head(conversation, head);
            return Ok(());
        }
        let events = self.newer(conversation, head, heard).await?;
        self.apply(conversation, events, pending);
        self.frontier.confirmed(conversation);
        Ok(())
    }

    /// After a conflict: applies the events that are new (D2), settles those that are ours, and says whether any were.
    async fn catch_up(
        &self,
        conversation: ConversationId,
        pending: &mut VecDeque<PendingEntry>,
    ) -> StoreResult<Progress> {
        let after = self.frontier.head(conversation).unwrap_or_default();
        let events = self.newer(conversation, after, Seq::MAX).await?;
        if events.is_empty() {
            return Ok(Progress::None);
        }
        let is_full = is_cut(&events, CATCH_UP);
        self.apply(conversation, events, pending);
        if is_full {
            let head = self.read_head(conversation).await?;
            self.frontier.learn_head(conversation, head);
        }
        Ok(Progress::Conflict)
    }

    /// Applies events that were read (D2), and settles those that are ours.
    fn apply(
        &self,
        conversation: ConversationId,
        events: Vec<Event>,
        pending: &mut VecDeque<PendingEntry>,
    ) {
        // As they came, whoever has left since (D41).
        for event in events.into_iter().map(Event::into_sent).map(Arc::new) {
            self.frontier
                .note_read(conversation, event.seq, event.body.changes_membership());
            if !self.settle_own(&event, pending) {
                self.announce.found(&event);
            }
        }
    }

    /// What a log has after a place, up to another; at most [`CATCH_UP`] events.
    async fn newer(
        &self,
        conversation: ConversationId,
        after: Seq,
        up_to: Seq,
    ) -> StoreResult<Vec<Event>> {
        let span = Span {
            conversation,
            after,
            up_to,
        };
        self.store.events(&[span], CATCH_UP).await
    }

    /// An event found in the log: whether it is one of ours whose outcome was unknown; then it is settled and announced.
    fn settle_own(&self, event: &Arc<Event>, pending: &mut VecDeque<PendingEntry>) -> bool {
        let place = pending
            .iter()
            .position(|waiting| waiting.subject.id() == event.id);
        let Some(mut waiting) = place.and_then(|place| pending.remove(place)) else {
            return false;
        };
        let trace = waiting.end_storing(event, None);
        let origin = waiting.claim_origin();
        self.announce.committed(event, origin, trace.as_ref());
        waiting.settle(Ok(Changed::Applied(Arc::clone(event))));
        true
    }

    /// The first pending message's clientMessageId is taken: a retry, once a majority read shows the original (D3).
    async fn resolve_retry(
        &self,
        conversation: ConversationId,
        pending: &mut VecDeque<PendingEntry>,
    ) -> StoreResult<Progress> {
        let Some(front) = pending.front() else {
            return Ok(Progress::Some);
        };
        let Some(event) = self.stored(conversation, &front.subject).await? else {
            return Ok(Progress::None);
        };
        let (seq, is_copy) = (event.seq, event.id == front.subject.id());
        if let Some(mut waiting) = pending.pop_front() {
            self.settle_retry(&mut waiting, event);
        }
        if is_copy && !pending.is_empty() {
            // Stored by an insert whose outcome was unknown: those behind it may be, too.
            for event in self.newer(conversation, seq, Seq::MAX).await? {
                self.settle_own(&Arc::new(event.into_sent()), pending);
            }
        }
        Ok(Progress::Some)
    }

    /// The event that an entry repeats; a message as it was sent: who retries may have been removed since (D4, D41).
    async fn stored(
        &self,
        conversation: ConversationId,
        entry: &Entry,
    ) -> StoreResult<Option<Event>> {
        let message = match entry {
            Entry::Message(message) => message,
            Entry::Change(change) => return self.stored_change(conversation, change.id).await,
        };
        let own_id = &message.client_message_id;
        let stored = self
            .store
            .message_by_client_id(conversation, message.sender, own_id);
        Ok(stored.await?.map(Event::into_sent))
    }

    /// The event that a change has become, with all that follows from it.
    async fn stored_change(
        &self,
        conversation: ConversationId,
        id: EventId,
    ) -> StoreResult<Option<Event>> {
        let stored = self.store.change_by_id(conversation, id).await?;
        if stored.is_some() {
            self.store.project_leftovers(Some(conversation)).await?;
        }
        Ok(stored)
    }

    fn settle_retry(&self, waiting: &mut PendingEntry, event: Event) {
        let sent = waiting.subject.message().map(|message| message.fingerprint);
        let stored = event.body.message().map(|message| message.fingerprint);
        if sent != stored {
            waiting.settle(Err(CommitError::ClientMessageIdReused));
            return;
        }
        self.metrics.duplicate_sends.increment(1);
        // Announced like a new one, or the first attempt's late commit is never shown to anyone (D3).
        let event = Arc::new(event);
        let trace = waiting.end_storing(&event, None);
        let origin = waiting.claim_origin();
        self.announce.committed(&event, origin, trace.as_ref());
        waiting.settle(Ok(Changed::Applied(event)));
    }

    pub(super) fn committed(
        &self,
        event: &Arc<Event>,
        origin: Option<SessionId>,
        trace: Option<&Trace>,
    ) {
        self.frontier.note_own(
            event.conversation,
            event.seq,
            event.body.changes_membership(),
        );
        self.announce.committed(event, origin, trace);
    }
}
