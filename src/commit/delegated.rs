//! The port to other gateways' committers: what is delegated to them, and what they say of it (D38).

use async_trait::async_trait;

use super::answer::CommitError;
use super::pending::Entry;
use crate::domain::{ConversationId, GatewayId, Seq};
use crate::traces::TraceContext;

/// A message or change for another gateway to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegated {
    /// The message or change.
    pub entry: Entry,
    /// What its further spans hang on, when it is traced.
    pub trace: Option<TraceContext>,
}

/// The outcome of a delegated message or change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It is stored, at this seq.
    Stored(Seq),
    /// It is a retry of what was stored before.
    Before,
    /// A change that had nothing to change: there is no event.
    Nothing,
    /// It was not committed, for good.
    Failed(CommitError),
}

/// The way to other gateways' committers.
#[async_trait]
pub trait Delegation: Send + Sync + 'static {
    /// Whether the bus is connected, so that delegating may succeed.
    fn is_up(&self) -> bool;

    /// Has another gateway commit a conversation's messages, and resolves with what became of the first of them; those
    /// after are certainly not stored by this. `None` when there can be no answer any more: any of them may be stored, now
    /// or later. It waits as long as it is polled; dropping it gives the answer up, likewise.
    async fn delegate(
        &self,
        to: GatewayId,
        conversation: ConversationId,
        entries: Vec<Delegated>,
    ) -> Option<Vec<Settled>>;
}
