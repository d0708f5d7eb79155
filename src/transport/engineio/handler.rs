//! The application's side of one session, as this layer calls it. Knows no session.

use async_trait::async_trait;

use crate::transport::outbox::{Mark, Reason};

/// One message as it was received. Borrowed, because a slice kept would pin the connection's read buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineMessage<'a> {
    /// The packet's text behind its type.
    Text(&'a str),
    /// An attachment of the packet before it, for instance.
    Binary(&'a [u8]),
}

/// The application's side of one session. Calls never overlap, and come in the order of what happened. While one is
/// running nothing is read from the client, which is the backpressure; what may take long is spawned.
#[async_trait]
pub trait EngineHandler: Send {
    /// A message came. `Err` ends the session with this reason.
    ///
    /// # Errors
    /// A message the handler does not accept.
    async fn message(&mut self, message: EngineMessage<'_>) -> Result<(), Reason>;

    /// Everything pushed before this mark was received (D28).
    fn proved(&mut self, mark: Mark);

    /// A poll has taken what waited: the next one will prove it, as far as it is marked.
    fn taken(&mut self) {}

    /// The session has ended. The last call.
    async fn closed(&mut self, reason: Reason);
}
