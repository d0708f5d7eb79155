//! Works through one conversation's lane: authorise, guess, insert, and make sense of what the unique keys say.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{CommitError, Pending, Shared, Work};
use crate::domain::{
    Body, Change, ConversationId, Event, Member, Message, Reactions, Refusal, Seq,
};
use crate::store::frontier::Standing;
use crate::store::{Changed, NewMessage, Run, Span, Stop, StoreError, StoreResult};

/// How many events are read at once after a conflict; when more are new, only the head is read.
const CATCH_UP: usize = 200;
/// The first wait after a conflict that a majority read cannot explain yet, or after an unknown outcome.
const BACKOFF: Duration = Duration::from_millis(2);
/// The longest wait.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

type PendingMessage = Box<Pending<NewMessage, Arc<Event>>>;

impl Shared {
    /// Drives a lane until it is empty.
    pub(super) async fn drive(&self, conversation: ConversationId) {
        while let Some(portion) = self.lanes.next(conversation) {
            let (count, bytes) = portion.share();
            let mut messages = VecDeque::new();
            for work in portion.work {
                match work {
                    Work::Message(pending) => messages.push_back(pending),
                    Work::Change(pending) => self.make_change(pending).await,
                }
            }
            self.commit_messages(conversation, messages).await;
            self.lanes.done(count, bytes);
        }
    }

    /// Makes a change; one whose outcome is unknown is made again under the same event id until it is known (D5).
    async fn make_change(&self, mut pending: Box<Pending<Change, Changed>>) {
        let mut backoff = Backoff::new();
        let result = loop {
            match self.store.change(&pending.subject).await {
                Err(StoreError::Unavailable(cause)) => {
                    tracing::warn!(cause, "unknown outcome of a change, trying again");
                    backoff.wait(&self.entropy).await;
                }
                result => break result,
            }
        };
        if let Ok(Changed::Applied(event)) = &result {
            self.committed(&Arc::new((**event).clone()), pending.origin);
        }
        pending.settle(result.map_err(CommitError::from));
    }

