//! The committer: gives every message its place in its conversation's log. Knows the store and the announcer; knows
//! neither sessions nor protocols.
//!
//! Per conversation one driver at a time works through what is waiting, in the order it came, so one gateway's
//! announcements are in seq order (D9) and each sender's messages in theirs (D2). The next seq is guessed from the
//! frontier and confirmed by the unique key. An unknown outcome is tried again under the same clientMessageId until it
//! is known, also after the sender was answered (D5).

mod driver;
mod lanes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::batcher::Batcher;
use super::frontier::Frontier;
use super::{Changed, NewMessage, Store, StoreError};
use crate::chat::Announce;
use crate::domain::{Change, ConversationId, Entropy, Event, Refusal, Seq, SessionId};
use crate::metrics::Metrics;
use lanes::Lanes;

/// Why a message or change was not committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitError {
    /// Final: the data refuses it.
    Refused(Refusal),
    /// Final: the sender used this clientMessageId in this conversation for another content (P3).
    ClientMessageIdReused,
    /// More is waiting than this gateway takes on; nothing was stored.
    Busy,
    /// The store is away or the outcome is not known yet; retry with the same clientMessageId.
    Unavailable,
    /// A fault; logged.
    Internal,
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => {
                tracing::warn!(cause, "store unavailable");
                Self::Unavailable
            }
            StoreError::Broken(cause) => {
                tracing::error!(cause, "store failed");
                Self::Internal
            }
        }
    }
}

/// Bounds of the committer.
#[derive(Debug, Clone, Copy)]
pub struct CommitterConfig {
    /// The most messages and changes waiting or unknown; beyond it new ones are refused as [`CommitError::Busy`].
    pub waiting: usize,
    /// The most bytes of content waiting or unknown; likewise.
    pub waiting_bytes: usize,
    /// How long a sender waits for an answer before [`CommitError::Unavailable`].
    pub answer_within: Duration,
}

impl Default for CommitterConfig {
    fn default() -> Self {
        Self {
            waiting: 20_000,
            waiting_bytes: 64 << 20,
            answer_within: Duration::from_secs(10),
        }
    }
}

/// Commits messages and changes. Cheap to clone.
#[derive(Clone)]
pub struct Committer(Arc<Shared>);

struct Shared {
    config: CommitterConfig,
    store: Arc<dyn Store>,
    announce: Arc<dyn Announce>,
    frontier: Arc<Frontier>,
    entropy: Arc<Entropy>,
    batcher: Arc<Batcher>,
    lanes: Lanes,
    tracker: TaskTracker,
    metrics: Metrics,
}

/// Something that waits for its place in a log.
enum Work {
    Message(Box<Pending<NewMessage, Arc<Event>>>),
    Change(Box<Pending<Change, Changed>>),
}

struct Pending<Subject, Answer> {
    subject: Subject,
    origin: Option<SessionId>,
    answer: Option<oneshot::Sender<Result<Answer, CommitError>>>,
    /// The sender was told that the outcome is unknown.
    abandoned: Arc<AtomicBool>,
    /// The last place at which an insert had an unknown outcome: until that is another's, "not stored" cannot be
    /// said (D5).
    attempted: Option<Seq>,
}

impl<Subject, Answer> Pending<Subject, Answer> {
    fn settle(&mut self, result: Result<Answer, CommitError>) {
        if let Some(answer) = self.answer.take() {
            // A sender who has gone finds the message in the log.
            let _ = answer.send(result);
        }
    }
}

/// A submitted message or change, whose place in the order is taken; wait for its outcome.
#[must_use]
pub struct Ticket<Answer> {
    outcome: oneshot::Receiver<Result<Answer, CommitError>>,
    abandoned: Arc<AtomicBool>,
    deadline: tokio::time::Instant,
}

impl<Answer> Ticket<Answer> {
    /// The outcome.
    ///
    /// # Errors
    /// See [`CommitError`]. After [`CommitterConfig::answer_within`] it is [`CommitError::Unavailable`], while the
    /// committer goes on with what may be stored already.
    pub async fn outcome(self) -> Result<Answer, CommitError> {
        match tokio::time::timeout_at(self.deadline, self.outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(CommitError::Unavailable),
            Err(_) => {
                self.abandoned.store(true, Ordering::Relaxed);
                Err(CommitError::Unavailable)
            }
        }
    }
}

impl Committer {
    /// A committer on this store that tells `announce` of every commit, in seq order per conversation.
    #[must_use]
    pub fn new(
        config: CommitterConfig,
        store: Arc<dyn Store>,
        announce: Arc<dyn Announce>,
        frontier: Arc<Frontier>,
        entropy: Arc<Entropy>,
        metrics: Metrics,
    ) -> Self {
        let tracker = TaskTracker::new();
        let batcher = Arc::new(Batcher::new(
            Arc::clone(&store),
            tracker.clone(),
            metrics.clone(),
        ));
        let lanes = Lanes::new(config);
        Self(Arc::new(Shared {
            config,
            store,
            announce,
            frontier,
            entropy,
            batcher,
            lanes,
            tracker,
            metrics,
        }))
    }

    /// Takes a message's place in its conversation's queue, at once and in order of the calls.
    ///
    /// # Errors
    /// [`CommitError::Busy`] when too much is waiting.
    pub fn submit(
        &self,
        conversation: ConversationId,
        message: NewMessage,
        origin: Option<SessionId>,
    ) -> Result<Ticket<Arc<Event>>, CommitError> {
        let bytes = message.content.as_str().len();
        let (pending, ticket) = self.pending(message, origin);
        self.enqueue(conversation, Work::Message(pending), bytes)?;
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
        self.submit(conversation, message, origin)?.outcome().await
    }

    /// Makes a change in its turn among the conversation's sends.
    ///
    /// # Errors
    /// See [`CommitError`]; a refusal is part of the answer ([`Changed::Refused`]).
    pub async fn change(
        &self,
        change: Change,
        origin: Option<SessionId>,
    ) -> Result<Changed, CommitError> {
        let conversation = change.conversation;
        let (pending, ticket) = self.pending(change, origin);
        self.enqueue(conversation, Work::Change(pending), 0)?;
        ticket.outcome().await
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

    fn pending<Subject, Answer>(
        &self,
        subject: Subject,
        origin: Option<SessionId>,
    ) -> (Box<Pending<Subject, Answer>>, Ticket<Answer>) {
        let (answer, outcome) = oneshot::channel();
        let abandoned = Arc::new(AtomicBool::new(false));
        let deadline = tokio::time::Instant::now() + self.0.config.answer_within;
        let ticket = Ticket {
            outcome,
            abandoned: Arc::clone(&abandoned),
            deadline,
        };
        let answer = Some(answer);
        (
            Box::new(Pending {
                subject,
                origin,
                answer,
                abandoned,
                attempted: None,
            }),
            ticket,
        )
    }

    fn enqueue(
        &self,
        conversation: ConversationId,
        work: Work,
        bytes: usize,
    ) -> Result<(), CommitError> {
        let idle = self
            .0
            .lanes
            .push(conversation, work, bytes)
            .map_err(|lanes::Full| CommitError::Busy)?;
        if idle {
            let shared = Arc::clone(&self.0);
            self.0
                .tracker
                .spawn(async move { shared.drive(conversation).await });
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
