//! Delegates the writing of a contended conversation to the gateway that wins there; and writes for others (D38).
//!
//! What is delegated may be stored at any time until the other says what became of it, and whoever delegates waits for
//! that before it goes on with the lane: each sender's order holds. No answer is an unknown outcome like any other (D5):
//! the messages are inserted from here under the same ids, which the unique keys make one with the other's. The other
//! authorises as of its own insert (D2), announces in its own order (D9), and delegates nothing further.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::delegated::{Delegated, Delegation, Settled};
use super::inner::CommitterInner;
use super::pending::{Duty, Entry, Fate, Pending, PendingEntry, Work};
use super::progress::Progress;
use super::{Changed, CommitError, Committer, Ticket};
use crate::domain::{ConversationId, EventId, GatewayId};
use crate::store::{Stop, StoreResult};
use crate::traces::{Storing, TraceContext};

/// How long the gateway that writes may be silent while its answer is waited for: neither the answer nor any event that
/// it has written in this conversation is heard. Many times as long as a commit takes, and short enough to be borne by
/// those who wait when that gateway, or the bus, has died. A gateway that is only busy is heard to write: what was
/// delegated stands in line behind that, and giving it up would cost it its place, again and again (D54).
const SILENT_FOR: Duration = Duration::from_millis(600);
/// How long an answer is waited for at most, however much is heard: half of the time that senders wait. What the gateway
/// that writes has not tried by then it gives up.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long what waits is gathered before it is delegated. After an answer its senders send again, nearly at once: without
/// this the first message would travel alone, and all the others stand in line for a second journey.
pub(super) const GATHER: Duration = Duration::from_millis(2);
/// The most bytes of content delegated at once; a longer run is written from here.
const BYTES: usize = 256 * 1024;

/// Messages of another gateway's that wait for their outcomes here; none by default.
#[must_use]
#[derive(Default)]
pub struct TakenOn(Vec<(EventId, Ticket<Changed>)>);

impl TakenOn {
    /// What became of those that were taken on, which are the first ones. `None` when that is not known in time: then
    /// those of which no insert was tried are given up, and the others are resolved.
    pub async fn settled(self) -> Option<Vec<Settled>> {
        let mut settled = Vec::with_capacity(self.0.len());
        for (id, ticket) in self.0 {
            settled.push(match ticket.outcome().await {
                Ok(Changed::Applied(event)) if event.id == id => Settled::Stored(event.seq),
                Ok(Changed::Applied(_)) => Settled::Before,
                Ok(Changed::Nothing) => Settled::Nothing,
                Ok(Changed::Refused(refusal)) => Settled::Failed(CommitError::Refused(refusal)),
                Err(CommitError::Unavailable) => return None,
                Err(error) => Settled::Failed(error),
            });
        }
        Some(settled)
    }
}

impl Committer {
    /// Commits what another gateway delegates, in this order, as far as there is room for it. Nothing while this one
    /// delegates the conversation's writing itself. `storing` makes a message's span.
    pub fn take_on(
        &self,
        conversation: ConversationId,
        entries: Vec<Delegated>,
        storing: impl Fn(TraceContext) -> Option<Storing>,
    ) -> TakenOn {
        if self.0.writers.other(conversation).is_some() {
            return TakenOn::default();
        }
        // One fate: none of them is given up while one behind it is not, or that one would be stored first.
        let (deadline, fate) = (Instant::now() + ANSWER_WITHIN, Fate::open());
        let submit = |Delegated { entry, trace }| {
            let id = entry.id();
            let storing = trace.and_then(&storing).map(Box::new);
            let (pending, ticket) = Pending::taken_on(entry, storing, deadline, &fate);
            self.enqueue(conversation, Work::Entry(pending)).ok()?;
            Some((id, ticket))
        };
        let taken: Vec<_> = entries.into_iter().map_while(submit).collect();
        if !taken.is_empty() {
            self.0.writers.write_for_others(conversation);
        }
        TakenOn(taken)
    }
}

impl CommitterInner {
    /// Who is to write what waits; none when this gateway is. Nothing with an unknown outcome, which is resolved where it
    /// arose, nor what others have delegated.
    pub(super) fn writer_of(
        &self,
        conversation: ConversationId,
        pending: &VecDeque<PendingEntry>,
    ) -> Option<(GatewayId, &Arc<dyn Delegation>)> {
        let (writer, delegation) = (self.writers.other(conversation)?, self.delegation.as_ref()?);
        let is_plain =
            |waiting: &PendingEntry| waiting.attempted.is_none() && waiting.duty == Duty::Own;
        let contents = pending.iter().map(|waiting| waiting.subject.bytes());
        let may_be =
            contents.sum::<usize>() <= BYTES && pending.iter().all(is_plain) && delegation.is_up();
        may_be.then_some((writer, delegation))
    }

