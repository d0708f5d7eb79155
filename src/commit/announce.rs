//! The announcer port: how the committer tells the gateway's sessions, and through the bus everybody else's, what has
//! been committed. Knows neither sessions nor encodings.

use std::sync::Arc;

use crate::domain::{ConversationId, Event, SessionId, UserId};
use crate::traces::Trace;

/// Tells others. Nothing here waits or fails: who misses an announcement finds it in the log.
pub trait Announce: Send + Sync + 'static {
    /// An event was committed (or found committed by a retry, D3). Called in seq order per conversation for one
    /// gateway's own commits. `origin` is the session that sent it, of a message (D19); `trace` where its
    /// trace is, when it is traced.
    fn committed(&self, event: &Arc<Event>, origin: Option<SessionId>, trace: Option<&Trace>);

    /// An event was committed by another gateway for this one, which that one announces (D38). `origin` as above.
    fn delegated(&self, event: &Arc<Event>, origin: Option<SessionId>);

    /// Another gateway's event was found in the log, perhaps before the bus brought it.
    fn found(&self, event: &Arc<Event>);

    /// These users are members of a conversation that was made: their sessions are to follow its log from the
    /// beginning. Called after [`Announce::committed`] for the event that a room begins with.
    fn joined(&self, conversation: ConversationId, users: &[UserId]);
}
