//! Lets another gateway write what waits in a room's lane, when it is that gateway's turn; and writes for others.
//!
//! What is handed over may be stored at any time until the other says what became of it, and whoever hands it over waits
//! for that before it goes on with the lane: each sender's order holds. No answer is an unknown outcome like any other
//! (D5): the messages are inserted from here under the same ids, which the unique key makes one with the other's.
//! The other authorises as of its own insert (D2), announces in its own order (D9), and never hands on.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;

use super::driver::{PendingMessage, Progress};
use super::outcomes::event_at;
use super::{CommitError, Committer, Shared, Ticket};
use crate::domain::{ConversationId, Event, EventId, GatewayId, Seq};
use crate::store::{NewMessage, Run, Stop, StoreResult};
use crate::traces::{Storing, TraceContext};

/// The most bytes of content handed over at once; a larger run is written from here.
const BYTES: usize = 256 * 1024;

/// A message for another gateway to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedOver {
    /// The message.
    pub message: NewMessage,
    /// What its further spans hang on, when it is traced.
    pub trace: Option<TraceContext>,
}

/// What became of a message that was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Stored at this place.
    Stored(Seq),
    /// It is a retry of what was stored before.
    Before,
    /// It was not committed.
    Failed(CommitError),
}

/// The way to other gateways' committers.
#[async_trait]
pub trait HandOver: Send + Sync + 'static {
    /// Has another gateway commit a room's messages, and resolves with what became of the first of them; those after are
    /// certainly not stored by this. `None` when there is no answer in time: any of them may be stored, now or later.
    async fn hand_over(
        &self,
        to: GatewayId,
        conversation: ConversationId,
        messages: Vec<HandedOver>,
    ) -> Option<Vec<Settled>>;
}

/// Messages of another gateway's that wait for their outcomes here.
#[must_use]
pub struct TakenOver(Vec<(EventId, Ticket<Arc<Event>>)>);

impl TakenOver {
    /// What became of those that were taken, which are the first ones; resolves when all outcomes are known.
    pub async fn settled(self) -> Vec<Settled> {
        let mut settled = Vec::with_capacity(self.0.len());
        for (id, ticket) in self.0 {
            settled.push(match ticket.settled().await {
                Ok(event) if event.id == id => Settled::Stored(event.seq),
                Ok(_) => Settled::Before,
                Err(error) => Settled::Failed(error),
            });
        }
        settled
    }
}

impl Committer {
    /// From now on runs may be handed to other gateways. Set once: what carries them needs the committer in turn.
    pub fn hand_over_with(&self, carrier: Arc<dyn HandOver>) {
        let _ = self.0.carrier.set(carrier);
    }

    /// Commits what another gateway hands over, in this order, as far as there is room for it. Nothing while this one
    /// leaves the writing to another itself, lest messages are passed round in a circle.
    /// `storing` makes a message's span.
    pub fn take_over(
        &self,
        conversation: ConversationId,
        messages: Vec<HandedOver>,
        storing: impl Fn(TraceContext) -> Option<Storing>,
    ) -> TakenOver {
        if self.0.turns.writer(conversation).is_some() {
            return TakenOver(Vec::new());
        }
        let submit = |HandedOver { message, trace }| {
            let id = message.id;
            let storing = trace.and_then(&storing).map(Box::new);
            let ticket = self.submit(conversation, message, None, storing).ok()?;
            Some((id, ticket))
        };
        TakenOver(messages.into_iter().map_while(submit).collect())
    }
}

impl Shared {
    /// Who is to write this run; none when this gateway is. Not one with an unknown outcome, which is resolved where it
    /// arose.
    pub(super) fn writer_of(
        &self,
        run: &Run,
        pending: &VecDeque<PendingMessage>,
    ) -> Option<(GatewayId, &Arc<dyn HandOver>)> {
        let (writer, carrier) = (self.turns.writer(run.conversation)?, self.carrier.get()?);
        let is_plain = |waiting: &PendingMessage| waiting.attempted.is_none();
        let bytes: usize = run
            .messages
            .iter()
            .map(|message| message.content.as_str().len())
            .sum();
        (bytes <= BYTES && pending.iter().all(is_plain)).then_some((writer, carrier))
    }

    /// Hands a run over and settles what the other says of it.
    pub(super) async fn hand_over(
        &self,
        (writer, carrier): (GatewayId, &Arc<dyn HandOver>),
        run: Run,
        pending: &mut VecDeque<PendingMessage>,
    ) -> StoreResult<Progress> {
        let (conversation, first) = (run.conversation, run.first);
        let traces = pending.iter().map(|waiting| {
            let storing = waiting.storing.as_ref()?;
            Some(storing.context())
        });
        let messages = run.messages.into_iter().zip(traces);
        let messages: Vec<HandedOver> = messages
            .map(|(message, trace)| HandedOver { message, trace })
            .collect();
        let count = messages.len();
        let Some(settled) = carrier.hand_over(writer, conversation, messages).await else {
            self.turns.shy(conversation);
            self.metrics.handed_over_unknown.increment(count as u64);
            let stop = Stop::Unknown("no answer from the gateway that writes".to_owned());
            return self
                .stopped(conversation, (first, first), stop, pending)
                .await;
        };
        let declined = count.saturating_sub(settled.len());
        if declined > 0 {
            self.turns.resume(conversation);
            self.metrics.handed_over_declined.increment(declined as u64);
        }
        let places = (0..).map(|place| Settled::Stored(first.plus(place)));
        if !settled.iter().cloned().eq(places.take(settled.len())) {
            // Others have written meanwhile.
            self.turns.keep(conversation);
        }
        for outcome in settled {
            let Some(mut waiting) = pending.pop_front() else {
                break;
            };
            match outcome {
                Settled::Stored(seq) => {
                    self.metrics.handed_over_stored.increment(1);
                    let event = event_at(conversation, seq, &waiting.subject);
                    waiting.settle(Ok(Arc::new(event)));
                }
                // The other has read it, so a majority read finds it.
                Settled::Before => match self.stored(conversation, &waiting.subject).await {
                    Ok(Some(event)) => self.settle_retry(&mut waiting, event),
                    _ => waiting.settle(Err(CommitError::Unavailable)),
                },
                Settled::Failed(error) => waiting.settle(Err(error)),
            }
        }
        Ok(Progress::Some)
    }

    /// Another gateway was first, and what it wrote is known, for so many times in a row.
    pub(super) fn lost_places(&self, conversation: ConversationId, in_a_row: u32) {
        let ConversationId::Room(_) = conversation else {
            // The answer to a send must know its session there (D29), and there are two writers at most.
            return;
        };
        if in_a_row > 1
            && self.carrier.get().is_some()
            && let Some(winner) = self.frontier.writer(conversation)
        {
            self.turns.leave(conversation, winner);
        }
    }
}
