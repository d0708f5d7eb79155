//! Fills gaps from the log: once per topic, not once per session. Knows no bus; what is missing it is told.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::gaps::Gaps;
use super::offer::Offer;
use super::offering::Offering;
use super::standstill::Standstill;
use super::tasks::Tasks;
use super::topics::Topics;
use crate::commit::frontier::Frontier;
use crate::domain::{Backoff, ConversationId, Event, Seq};
use crate::metrics::Metrics;
use crate::store::{Span, Store, StoreError};
use crate::transport::outbox::Reason;

/// How long a gap waits for the missing event to arrive by itself (D14).
const PATIENCE: Duration = Duration::from_millis(50);
/// How many events are read at once.
const PAGE: usize = 200;
/// The longest wait between reads that do not show what must be there: during an election they may be stale.
const RETRY_MAX: Duration = Duration::from_secs(2);
/// How often a log that cannot be understood is read again before its sessions are closed, to resume (D15).
const TRIES: usize = 20;

pub(super) struct Repair {
    store: Arc<dyn Store>,
    frontier: Arc<Frontier>,
    topics: Arc<Topics>,
    gaps: Arc<Gaps>,
    offering: Arc<Offering>,
    tasks: Tasks,
    metrics: Metrics,
}

impl Repair {
    pub(super) fn new(
        (store, frontier): (Arc<dyn Store>, Arc<Frontier>),
        topics: Arc<Topics>,
        gaps: Arc<Gaps>,
        offering: Arc<Offering>,
        tasks: Tasks,
        metrics: Metrics,
    ) -> Self {
        Self {
            store,
            frontier,
            topics,
            gaps,
            offering,
            tasks,
            metrics,
        }
    }

    /// Fills gaps as they are found, side by side, until `stop`.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) {
        while let Some(conversation) = stop.run_until_cancelled(self.gaps.next()).await {
            let this = Arc::clone(&self);
            self.tasks.spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                this.fill(conversation).await;
            });
        }
    }

    async fn fill(&self, conversation: ConversationId) {
        let mut backoff = Backoff::between(2 * PATIENCE, RETRY_MAX);
        let mut broken = 0;
        let mut standstill = Standstill::watch(&self.metrics.gaps_standing_still);
        while let Some(gap) = self.gap(conversation) {
            let events = match self.read(conversation, gap).await {
                Ok(events) => events,
                Err(error) => {
                    tracing::warn!(%error, "filling a gap, reading again");
                    broken += usize::from(matches!(error, StoreError::Broken(_)));
                    if broken > TRIES {
                        return self.give_up(conversation);
                    }
                    Vec::new()
                }
            };
            if events.is_empty() {
                // It was published, so it is there: read again, never skip (D14).
                standstill.goes_on();
                if self.tasks.pause(&mut backoff).await.is_none() {
                    return;
                }
                continue;
            }
            standstill.ended();
            for event in events {
                self.offer(event);
            }
        }
        self.metrics.gaps_repaired.increment(1);
    }

    async fn read(
        &self,
        conversation: ConversationId,
        (after, up_to): (Seq, Seq),
    ) -> Result<Vec<Event>, StoreError> {
        let span = Span {
            conversation,
            after,
            up_to,
        };
        self.store.events(&[span], PAGE).await
    }

    fn offer(&self, event: Event) {
        let changes_membership = event.body.changes_membership();
        self.frontier
            .note_read(event.conversation, event.seq, changes_membership);
        // As it would have come live: who is a member no more behind it sees nothing later (D41).
        self.offering.repair(Offer::of(&event.into_sent()));
    }

    /// A topic that cannot be repaired must not starve its sessions in silence.
    fn give_up(&self, conversation: ConversationId) {
        self.metrics.gaps_given_up.increment(1);
        self.topics
            .with(conversation, |topic| topic.give_up(Reason::ServerClosed));
    }

    fn gap(&self, conversation: ConversationId) -> Option<(Seq, Seq)> {
        let gap = self.topics.with(conversation, |topic| topic.gap_to_fill());
        gap.flatten()
    }
}
