//! Filling gaps from the log: once per topic, not once per session; and the resync after any doubt.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::offer::Offer;
use super::Hub;
use super::standstill::Standstill;
use crate::domain::{ConversationId, Member, Seq, UserId};
use crate::store::{Span, StoreError, all_memberships};
use crate::transport::outbox::Reason;

/// How long a gap waits for the missing event to arrive by itself (D14).
const PATIENCE: Duration = Duration::from_millis(50);
/// How many events are read at once.
const PAGE: usize = 200;
/// The longest wait between reads that do not show what must be there: during an election they may be stale.
const RETRY_MAX: Duration = Duration::from_secs(1);
/// How many conversations' heads are asked for at once in a resync.
const CHUNK: usize = 200;
/// How many users' memberships are read at once.
const READS: usize = 16;
/// How many users are asked about at a time while the bus is away: what a stranger writes is found within seconds where
/// that many are, later where there are more, and the store is not asked a hundred times a second for nothing.
const PORTION: usize = 500;
/// How often a log that cannot be understood is read again before its sessions are closed, to resume (D15).
const TRIES: usize = 20;
/// The longest random wait before a resync, so that all gateways do not ask at once.
const JITTER: Duration = Duration::from_millis(300);

impl Hub {
    /// Fills a topic's gap. The topic has noted that somebody does.
    pub(super) fn repair(self: &Arc<Self>, conversation: ConversationId) {
        self.metrics.gaps_found.increment(1);
        let hub = Arc::clone(self);
        self.tracker.spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            hub.fill(conversation).await;
        });
    }

    async fn fill(self: &Arc<Self>, conversation: ConversationId) {
        let mut pause = PATIENCE;
        let mut broken = 0;
        let mut standstill = Standstill::watch(&self.metrics.gaps_standing_still);
        while let Some((after, up_to)) = self.gap(conversation) {
            let span = Span {
                conversation,
                after,
                up_to,
            };
            let events = match self.store.events(&[span], PAGE).await {
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
                let pause_now = pause + self.entropy.jitter(pause);
                if self
                    .stop
                    .run_until_cancelled(tokio::time::sleep(pause_now))
                    .await
                    .is_none()
                {
                    return;
                }
                pause = (pause * 2).min(RETRY_MAX);
                continue;
            }
            standstill.ended();
            for event in events {
                let changes_membership = event.body.changes_membership();
                self.frontier
                    .note_read(conversation, event.seq, changes_membership);
                // As it would have come live: who is a member no more behind it sees nothing later (D41).
                let offer = Offer::of(&event.into_sent(), None);
                let consequences = self.topics.with(conversation, |topic| topic.repair(offer));
                consequences
                    .into_iter()
                    .for_each(|consequences| self.follow(conversation, consequences));
            }
        }
        self.metrics.gaps_repaired.increment(1);
    }

    /// A topic that cannot be repaired must not starve its sessions in silence.
    fn give_up(&self, conversation: ConversationId) {
        self.metrics.gaps_given_up.increment(1);
        self.topics.with(conversation, |topic| {
            topic.is_repairing = false;
            topic.close(Reason::ServerClosed);
        });
    }

    /// The gap to fill; when there is none (any more), the topic notes that nobody fills it.
    fn gap(&self, conversation: ConversationId) -> Option<(Seq, Seq)> {
        let gap = self.topics.with(conversation, |topic| {
            let gap = topic.gap();
            topic.is_repairing = gap.is_some();
            gap
        });
        gap.flatten()
    }

    /// Something may have been lost: what the local sessions may have missed is read again soon (D16). Doubts that come
    /// before that begins are settled by it too.
    pub(super) fn resync(&self, doubt: &'static str) {
        tracing::info!(doubt, "resync");
        self.metrics.resync(doubt);
        self.resync_wanted.notify_one();
        self.presence_wanted.notify_one();
    }

    pub(super) async fn resync_when_wanted(self: Arc<Self>, stop: CancellationToken) {
        let work = async {
            let mut asked = None;
            loop {
                tokio::select! {
                    () = self.resync_wanted.notified() => self.resync_now().await,
                    () = self.compare_wanted.notified() => asked = self.compare_now(asked).await,
                }
            }
        };
        stop.run_until_cancelled(work).await;
    }

    async fn resync_now(self: &Arc<Self>) {
        let begun = Instant::now();
        tokio::time::sleep(self.entropy.jitter(JITTER)).await;
        self.compare_heads().await;
        self.find_memberships(self.users.here()).await;
        self.metrics.resync_seconds.record(begun.elapsed());
    }

    /// Compares topics with the log, whatever was heard; and while nothing is, looks for conversations that are new to
    /// some of the users here, those behind `asked`. Returns the last of them, or none when they were the last of all.
    async fn compare_now(self: &Arc<Self>, asked: Option<UserId>) -> Option<UserId> {
        self.compare_heads().await;
        if self.bus.health().is_ok() {
            return None;
        }
        let users = self.users.after(asked, PORTION);
        let last = users.last().copied().filter(|_| users.len() == PORTION);
        self.find_memberships(users).await;
        last
    }

    /// Finds topics behind the log.
    pub(super) async fn compare_heads(self: &Arc<Self>) {
        for chunk in self.topics.in_use().chunks(CHUNK) {
            let heads = self.until_read(|| self.store.heads(chunk)).await;
            for (conversation, head) in heads.into_iter().flatten() {
                self.hear_head(conversation, head);
            }
        }
    }

    /// A log reaches at least to here: fills the gap if that shows one.
    pub(super) fn hear_head(self: &Arc<Self>, conversation: ConversationId, head: Seq) {
        if self.topics.with(conversation, |topic| topic.hear(head)) == Some(true) {
            self.repair(conversation);
        }
    }

    /// Finds conversations of these users that their sessions here do not know yet.
    async fn find_memberships(self: &Arc<Self>, users: Vec<UserId>) {
        let reads = stream::iter(users).map(|user| async move {
            let read = || all_memberships(&*self.store, user);
            let members = self.until_read(read).await;
            for member in members.into_iter().flatten().filter(Member::is_active) {
                self.discover(member.conversation, user);
            }
        });
        reads.buffer_unordered(READS).collect::<()>().await;
    }

    /// Asks until there is an answer; none when the hub is stopped.
    pub(super) async fn until_read<T, E, F>(&self, mut read: impl FnMut() -> F) -> Option<T>
    where
        E: std::fmt::Display,
        F: Future<Output = Result<T, E>>,
    {
        let mut pause = PATIENCE;
        loop {
            match read().await {
                Ok(found) => return Some(found),
                Err(error) => tracing::warn!(%error, "resync, reading again"),
            }
            let pause_now = pause + self.entropy.jitter(pause);
            self.stop
                .run_until_cancelled(tokio::time::sleep(pause_now))
                .await?;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }
}