    async fn commit_messages(
        &self,
        conversation: ConversationId,
        mut pending: VecDeque<PendingMessage>,
    ) {
        let mut backoff = Backoff::new();
        loop {
            drop_abandoned(&mut pending);
            if pending.is_empty() {
                return;
            }
            match self.attempt(conversation, &mut pending).await {
                Ok(Progress::Some) => backoff = Backoff::new(),
                Ok(Progress::None) => backoff.wait(&self.entropy).await,
                Ok(Progress::Unknown) => {
                    let held = pending.len() as f64;
                    self.metrics.unknown_held.increment(held);
                    backoff.wait(&self.entropy).await;
                    self.metrics.unknown_held.decrement(held);
                }
                Err(error) => {
                    tracing::debug!(%error, "commit postponed");
                    backoff.wait(&self.entropy).await;
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
        let standing = self.complete_standing(conversation, pending).await?;
        if !standing.refused.is_empty() {
            return self.refuse(conversation, &standing, pending).await;
        }
        let first = standing.head.next();
        let messages = pending
            .iter()
            .map(|waiting| waiting.subject.clone())
            .collect();
        let outcome = self
            .batcher
            .append(Run {
                conversation,
                first,
                messages,
            })
            .await;
        for place in 0..outcome.committed {
            if let Some(mut waiting) = pending.pop_front() {
                let event = Arc::new(event_at(
                    conversation,
                    first.plus(place as u64),
                    &waiting.subject,
                ));
                self.committed(&event, waiting.origin);
                waiting.settle(Ok(event));
            }
        }
        match outcome.stopped {
            None => Ok(Progress::Some),
            Some(Stop::SeqTaken) => {
                self.metrics.append_conflicts.increment(1);
                self.catch_up(conversation, pending).await
            }
            Some(Stop::ClientMessageIdTaken) => self.resolve_retry(conversation, pending).await,
            Some(Stop::Unknown(cause)) => {
                self.metrics
                    .unknown_outcomes
                    .increment(pending.len() as u64);
                // Only these may still be on their way: after a refused key the rest of a run is certainly not stored.
                let first = first.plus(outcome.committed as u64);
                for (place, waiting) in (0..).zip(pending.iter_mut()) {
                    waiting.attempted = waiting.attempted.max(Some(first.plus(place)));
                }
                tracing::warn!(
                    cause,
                    waiting = pending.len(),
                    "unknown outcome, trying again"
                );
                Ok(Progress::Unknown)
            }
        }
    }

    /// The head and every pending sender's standing as of it: the head is read first, the memberships second (D2).
    async fn complete_standing(
        &self,
        conversation: ConversationId,
        pending: &VecDeque<PendingMessage>,
    ) -> StoreResult<Standing> {
        loop {
            let senders = pending.iter().map(|waiting| waiting.subject.sender);
            let Some(standing) = self.frontier.standing(conversation, senders) else {
                let heads = self.store.heads(&[conversation]).await?;
                let head = heads.get(&conversation).copied().unwrap_or_default();
                self.frontier.learn_head(conversation, head);
                continue;
            };
            if standing.unknown.is_empty() {
                return Ok(standing);
            }
            for sender in standing.unknown {
                let member = self.store.member(conversation, sender).await?;
                let may_write = member.as_ref().is_some_and(Member::is_active);
                self.frontier
                    .learn_sender(conversation, standing.generation, sender, may_write);
            }
        }
    }

    /// Answers those who may not write: a retry of what was stored before is recognised first (D4). One whose insert
    /// may still be on its way is kept until its place is known to be another's (D5).
    async fn refuse(
        &self,
        conversation: ConversationId,
        standing: &Standing,
        pending: &mut VecDeque<PendingMessage>,
    ) -> StoreResult<Progress> {
        let mut found = Vec::with_capacity(pending.len());
        for waiting in pending.iter() {
            let is_refused = standing.refused.contains(&waiting.subject.sender);
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
                None if waiting.attempted.is_some_and(|place| place > standing.head) => {
                    in_doubt = true;
                    pending.push_back(waiting);
                }
                None => waiting.settle(Err(CommitError::Refused(Refusal::NotAMember))),
            }
        }
        if in_doubt {
            self.catch_up(conversation, pending).await
        } else {
            Ok(Progress::Some)
        }
    }

    /// After a conflict: applies the events that are new (D2), settles those that are ours, and says whether any were.
    async fn catch_up(
        &self,
        conversation: ConversationId,
        pending: &mut VecDeque<PendingMessage>,
    ) -> StoreResult<Progress> {
        let after = self.frontier.head(conversation).unwrap_or_default();
        let span = Span {
            conversation,
            after,
            up_to: Seq::MAX,
        };
        let events = self.store.events(&[span], CATCH_UP).await?;
        if events.is_empty() {
            return Ok(Progress::None);
        }
        let is_full = events.len() == CATCH_UP;
        for event in events.into_iter().map(Arc::new) {
            self.frontier
                .note(conversation, event.seq, event.body.changes_membership());
            self.settle_found(&event, pending);
        }
        if is_full {
            let heads = self.store.heads(&[conversation]).await?;
            heads
                .get(&conversation)
                .into_iter()
                .for_each(|head| self.frontier.learn_head(conversation, *head));
        }
        Ok(Progress::Some)
    }

    /// An event found in the log: when it is one of ours whose outcome was unknown, it is settled and announced;
    /// another gateway's is only offered here.
    fn settle_found(&self, event: &Arc<Event>, pending: &mut VecDeque<PendingMessage>) {
        match pending
            .iter()
            .position(|waiting| waiting.subject.id == event.id)
        {
            Some(place) => {
                if let Some(mut waiting) = pending.remove(place) {
                    self.announce.committed(event, waiting.origin);
                    waiting.settle(Ok(Arc::clone(event)));
                }
            }
            None => self.announce.found(event),
        }
    }

    /// The first pending message's clientMessageId is taken: a retry, once a majority read shows the original (D3).
    async fn resolve_retry(
        &self,
        conversation: ConversationId,
        pending: &mut VecDeque<PendingMessage>,
    ) -> StoreResult<Progress> {
        let Some(front) = pending.front() else {
            return Ok(Progress::Some);
        };
        let Some(event) = self.stored(conversation, &front.subject).await? else {
            return Ok(Progress::None);
        };
        if let Some(mut waiting) = pending.pop_front() {
            self.settle_retry(&mut waiting, event);
        }
        Ok(Progress::Some)
    }

    async fn stored(
        &self,
        conversation: ConversationId,
        message: &NewMessage,
    ) -> StoreResult<Option<Event>> {
        self.store
            .message_by_client_id(conversation, message.sender, &message.client_message_id)
            .await
    }

    fn settle_retry(&self, waiting: &mut PendingMessage, event: Event) {
        let same = matches!(&event.body, Body::Message(message) if message.fingerprint == waiting.subject.fingerprint);
        if !same {
            waiting.settle(Err(CommitError::ClientMessageIdReused));
            return;
        }
        self.metrics.retries_recognised.increment(1);
        // Announced like a new one, or the first attempt's late commit is never shown to anyone (D3).
        let event = Arc::new(event);
        self.announce.committed(&event, waiting.origin);
        waiting.settle(Ok(event));
    }

    fn committed(&self, event: &Arc<Event>, origin: Option<crate::domain::SessionId>) {
        self.frontier.note(
            event.conversation,
            event.seq,
            event.body.changes_membership(),
        );
        self.announce.committed(event, origin);
    }
}

enum Progress {
    /// Something is known that was not: try again at once.
    Some,
    /// Nothing is: wait a little.
    None,
    /// An insert's outcome is unknown: wait a little (D5).
    Unknown,
}

/// Those whose sender was told "unavailable" and of which no insert was ever tried are certainly not stored.
fn drop_abandoned(pending: &mut VecDeque<PendingMessage>) {
    pending.retain(|waiting| {
        waiting.attempted.is_some() || !waiting.abandoned.load(Ordering::Relaxed)
    });
}

fn event_at(conversation: ConversationId, seq: Seq, message: &NewMessage) -> Event {
    let body = Body::Message(Message {
        content: Some(message.content.clone()),
        client_message_id: message.client_message_id.clone(),
        fingerprint: message.fingerprint,
        edited_at: None,
        deleted_at: None,
        reactions: Reactions::default(),
    });
    Event {
        id: message.id,
        conversation,
        seq,
        sender: message.sender,
        at: message.at,
        body,
    }
}

/// Full jitter, doubling.
struct Backoff(Duration);

impl Backoff {
    const fn new() -> Self {
        Self(BACKOFF)
    }

    async fn wait(&mut self, entropy: &crate::domain::Entropy) {
        tokio::time::sleep(entropy.jitter(self.0) + Duration::from_micros(500)).await;
        self.0 = (self.0 * 2).min(BACKOFF_MAX);
    }
}
