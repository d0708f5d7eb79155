//! The committer: gives every message and every change its place in its conversation's log. Knows the store and the
//! announcer; knows neither sessions nor protocols.
//!
//! Per conversation one driver at a time works through what is waiting, in the order it came, so one gateway's
//! announcements are in seq order (D9) and each sender's messages in theirs (D2). The next seq is guessed from the
//! frontier and confirmed by the unique key. An unknown outcome is tried again under the same id until it is known, also
//! after the sender was answered (D5). In one that several gateways write to, one writes for all.
//!
//! A change is decided by facts as of the end of the log, and becomes an event there, like a message; what follows from it
//! is written behind it, before anybody is told (D56).

mod announce;
mod answer;
mod batcher;
mod config;
mod decisions;
mod delegated;
mod delegation;
mod driver;
pub mod frontier;
mod gather;
mod inner;
mod lane;
mod lanes;
mod outcomes;
mod pending;
mod portion;
mod progress;
#[cfg(test)]
mod tests;
mod together;
mod writers;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::domain::{Change, ConversationId, Entropy, Event, SessionId};
use crate::logging::served::task;
use crate::metrics::Metrics;
use crate::store::{NewConversation, NewMessage, Store};
use crate::traces::Storing;
pub use announce::Announce;
pub use answer::{Changed, CommitError};
pub use config::CommitterConfig;
pub use delegated::{Delegated, Delegation, Settled};
pub use delegation::TakenOn;
use frontier::Frontier;
use inner::{CommitterInner, CommitterPorts};
pub use pending::{Entry, Ticket};
use pending::{Pending, Work};

/// Commits messages and changes. Cheap to clone.
#[derive(Clone)]
pub struct Committer(Arc<CommitterInner>);

impl Committer {
    /// A committer on this store that tells `announce` of every commit, in seq order per conversation. With
    /// `delegation` it leaves the writing of contended conversations to the gateway that wins there (D38).
    #[must_use]
    pub fn new(
        config: CommitterConfig,
        store: Arc<dyn Store>,
        announce: Arc<dyn Announce>,
        delegation: Option<Arc<dyn Delegation>>,
        frontier: Arc<Frontier>,
        entropy: Arc<Entropy>,
        metrics: Metrics,
    ) -> Self {
        let ports = CommitterPorts {
            store,
            announce,
            delegation,
            frontier,
            entropy,
            metrics,
        };
        Self(Arc::new(CommitterInner::new(config, ports)))
    }

    /// Takes a message's place in its conversation's queue, at once and in order of the calls. `storing` is its span,
    /// when it is traced.
    ///
    /// # Errors
    /// [`CommitError::Busy`] when too much is waiting.
    pub fn submit(
        &self,
        conversation: ConversationId,
        message: NewMessage,
        origin: Option<SessionId>,
        storing: Option<Box<Storing>>,
    ) -> Result<Ticket<Changed>, CommitError> {
        let entry = Entry::Message(message);
        let (pending, ticket) = Pending::new(entry, origin, storing, self.deadline());
        self.enqueue(conversation, Work::Entry(pending))?;
        Ok(ticket)
    }

    /// Appends a message to a log; returns the stored event, for a retry the original one.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub async fn send(
        &self,
        conversation: ConversationId,
        message: NewMessage,
        origin: Option<SessionId>,
    ) -> Result<Arc<Event>, CommitError> {
        self.submit(conversation, message, origin, None)?
            .event()
            .await
    }

    /// Makes a change in its turn among the conversation's sends.
    ///
    /// # Errors
    /// See [`CommitError`]; a refusal is part of the answer ([`Changed::Refused`]).
    pub async fn change(&self, change: Change) -> Result<Changed, CommitError> {
        let conversation = change.conversation;
        let entry = Entry::Change(change);
        let (pending, ticket) = Pending::new(entry, None, None, self.deadline());
        self.enqueue(conversation, Work::Entry(pending))?;
        ticket.outcome().await
    }

    /// Makes a conversation with its members, unless it is there, and tells them; before what is sent to it later.
    ///
    /// # Errors
    /// See [`CommitError`]. After [`CommitError::Unavailable`] it may be made yet, and then they are told.
    pub async fn make(&self, new: NewConversation) -> Result<(), CommitError> {
        let conversation = new.id();
        let (pending, ticket) = Pending::new(new, None, None, self.deadline());
        self.enqueue(conversation, Work::Conversation(pending))?;
        ticket.outcome().await
    }

    /// Another limit of rooms' members from now on; larger rooms stay as they are.
    pub fn set_room_limit(&self, members: usize) {
        self.0.room_members.store(members, Ordering::Relaxed);
    }

    /// What this gateway knows to be committed.
    #[must_use]
    pub fn frontier(&self) -> &Arc<Frontier> {
        &self.0.frontier
    }

    /// How many messages and changes wait for a known outcome.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.lanes.waiting()
    }

    /// Resolves when every outcome is known. Refuses nothing new: stop the senders first.
    pub async fn idle(&self) {
        self.0.lanes.idle().await;
    }

    fn deadline(&self) -> tokio::time::Instant {
        tokio::time::Instant::now() + self.0.config.answer_within
    }

    fn enqueue(&self, conversation: ConversationId, work: Work) -> Result<(), CommitError> {
        let idle = self
            .0
            .lanes
            .push(conversation, work)
            .map_err(|lanes::Full| CommitError::Busy)?;
        if idle {
            let shared = Arc::clone(&self.0);
            self.0.tracker.spawn(task("committer", async move {
                shared.drive(conversation).await
            }));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Committer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Committer")
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
