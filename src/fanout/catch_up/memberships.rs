//! What a session's user belongs to, read for it with as much patience as the session has. Gives nothing.

use std::sync::Arc;
use std::time::Duration;

use super::super::session::Session;
use crate::commit::frontier::Frontier;
use crate::domain::{Backoff, ConversationId, Entropy, Member, UserId};
use crate::store::{Store, StoreError, StoreResult, all_memberships};
use crate::transport::outbox::Reason;

/// The first and the longest wait after a failed read.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(4));
/// How often a read is tried again before the session is closed, to resume elsewhere (D15).
const TRIES: u32 = 20;

pub(super) struct Memberships {
    store: Arc<dyn Store>,
    frontier: Arc<Frontier>,
    entropy: Arc<Entropy>,
}

impl Memberships {
    pub(super) fn new(
        store: Arc<dyn Store>,
        frontier: Arc<Frontier>,
        entropy: Arc<Entropy>,
    ) -> Self {
        Self {
            store,
            frontier,
            entropy,
        }
    }

    /// All of a user's, former ones included, with cursors that their logs reach.
    pub(super) async fn all(&self, user: UserId) -> StoreResult<Vec<Member>> {
        let members = all_memberships(&*self.store, user).await?;
        self.within_logs(members).await
    }

    /// One of a session's user, likewise. The outer none when nothing could be read, and the session has ended.
    pub(super) async fn one(
        &self,
        session: &Session,
        conversation: ConversationId,
    ) -> Option<Option<Member>> {
        // Whoever joins at this very moment has not brought a restored cursor back yet (D37).
        let read = || async {
            let member = self.store.member(conversation, session.user()).await?;
            let mut within = self.within_logs(member.into_iter().collect()).await?;
            Ok(within.pop())
        };
        self.persist(session, read).await
    }

    /// A user's membership of one conversation, former ones included.
    pub(super) async fn current(
        &self,
        session: &Session,
        conversation: ConversationId,
    ) -> Option<Option<Member>> {
        let read = || self.store.member(conversation, session.user());
        self.persist(session, read).await
    }

    /// Reads until it succeeds, the session ends, or patience does: then the session is closed, to resume (D15).
    pub(super) async fn persist<T, F>(
        &self,
        session: &Session,
        mut read: impl FnMut() -> F,
    ) -> Option<T>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut backoff = Backoff::between(RETRY.0, RETRY.1);
        for _ in 0..TRIES {
            if session.is_closed() {
                return None;
            }
            match read().await {
                Ok(found) => return Some(found),
                Err(error) => {
                    tracing::warn!(%error, "catching up, reading again")
                }
            }
            tokio::time::sleep(backoff.step(&self.entropy)).await;
        }
        session.close(Reason::ServerClosed);
        None
    }

    /// Memberships that a session is to follow. A cursor beyond its log, as a restore leaves them, would hide what is
    /// yet to come: it is brought back first (D37). Asked only where this gateway does not know that the log reaches so
    /// far.
    async fn within_logs(&self, mut members: Vec<Member>) -> StoreResult<Vec<Member>> {
        let is_unproved = |member: &Member| {
            let head = self.frontier.head(member.conversation).unwrap_or_default();
            member.is_active() && member.resume_after() > head
        };
        let unproved = members.iter().filter(|member| is_unproved(member));
        let unproved: Vec<_> = unproved.map(|member| member.conversation).collect();
        if unproved.is_empty() {
            return Ok(members);
        }
        let heads = self.store.heads(&unproved).await?;
        for member in members.iter_mut().filter(|member| is_unproved(member)) {
            let head = heads.get(&member.conversation).copied();
            let head = head.unwrap_or_default();
            if member.delivered_seq.max(member.read_seq) > head {
                self.store.clamp_cursors(member.conversation).await?;
                member.delivered_seq = member.delivered_seq.min(head);
            }
        }
        Ok(members)
    }
}