    /// Delegates what waits, and settles what the other says of it.
    pub(super) async fn delegate(
        &self,
        (writer, delegation): (GatewayId, &Arc<dyn Delegation>),
        conversation: ConversationId,
        pending: &mut VecDeque<PendingEntry>,
    ) -> StoreResult<Progress> {
        let first = self.frontier.head(conversation).unwrap_or_default().next();
        let heard = self.frontier.heard(conversation).unwrap_or_default();
        let entries: Vec<Delegated> = pending
            .iter()
            .map(|waiting| Delegated {
                entry: waiting.subject.clone(),
                trace: waiting.storing.as_ref().map(|storing| storing.context()),
            })
            .collect();
        let count = entries.len();
        let answer = delegation.delegate(writer, conversation, entries);
        let Some(settled) = self.answer_of(writer, conversation, answer).await else {
            self.writers.cool_down(conversation, writer);
            self.metrics.delegated_unknown.increment(count as u64);
            for waiting in pending.iter_mut() {
                waiting.duty = Duty::Delegated;
            }
            let stop = Stop::Unknown("no answer from the gateway that writes".to_owned());
            return self
                .stopped(conversation, (first, first), stop, pending)
                .await;
        };
        if settled.len() < count {
            let declined = count - settled.len();
            self.writers.take_back(conversation);
            self.metrics.delegated_declined.increment(declined as u64);
        }
        let (mut next, mut again) = (heard.next(), VecDeque::new());
        for (waiting, outcome) in pending.drain(..settled.len().min(count)).zip(settled) {
            if let Settled::Stored(seq) = outcome {
                if seq != next {
                    // Others have written meanwhile.
                    self.writers.prolong(conversation);
                }
                next = seq.next();
                // Mostly heard before: the event precedes the answer.
                self.frontier.hear(conversation, seq, Some(writer));
            }
            if let Some(mut waiting) = self.settle_delegated(conversation, waiting, outcome) {
                // Only the log tells what it has become: it is looked for there like any retry's original.
                waiting.attempted = Some(first);
                again.push_back(waiting);
            }
        }
        again.append(pending);
        *pending = again;
        Ok(Progress::Some)
    }

    /// Settles one by what the other says of it; gives it back when that does not tell the event.
    fn settle_delegated(
        &self,
        conversation: ConversationId,
        mut waiting: PendingEntry,
        outcome: Settled,
    ) -> Option<PendingEntry> {
        let counted = match outcome {
            Settled::Failed(_) => &self.metrics.delegated_refused,
            Settled::Stored(_) | Settled::Before | Settled::Nothing => {
                &self.metrics.delegated_stored
            }
        };
        counted.increment(1);
        let changed = match (outcome, &waiting.subject) {
            (Settled::Before, _) => return Some(waiting),
            (Settled::Stored(seq), subject) => {
                let Some(event) = subject.event(conversation, seq).map(Arc::new) else {
                    return Some(waiting);
                };
                self.announce.delegated(&event, waiting.claim_origin());
                Ok(Changed::Applied(event))
            }
            (Settled::Nothing, _) => Ok(Changed::Nothing),
            (Settled::Failed(CommitError::Refused(refusal)), Entry::Change(_)) => {
                Ok(Changed::Refused(refusal))
            }
            (Settled::Failed(error), _) => Err(error),
        };
        waiting.settle(changed);
        None
    }

    /// Waits for a writer's answer for as long as that gateway is heard to write in the conversation, [`ANSWER_WITHIN`] at
    /// most. What is heard is only a reason to wait: it moves nothing (D50).
    async fn answer_of(
        &self,
        writer: GatewayId,
        conversation: ConversationId,
        answer: impl Future<Output = Option<Vec<Settled>>>,
    ) -> Option<Vec<Settled>> {
        let mut answer = pin!(answer);
        let end = Instant::now() + ANSWER_WITHIN;
        loop {
            let heard = self.frontier.heard(conversation);
            let silent = end.min(Instant::now() + SILENT_FOR);
            if let Ok(settled) = timeout_at(silent, &mut answer).await {
                return settled;
            }
            let is_heard = self.frontier.heard(conversation) > heard
                && self.frontier.writer(conversation) == Some(writer);
            if !is_heard || Instant::now() >= end {
                return None;
            }
        }
    }

    /// Another gateway was first, and what it wrote is known, for so many times in a row.
    pub(super) fn lost_places(&self, conversation: ConversationId, in_a_row: u32) {
        if in_a_row > 1
            && let Some(winner) = self.frontier.writer(conversation)
        {
            self.writers.delegate_to(conversation, winner);
        }
    }
}
