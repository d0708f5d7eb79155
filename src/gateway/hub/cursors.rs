//! How far sessions have received: what they prove and acknowledge moves their users' cursors.

use std::time::Duration;

use tokio::time::Instant;

use super::super::outbox::Mark;
use super::super::session::{Place, Session};
use super::Hub;
use crate::chat::ChatError;
use crate::domain::{ConversationId, Refusal, Seq, UserId};

/// How long the answer to a client's goodbye waits for its cursors.
const GOODBYE: Duration = Duration::from_secs(1);

impl Hub {
    /// Everything written to this session before the mark was received: moves its cursors (D28).
    pub fn proved(&self, session: &Session, mark: Mark) {
        let Some(cursors) = self.cursors.get() else {
            return;
        };
        session.prove(mark, |conversation, seq| {
            cursors.delivered(conversation, session.user(), seq);
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
    pub async fn before_goodbye(&self, session: &Session) {
        self.prove_last(session);
        self.settle_cursors(Instant::now() + GOODBYE).await;
    }

    /// Acknowledges (or reads) up to a seq; returns once that is stored (D31). Clamped to what the session was offered
    /// (D27). A session that has not joined tells what an earlier one received: clamped to the log's head.
    ///
    /// # Errors
    /// `not_a_member`, `unavailable`, `busy`.
    pub async fn acknowledge(
        &self,
        session: &Session,
        conversation: ConversationId,
        seq: Seq,
        read: bool,
    ) -> Result<(), ChatError> {
        let offered = match self.position(session, conversation) {
            Some(position) => position,
            None => self.head_for(session.user(), conversation).await?,
        };
        let seq = seq.min(offered);
        session.acknowledged(conversation, seq);
        match self.cursors.get() {
            Some(cursors) if seq > Seq::ZERO => {
                cursors
                    .acknowledge(conversation, session.user(), seq, read)
                    .await
            }
            _ => Ok(()),
        }
    }

    /// The last seq offered to a session without a gap; none when it has nothing to do with the conversation.
    pub(super) fn position(&self, session: &Session, conversation: ConversationId) -> Option<Seq> {
        match session.place(conversation)? {
            Place::CatchingUp(position) => position,
            Place::Ended(position) => Some(position),
            Place::Attached(from) => {
                let position = self.topics.with(conversation, |topic| topic.position());
                Some(from.max(position.unwrap_or_default()))
            }
        }
    }

    async fn head_for(&self, user: UserId, conversation: ConversationId) -> Result<Seq, ChatError> {
        let member = self.store.member(conversation, user).await?;
        let member = member.ok_or(ChatError::Refused(Refusal::NotAMember))?;
        let heads = self.store.heads(&[conversation]).await?;
        Ok(heads
            .get(&conversation)
            .copied()
            .unwrap_or_default()
            .min(member.last_seq()))
    }
}
