//! How far sessions have received: what they prove and acknowledge moves their users' cursors. Knows no protocol; how a
//! proof comes about is the outbox's.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::session::{Place, Session};
use super::topics::Topics;
use crate::chat::{ChatError, Cursors};
use crate::domain::{ConversationId, Refusal, Seq};
use crate::store::Store;
use crate::transport::outbox::Mark;

/// How long the answer to a client's goodbye waits for its cursors.
const GOODBYE: Duration = Duration::from_secs(1);

pub(super) struct Proofs {
    store: Arc<dyn Store>,
    topics: Arc<Topics>,
    cursors: Arc<Cursors>,
}

impl Proofs {
    pub(super) fn new(store: Arc<dyn Store>, topics: Arc<Topics>, cursors: Arc<Cursors>) -> Self {
        Self {
            store,
            topics,
            cursors,
        }
    }

    /// Everything written to this session before the mark was received: moves its cursors (D28).
    pub(super) fn proved(&self, session: &Session, mark: Mark) {
        session.prove(mark, |conversation, seq| {
            self.cursors.delivered(conversation, session.user(), seq);
        });
    }

    /// What of everything given was proved by now, at a session's end.
    pub(super) fn prove_last(&self, session: &Session) {
        if let Some(mark) = session.last_proof() {
            self.proved(session, mark);
        }
    }

    /// A client says goodbye: what it has proved is stored before it is answered, or whoever comes back at once, perhaps
    /// to another gateway, gets it again (D48). Does not wait for a store that is away.
    pub(super) async fn before_goodbye(&self, session: &Session) {
        self.prove_last(session);
        self.settle(Instant::now() + GOODBYE).await;
    }

    /// Stores soon what is proved, without waiting: a session has ended.
    pub(super) fn hurry(&self) {
        self.cursors.hurry();
    }

    /// Stores what is proved, but does not wait for a store that is away.
    pub(super) async fn settle(&self, patience: Instant) {
        tokio::select! {
            () = self.cursors.settle() => {}
            () = sleep_until(patience) => {}
        }
    }

    /// Acknowledges (or reads) up to a seq; returns once that is stored (D31). Clamped to what the session was offered
    /// (D27). A session that has not joined tells what an earlier one received: clamped to the log's head.
    ///
    /// # Errors
    /// `not_a_member`, `unavailable`, `busy`.
    pub(super) async fn acknowledge(
        &self,
        session: &Session,
        conversation: ConversationId,
        seq: Seq,
        read: bool,
    ) -> Result<(), ChatError> {
        let offered = match session.place(conversation) {
            Some(Place::Attached(_)) => self.topics.position_of(session, conversation),
            _ => Some(self.theirs(session, conversation, read).await?),
        };
        let seq = seq.min(offered.unwrap_or_default());
        session.acknowledged(conversation, seq);
        if seq == Seq::ZERO {
            return Ok(());
        }
        self.cursors
            .acknowledge(conversation, session.user(), seq, read)
            .await
    }

    /// How far a session that is not live in a conversation may acknowledge it. A former member may acknowledge what of
    /// their log was not delivered before, so that it does not come again, and nothing else; they read no more.
    async fn theirs(
        &self,
        session: &Session,
        conversation: ConversationId,
        read: bool,
    ) -> Result<Seq, ChatError> {
        let member = self.store.member(conversation, session.user()).await?;
        let member = member
            .filter(|member| member.is_active() || (!read && member.may_receive()))
            .ok_or(ChatError::Refused(Refusal::NotAMember))?;
        if let Some(position) = self.topics.position_of(session, conversation) {
            return Ok(position);
        }
        let heads = self.store.heads(&[conversation]).await?;
        let head = heads.get(&conversation).copied().unwrap_or_default();
        Ok(head.min(member.last_seq()))
    }
}
