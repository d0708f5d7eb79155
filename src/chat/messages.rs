//! Sending, editing, deleting and reacting. Knows what a message needs before it may enter a log, and who announces
//! it afterwards: the committer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::commit::{Changed, CommitError, Ticket};
use crate::domain::{
    ChangeKind, ClientMessageId, Content, ConversationId, Emoji, Event, EventId, Fingerprint,
    RoomId, Seq, SessionId, Timestamp, UserId,
};
use crate::store::{NewConversation, NewMessage};
use crate::traces::Receiving;

use super::{Chat, ChatError};

/// A message somebody wants to send.
#[derive(Debug)]
pub struct Draft {
    id: EventId,
    at: Timestamp,
    content: Content,
    client_message_id: Option<ClientMessageId>,
    /// Its span, when it is traced.
    receiving: Option<Box<Receiving>>,
}

/// A message on its way into its log.
#[must_use]
pub struct Sending {
    ticket: Ticket<Changed>,
    receiving: Option<Box<Receiving>>,
}

impl Sending {
    /// The event, once it is stored.
    ///
    /// # Errors
    /// `not_a_member`, `client_message_id_reused`; `busy` and `unavailable` may be retried with the same clientMessageId.
    pub async fn stored(self) -> Result<Arc<Event>, ChatError> {
        let outcome = self.ticket.event().await.map_err(ChatError::from);
        if let Some(receiving) = self.receiving {
            match &outcome {
                Ok(event) => receiving.stored(event.conversation, event.seq),
                Err(error) => receiving.failed(error.code()),
            }
        }
        outcome
    }
}

impl Draft {
    /// The id its event will have, unless it is a retry.
    #[must_use]
    pub const fn id(&self) -> EventId {
        self.id
    }

    /// With the span of its being received, if it is traced.
    #[must_use]
    pub fn traced(mut self, receiving: Option<Receiving>) -> Self {
        self.receiving = receiving.map(Box::new);
        self
    }
}

impl Chat {
    /// Reads a message as a client sends it.
    ///
    /// # Errors
    /// `content_empty`, `content_too_long`, `invalid_client_message_id`.
    pub fn draft(
        &self,
        content: &str,
        client_message_id: Option<&str>,
    ) -> Result<Draft, ChatError> {
        let client_message_id = client_message_id
            .map(ClientMessageId::parse)
            .transpose()
            .map_err(|error| ChatError::text("clientMessageId", error))?;
        let at = self.clock.now();
        Ok(Draft {
            id: EventId::generate(at, &self.entropy),
            at,
            content: self.content(content)?,
            client_message_id,
            receiving: None,
        })
    }

    /// Begins to send a direct message: when it returns, the message has its place behind the sender's earlier ones, and a
    /// client's next request may be taken up. A retry with the same clientMessageId returns the original event (P3).
    ///
    /// # Errors
    /// `user_not_found`, `busy`, `unavailable`.
    pub async fn submit_direct(
        &self,
        caller: UserId,
        receiver: UserId,
        draft: Draft,
        origin: Option<SessionId>,
    ) -> Result<Sending, ChatError> {
        let conversation = self.open_direct(caller, receiver).await?;
        self.submit(caller, conversation, draft, origin)
    }

    /// Begins to send a message to a room, likewise. A retry with the same clientMessageId returns the original event (P3),
    /// even to somebody who was removed since (D4).
    ///
    /// # Errors
    /// `busy`.
    pub fn submit_room(
        &self,
        caller: UserId,
        room: RoomId,
        draft: Draft,
        origin: Option<SessionId>,
    ) -> Result<Sending, ChatError> {
        // The committer authorises, after it has looked for a retry.
        self.submit(caller, room.into(), draft, origin)
    }

    /// The direct conversation with another user (or oneself), which exists from now on with its members (D6).
    ///
    /// # Errors
    /// `user_not_found`, `quota_exceeded`; `token_invalid` when the caller's own account is gone.
    pub async fn open_direct(
        &self,
        caller: UserId,
        other: UserId,
    ) -> Result<ConversationId, ChatError> {
        let conversation = ConversationId::direct(caller, other);
        if self.known_direct.contains(conversation) {
            return Ok(conversation);
        }
        let users: Vec<UserId> = conversation.direct_users().collect();
        let found = self.store.users(&users).await?;
        let exists = |user| found.iter().any(|known| known.id == user);
        if !exists(caller) {
            return Err(ChatError::TokenInvalid);
        }
        if !exists(other) {
            return Err(ChatError::UserNotFound);
        }
        if self.store.member(conversation, caller).await?.is_none() {
            self.charge_conversation(caller, conversation).await?;
        }
        let new = NewConversation::Direct(conversation, self.clock.now());
        self.committer.make(new).await?;
        self.known_direct.insert(conversation);
        Ok(conversation)
    }

    /// Replaces what a message of the caller's says; `None` when it says that already.
    ///
    /// # Errors
    /// `not_a_member`, `not_allowed`, `no_such_message`, `message_deleted`, and those of the content.
    pub async fn edit_message(
        &self,
        caller: UserId,
        conversation: ConversationId,
        target: Seq,
        content: &str,
    ) -> Result<Option<Arc<Event>>, ChatError> {
        let content = self.content(content)?;
        let kind = ChangeKind::Edit { target, content };
        self.change(conversation, caller, kind).await
    }

    /// Puts a reaction on a message or takes one's own off; `None` when it is so already.
    ///
    /// # Errors
    /// `not_a_member`, `no_such_message`, `message_deleted`, `too_many_reactions`, `invalid_emoji`.
    pub async fn react(
        &self,
        caller: UserId,
        conversation: ConversationId,
        target: Seq,
        (emoji, added): (&str, bool),
    ) -> Result<Option<Arc<Event>>, ChatError> {
        let emoji = Emoji::parse(emoji).map_err(|error| ChatError::text("emoji", error))?;
        let kind = ChangeKind::React {
            target,
            emoji,
            added,
        };
        self.change(conversation, caller, kind).await
    }

    fn content(&self, text: &str) -> Result<Content, ChatError> {
        Content::parse(text, self.content_bytes.load(Ordering::Relaxed))
            .map_err(|error| ChatError::text("content", error))
    }

    fn submit(
        &self,
        sender: UserId,
        conversation: ConversationId,
        draft: Draft,
        origin: Option<SessionId>,
    ) -> Result<Sending, ChatError> {
        let Draft { id, at, .. } = draft;
        let client_message_id = match draft.client_message_id {
            Some(chosen) => chosen,
            None => ClientMessageId::parse(&id.to_string())
                .map_err(|error| ChatError::text("clientMessageId", error))?,
        };
        let message = NewMessage {
            id,
            sender,
            at,
            client_message_id,
            fingerprint: Fingerprint::of(&draft.content),
            content: draft.content,
        };
        let receiving = draft.receiving;
        let storing = receiving
            .as_ref()
            .map(|receiving| Box::new(receiving.store()));
        let ticket = self
            .committer
            .submit(conversation, message, origin, storing)?;
        Ok(Sending { ticket, receiving })
    }
}

impl From<CommitError> for ChatError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Refused(refusal) => Self::Refused(refusal),
            CommitError::ClientMessageIdReused => Self::ClientMessageIdReused,
            CommitError::Busy => Self::Busy,
            CommitError::Unavailable => Self::Unavailable,
            CommitError::Internal => Self::Internal,
        }
    }
}
