//! What waits in a lane, and the sender's side of it: the ticket. Knows neither the store nor the announcer.

use std::sync::{Arc, OnceLock};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::answer::{Changed, CommitError};
use crate::domain::{Change, ChangeKind, ConversationId, Event, EventId, Seq, SessionId, UserId};
use crate::store::{NewConversation, NewMessage};
use crate::traces::{Storing, Trace};

/// Something that waits for its turn in a conversation.
pub(super) enum Work {
    /// What is to become an event.
    Entry(PendingEntry),
    /// The making of the conversation.
    Conversation(Box<Pending<NewConversation, ()>>),
}

/// What is to become an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A message.
    Message(NewMessage),
    /// A change.
    Change(Change),
}

pub(super) type PendingEntry = Box<Pending<Entry, Changed>>;

impl Entry {
    /// The id of the event.
    pub(super) const fn id(&self) -> EventId {
        match self {
            Self::Message(message) => message.id,
            Self::Change(change) => change.id,
        }
    }

    /// Who has sent it.
    pub(super) const fn sender(&self) -> UserId {
        match self {
            Self::Message(message) => message.sender,
            Self::Change(change) => change.actor,
        }
    }

    /// The event that it becomes at a place, if anything; none when that is to be decided first.
    pub(super) fn event(&self, conversation: ConversationId, seq: Seq) -> Option<Event> {
        match self {
            Self::Message(message) => Some(message.event(conversation, seq)),
            Self::Change(change) => Some(change.event(seq, change.kind.body()?)),
        }
    }

    pub(super) const fn message(&self) -> Option<&NewMessage> {
        match self {
            Self::Message(message) => Some(message),
            Self::Change(_) => None,
        }
    }

    pub(super) const fn change(&self) -> Option<&Change> {
        match self {
            Self::Message(_) => None,
            Self::Change(change) => Some(change),
        }
    }

    /// The size of its content, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Message(message) => message.content.as_str().len(),
            Self::Change(change) => match &change.kind {
                ChangeKind::Edit { content, .. } => content.as_str().len(),
                _ => 0,
            },
        }
    }
}

impl Work {
    /// The size of its content, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Entry(pending) => pending.subject.bytes(),
            Self::Conversation(_) => 0,
        }
    }

    /// See [`Pending::is_given_up`].
    pub(super) fn is_given_up(&self, now: Instant) -> bool {
        match self {
            Self::Entry(pending) => pending.is_given_up(now),
            Self::Conversation(pending) => pending.is_given_up(now),
        }
    }
}

/// What the sender is told: set once, by whoever is first.
#[derive(Debug)]
pub(super) enum Fate {
    /// The sender was answered with the outcome.
    Answered,
    /// The sender was answered "unavailable", and will not be told the outcome.
    GivenUp,
}

impl Fate {
    /// A fate that is not decided yet.
    pub(super) fn open() -> Arc<OnceLock<Self>> {
        Arc::default()
    }
}

/// Who has to do with a message besides this gateway (D38).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    /// Nobody: this gateway's own session is answered.
    Own,
    /// The gateway that has delegated it to this one.
    TakenOn,
    /// One that it was delegated to and that did not answer: it may store it yet, at a place that only it knows.
    Delegated,
}

/// A message or change with its sender.
pub(super) struct Pending<Subject, Answer> {
    pub(super) subject: Subject,
    origin: Option<SessionId>,
    /// Its span, when it is a message and traced.
    pub(super) storing: Option<Box<Storing>>,
    answer: Option<oneshot::Sender<Result<Answer, CommitError>>>,
    fate: Arc<OnceLock<Fate>>,
    /// Until when somebody waits for the answer.
    deadline: Instant,
    /// Where the last run began that held it and whose outcome is unknown. Until that place is known to be taken, "not
    /// stored" cannot be said (D5).
    pub(super) attempted: Option<Seq>,
    pub(super) duty: Duty,
}

