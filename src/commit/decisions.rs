//! What entries become: a message its event, a change what the domain decides as of the end of the log, with all that
//! follows from it. Inserts nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;

use super::frontier::Standing;
use super::inner::CommitterInner;
use super::pending::{Entry, PendingEntry};
use super::together::abandoned;
use crate::domain::{
    Body, Change, ConversationId, Event, Facts, Member, Message, Refusal, Seq, decide, projections,
};
use crate::store::{Projected, StoreResult};

/// What an entry becomes, if everything before it does.
pub(super) enum Decision {
    /// An event, at the place it has, and what follows from it.
    Event(Projected),
    /// No event: there is nothing to change.
    Nothing,
    /// No event: the change is not allowed or not possible.
    Refused(Refusal),
}

/// The messages that the changes of a run have changed, as of the last of them.
type Targets = HashMap<Seq, Message>;

impl CommitterInner {
    /// What those who wait become, each as of the one before, from the end of the log on. All of them are messages, or all
    /// changes. None when somebody's membership is to be read first.
    ///
    /// A change is refused, or so already, by facts that each were true at some time since it was asked for; it is an event
    /// by facts as of the place where that is inserted.
    pub(super) async fn decisions(
        &self,
        conversation: ConversationId,
        standing: &Standing,
        pending: &VecDeque<PendingEntry>,
    ) -> StoreResult<Option<Vec<Decision>>> {
        let mut facts = self.facts(pending).await?;
        let (mut next, mut targets) = (standing.head.next(), Targets::new());
        let mut decisions = Vec::with_capacity(pending.len());
        for waiting in pending {
            let decision = match &waiting.subject {
                Entry::Message(message) => Decision::Event(Projected {
                    event: Arc::new(message.event(conversation, next)),
                    projections: Vec::new(),
                }),
                Entry::Change(change) => {
                    let Some(actor) = self.frontier.member(conversation, change.actor) else {
                        return Ok(None);
                    };
                    let facts = facts.pop_front().unwrap_or_default();
                    self.decide(change, (next, actor), facts, &mut targets)
                }
            };
            if let Decision::Event(_) = decision {
                next = next.next();
            }
            decisions.push(decision);
        }
        Ok(Some(decisions))
    }

    /// What the changes among those who wait are decided by, in their order.
    async fn facts(&self, pending: &VecDeque<PendingEntry>) -> StoreResult<VecDeque<Facts>> {
        let mut reads = Vec::new();
        for waiting in pending {
            if let Some(change) = waiting.subject.change() {
                reads.push(self.facts.ask(change.clone()));
            }
        }
        let read = join_all(reads).await.into_iter();
        read.map(|facts| facts.unwrap_or_else(|| Err(abandoned())))
            .collect()
    }

    fn decide(
        &self,
        change: &Change,
        (seq, actor): (Seq, Option<Member>),
        mut facts: Facts,
        targets: &mut Targets,
    ) -> Decision {
        let target = change.kind.target();
        if let Some(message) = target.and_then(|seq| targets.get(&seq))
            && let Some(event) = &mut facts.target
        {
            event.body = Body::Message(message.clone());
        }
        let room_members = self.room_members.load(Ordering::Relaxed);
        let body = match decide(change, actor.as_ref(), &facts, room_members) {
            Ok(Some(body)) => body,
            Ok(None) => return Decision::Nothing,
            Err(refusal) => return Decision::Refused(refusal),
        };
        let event: Event = change.event(seq, body);
        let projections = projections(&event, facts.message());
        if let (Some(target), Some(message)) = (target, facts.message()) {
            let message = projections.iter().fold(message.clone(), Message::with);
            targets.insert(target, message);
        }
        Decision::Event(Projected {
            event: Arc::new(event),
            projections,
        })
    }
}
