//! A change in its steps, as a gateway takes them: so that a case may stop, as a gateway that dies, behind any of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hobnob::commit::Changed;
use hobnob::domain::{Body, Change, ConversationId, Event, Seq, decide, projections};
use hobnob::store::{Projected, Run, Stop};

use super::scene::Scene;

/// What a gateway has done when it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It has read what the change is decided by.
    Read,
    /// It has stored the event, and nothing that follows from it.
    Stored,
    /// Everything is written.
    Done,
}

impl Scene {
    /// Makes a change; one that is repeated is recognised.
    pub(crate) async fn make(&self, change: &Change) -> Changed {
        self.make_up_to(Step::Done, change).await.unwrap()
    }

    /// Makes a change up to a step; what became of it, when that is known by then.
    pub(crate) async fn make_up_to(&self, last: Step, change: &Change) -> Option<Changed> {
        let conversation = change.conversation;
        loop {
            let head = self.settled_head(conversation).await;
            if let Some(event) = self.made_before(change).await {
                return Some(Changed::Applied(event));
            }
            let actor = self.member(conversation, change.actor).await;
            let asked = std::slice::from_ref(change);
            let facts = self.store.facts(asked).await.unwrap().remove(0);
            let limit = self.room_limit.load(Ordering::Relaxed);
            let body = match decide(change, actor.as_ref(), &facts, limit) {
                Ok(Some(body)) => body,
                // Perhaps by this very change.
                decided => {
                    let answer = decided.map_or_else(Changed::Refused, |_| Changed::Nothing);
                    let made = self.made_before(change).await;
                    return Some(made.map_or(answer, Changed::Applied));
                }
            };
            if last == Step::Read {
                return None;
            }
            let event = Arc::new(change.event(head.next(), body));
            let projections = projections(&event, facts.message());
            match self.append_event(&event).await {
                None => {}
                Some(Stop::SeqTaken | Stop::IdTaken) => continue,
                Some(other) => panic!("the append stopped: {other:?}"),
            }
            if last == Step::Stored {
                return None;
            }
            let (changed, event) = (Arc::clone(&event), event);
            let projected = Projected { event, projections };
            self.store.project(&[projected]).await.unwrap();
            return Some(Changed::Applied(changed));
        }
    }

    async fn made_before(&self, change: &Change) -> Option<Arc<Event>> {
        let conversation = change.conversation;
        let stored = self.store.change_by_id(conversation, change.id).await;
        let event = stored.unwrap()?;
        self.settled_head(conversation).await;
        Some(Arc::new(event))
    }

    /// The head of a log of which everything is written that follows from its events.
    async fn settled_head(&self, conversation: ConversationId) -> Seq {
        let head = self.head(conversation).await;
        let all = self.store.project_leftovers(Some(conversation)).await;
        all.unwrap();
        head
    }

    /// Stores one event where it says; why not, if not.
    pub(crate) async fn append_event(&self, event: &Arc<Event>) -> Option<Stop> {
        let run = Run {
            conversation: event.conversation,
            first: event.seq,
            events: vec![Arc::clone(event)],
        };
        self.store.append(vec![run]).await.remove(0).stopped
    }

    /// Stores an event at the head, whoever may want what.
    pub(crate) async fn happen(&self, change: &Change, body: Body) -> Arc<Event> {
        let event = Arc::new(change.event(self.head(change.conversation).await.next(), body));
        assert_eq!(self.append_event(&event).await, None);
        event
    }
}