impl<Subject, Answer> Pending<Subject, Answer> {
    pub(super) fn new(
        subject: Subject,
        origin: Option<SessionId>,
        storing: Option<Box<Storing>>,
        deadline: Instant,
    ) -> (Box<Self>, Ticket<Answer>) {
        let (answer, outcome) = oneshot::channel();
        let fate = Fate::open();
        let pending = Self {
            subject,
            origin,
            storing,
            answer: Some(answer),
            fate: Arc::clone(&fate),
            deadline,
            attempted: None,
            duty: Duty::Own,
        };
        let ticket = Ticket {
            outcome,
            fate,
            deadline,
        };
        (Box::new(pending), ticket)
    }

    /// One that another gateway has delegated, and that shares its fate with others.
    pub(super) fn taken_on(
        subject: Subject,
        storing: Option<Box<Storing>>,
        deadline: Instant,
        fate: &Arc<OnceLock<Fate>>,
    ) -> (Box<Self>, Ticket<Answer>) {
        let (mut pending, mut ticket) = Self::new(subject, None, storing, deadline);
        pending.fate = Arc::clone(fate);
        pending.duty = Duty::TakenOn;
        ticket.fate = Arc::clone(fate);
        (pending, ticket)
    }

    /// Whether nobody waits for it any more: its sender was told "unavailable", or has gone and would be by now. What was
    /// not begun by then is not begun at all.
    pub(super) fn is_given_up(&self, now: Instant) -> bool {
        if now >= self.deadline {
            // Unless it is answered: then the answer is about to come.
            let _ = self.fate.set(Fate::GivenUp);
        }
        matches!(self.fate.get(), Some(Fate::GivenUp))
    }

    /// Whether an insert of it may still be on its way, or has just arrived: behind this head, or from the gateway that it
    /// was delegated to.
    pub(super) fn may_arrive(&self, head: Seq) -> bool {
        self.attempted.is_some_and(|first| first > head) || self.duty == Duty::Delegated
    }

    /// Whose session takes the answer for the offer of the event (D29): from here on the sender waits for the answer.
    /// `None` when nobody does any more: then the sender's session is offered the event like all others.
    pub(super) fn claim_origin(&self) -> Option<SessionId> {
        let is_promised = !matches!(self.fate.get_or_init(|| Fate::Answered), Fate::GivenUp);
        let is_there = self
            .answer
            .as_ref()
            .is_some_and(|answer| !answer.is_closed());
        self.origin.filter(|_| is_promised && is_there)
    }

    /// It is in its log at this place: ends its span, if it has one. `batch` is how many messages were written with it.
    pub(super) fn end_storing(&mut self, event: &Event, batch: Option<usize>) -> Option<Trace> {
        let storing = self.storing.take()?;
        Some(storing.stored(event.conversation, event.seq, batch))
    }

    pub(super) fn settle(&mut self, result: Result<Answer, CommitError>) {
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
    fate: Arc<OnceLock<Fate>>,
    deadline: Instant,
}

impl<Answer> Ticket<Answer> {
    /// The outcome.
    ///
    /// # Errors
    /// See [`CommitError`]. After [`super::CommitterConfig::answer_within`] it is [`CommitError::Unavailable`], while
    /// the committer goes on with what may be stored already.
    pub async fn outcome(mut self) -> Result<Answer, CommitError> {
        let answer = match tokio::time::timeout_at(self.deadline, &mut self.outcome).await {
            Ok(answer) => answer,
            Err(_) if self.fate.set(Fate::GivenUp).is_ok() => return Err(CommitError::Unavailable),
            // The event was announced as answered to this sender: the answer is about to come.
            Err(_) => self.outcome.await,
        };
        answer.unwrap_or(Err(CommitError::Unavailable))
    }
}

impl Ticket<Changed> {
    /// The event that a message has become.
    ///
    /// # Errors
    /// See [`Ticket::outcome`].
    pub async fn event(self) -> Result<Arc<Event>, CommitError> {
        match self.outcome().await? {
            Changed::Applied(event) => Ok(event),
            Changed::Refused(refusal) => Err(CommitError::Refused(refusal)),
            // A message is never so already.
            Changed::Nothing => Err(CommitError::Internal),
        }
    }
}
