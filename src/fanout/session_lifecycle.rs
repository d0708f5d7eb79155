//! Sessions from their opening to their end: what an authenticated connection gets, and what is left behind when it
//! goes, also by a panic. Knows no protocol.

use std::ops::Deref;
use std::sync::Arc;

use super::pacer::Pacer;
use super::presence::{Arrivals, Board};
use super::proofs::Proofs;
use super::session::{NewSession, Session};
use super::sessions::Sessions;
use super::topics::Topics;
use crate::metrics::Metrics;
use crate::transport::closing::closing;
use crate::transport::outbox::Reason;

pub(super) struct SessionLifecycle {
    sessions: Arc<Sessions>,
    topics: Arc<Topics>,
    arrivals: Arc<Arrivals>,
    board: Arc<Board>,
    proofs: Arc<Proofs>,
    pacer: Arc<Pacer>,
    metrics: Metrics,
}

impl SessionLifecycle {
    pub(super) fn new(
        (sessions, topics): (Arc<Sessions>, Arc<Topics>),
        arrivals: Arc<Arrivals>,
        board: Arc<Board>,
        proofs: Arc<Proofs>,
        pacer: Arc<Pacer>,
        metrics: Metrics,
    ) -> Self {
        expect_closings(&metrics);
        Self {
            sessions,
            topics,
            arrivals,
            board,
            proofs,
            pacer,
            metrics,
        }
    }

    /// A connection was authenticated; its session ends when the value is dropped.
    pub(super) fn open(self: &Arc<Self>, new: NewSession) -> Opened {
        let protocol = new.encoding.protocol;
        protocol.of(&self.metrics.sessions).increment(1.0);
        protocol.of(&self.metrics.sessions_opened).increment(1);
        let deliveries = protocol.of(&self.metrics.deliveries_out).clone();
        let session = Session::new(new, Arc::clone(&self.pacer), deliveries);
        self.sessions.add(&session);
        Opened {
            connections: Arc::clone(self),
            session,
            has_left: false,
        }
    }

    /// Removes a session whose connection has ended.
    fn leave(&self, session: &Arc<Session>) {
        self.proofs.prove_last(session);
        // Before its topics are left: whoever attaches it to one after this sees that it is closed.
        session.close(Reason::TransportClosed);
        self.sessions.remove(session.id());
        session.leave_seat();
        self.count_end(session);
        self.topics.leave_all(session);
        self.board.unwatch_all(session);
        if session.has_joined() {
            self.arrivals.part(session);
        }
        self.proofs.hurry();
    }

    fn count_end(&self, session: &Session) {
        session.protocol().of(&self.metrics.sessions).decrement(1.0);
        let reason = session.reason().unwrap_or(Reason::TransportClosed);
        let class = closing(reason).class();
        self.metrics.session_closed(reason.name(), class);
        tracing::debug!(reason = reason.name(), "session ended");
    }
}

/// Each way a session can end has its series from the start.
fn expect_closings(metrics: &Metrics) {
    let all = Reason::ALL.into_iter();
    metrics.expect_closings(all.map(|reason| (reason.name(), closing(reason).class())));
}

/// A session from its opening to its end: whoever drops it has left, also by a panic.
pub struct Opened {
    connections: Arc<SessionLifecycle>,
    session: Arc<Session>,
    has_left: bool,
}

impl Opened {
    /// Leaves before it is dropped; what follows is its goodbye.
    pub fn leave(&mut self) {
        if !std::mem::replace(&mut self.has_left, true) {
            self.connections.leave(&self.session);
        }
    }
}

impl Deref for Opened {
    type Target = Arc<Session>;

    fn deref(&self) -> &Arc<Session> {
        &self.session
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // A fault of ours: the client may come back, to a session without its consequences.
            self.session.close(Reason::ServerClosed);
        }
        self.leave();
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Opened").field(&self.session.id()).finish()
    }
}
