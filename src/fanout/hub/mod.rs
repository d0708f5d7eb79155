//! The hub: what the edges and the process see of the fan-out. Composes its parts, and starts their tasks; each of them
//! does its own work. Knows no protocol.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::delegation::TakingOn;
use super::drain::Drain;
use super::inbox::{Addressees, Inbox};
use super::joining::Joining;
use super::pacer::Pacer;
use super::passing;
use super::proofs::Proofs;
use super::reannouncer::Reannouncer;
use super::resync::{Resync, ResyncParts};
use super::seats::Seats;
use super::session::{NewSession, Session};
use super::session_lifecycle::SessionLifecycle;
use super::signals::PresenceSignals;
use super::sweep::Sweep;
use crate::chat::{ChatError, Cursors, LastSeen};
use crate::commit::Committer;
use crate::domain::{ConversationId, Seq, UserId};
use crate::metrics::{Handles, Metrics};
use crate::transport::outbox::Mark;

pub use super::announcer::Announcer;
pub use super::joining::{Backlog, Joined, RESUME_POINTS, ROOM_BYTES, ROOMS_TOLD, Since};
pub use super::parts::{HubConfig, HubParts, HubPorts};
pub use super::session_lifecycle::Opened;

/// The fan-out of one gateway, as the edges and the process see it.
pub struct Hub {
    parts: HubParts,
    seats: Seats,
    connections: Arc<SessionLifecycle>,
    joining: Joining,
    proofs: Arc<Proofs>,
    pacer: Arc<Pacer>,
    resync: Arc<Resync>,
    reannouncer: Arc<Reannouncer>,
    signals: Arc<PresenceSignals>,
    inbox: Inbox,
    drain: Arc<Drain>,
}

impl Hub {
    /// A hub without sessions, on parts through which this committer and these cursors announce. [`Hub::run`] makes it
    /// work.
    #[must_use]
    pub fn new(parts: HubParts, cursors: Arc<Cursors>, committer: Arc<Committer>) -> Arc<Self> {
        let ports = &parts.ports;
        let store = Arc::clone(&ports.store);
        let pacer = Arc::<Pacer>::default();
        let proofs = Proofs::new(store, Arc::clone(&parts.topics), cursors);
        let proofs = Arc::new(proofs);
        let resync = Arc::new(resync(&parts));
        let reannouncer = Arc::new(reannouncer(&parts));
        let signals = PresenceSignals::new(
            Arc::clone(&ports.presence),
            Arc::clone(&parts.arrivals),
            Arc::clone(&reannouncer),
            Arc::clone(&resync),
            ports.metrics.clone(),
        );
        Arc::new(Self {
            seats: Seats::new(parts.config.seats, ports.metrics.clone()),
            connections: Arc::new(connections(&parts, &proofs, &pacer)),
            joining: joining(&parts),
            signals: Arc::new(signals),
            inbox: inbox(&parts, committer, &resync, &reannouncer),
            drain: Arc::new(drain(&parts, &proofs)),
            pacer,
            resync,
            reannouncer,
            proofs,
            parts,
        })
    }

    /// Works until `stop`: takes the bus's signals, paces marks, fills gaps, sweeps.
    pub async fn run(&self, stop: CancellationToken) {
        let HubParts {
            tasks,
            repair,
            board,
            departures,
            ..
        } = &self.parts;
        let until = || stop.clone();
        let (pacer, paced) = (Arc::clone(&self.pacer), until());
        tasks.keep("pacing", async move { pacer.run(paced).await });
        tasks.keep("sweep", self.sweep().run(until()));
        tasks.keep("repair", Arc::clone(repair).run(until()));
        tasks.keep("resync", Arc::clone(&self.resync).run(until()));
        tasks.keep("announcing", Arc::clone(&self.reannouncer).run(until()));
        tasks.keep("inquiry", Arc::clone(board).inquire(until()));
        tasks.keep("watched", Arc::clone(board).look_after_watched(until()));
        tasks.keep("departures", Arc::clone(departures).run(until()));
        tasks.keep("presence", Arc::clone(&self.signals).run(until()));
        tasks.keep("asking", Arc::clone(board).settle_doubts(until()));
        self.inbox.listen(stop).await;
        tasks.stop().await;
    }

    fn sweep(&self) -> Sweep {
        let HubParts { ports, .. } = &self.parts;
        Sweep {
            bus: Arc::clone(&ports.bus),
            clock: Arc::clone(&ports.clock),
            sessions: Arc::clone(&self.parts.sessions),
            topics: Arc::clone(&self.parts.topics),
            users: Arc::clone(&self.parts.users),
            board: Arc::clone(&self.parts.board),
            recall: Arc::clone(&self.parts.recall),
            resync: Arc::clone(&self.resync),
        }
    }

    /// A connection was authenticated. Requests are valid from now on; delivery starts with [`Hub::join`] (D32). It
    /// ends when the value is dropped.
    #[must_use]
    pub fn open(&self, new: NewSession) -> Opened {
        self.connections.open(new)
    }

    /// Prepares delivery to a session, which [`Hub::deliver`] starts. A second join changes nothing.
    ///
    /// # Errors
    /// [`ChatError::ResumeTooLarge`]; [`ChatError::Unavailable`] when the store is away; the session may try again.
    pub async fn join(
        &self,
        session: &Arc<Session>,
        since: Since,
        is_auto: Option<bool>,
    ) -> Result<Joined, ChatError> {
        self.joining.join(session, since, is_auto).await
    }

    /// Starts delivery: the backlog, in order, then live events.
    pub fn deliver(&self, session: &Arc<Session>, backlog: Backlog) {
        self.joining.deliver(session, backlog);
    }

    /// Everything written to this session before the mark was received: moves its cursors (D28).
    pub fn proved(&self, session: &Session, mark: Mark) {
        self.proofs.proved(session, mark);
    }

    /// A client says goodbye: what it has proved is stored before it is answered, or whoever comes back at once,
    /// perhaps to another gateway, gets it again (D48). Does not wait for a store that is away.
    pub async fn before_goodbye(&self, session: &Session) {
        self.proofs.before_goodbye(session).await;
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
        let proofs = &self.proofs;
        proofs.acknowledge(session, conversation, seq, read).await
    }

    /// Tells the others in a conversation that somebody is typing, or no longer. Not stored, not replayed.
    pub fn typing(&self, conversation: ConversationId, from: UserId, typing: bool) {
        passing::typing(&self.parts.publisher, conversation, from, typing);
    }

    /// Shows a session whether users are online, from now on; answers with how it is now.
    ///
    /// # Errors
    /// [`ChatError::LimitExceeded`]; [`ChatError::Unavailable`] while presence is away.
    pub async fn watch(
        &self,
        session: &Arc<Session>,
        users: &[UserId],
    ) -> Result<HashMap<UserId, bool>, ChatError> {
        self.parts.board.watch(session, users).await
    }

    /// Stops showing a session these users' presence.
    pub fn unwatch(&self, session: &Session, users: &[UserId]) {
        self.parts.board.unwatch(session, users);
    }

    /// Another watch_limit from now on; who watches more keeps what they have.
    pub fn set_watch_limit(&self, limit: usize) {
        self.parts.board.set_limit(limit);
    }

    /// Other rules of who learns when a user was last seen, from now on.
    pub fn set_last_seen(&self, last_seen: LastSeen) {
        self.parts.board.set_last_seen(last_seen);
    }

    /// MongoDB has a new primary: once it takes majority writes, everything is compared with its log (D16).
    pub async fn primary_changed(&self) {
        self.resync.primary_changed().await;
    }

    /// Ends every session, each at a random moment in about half of the time to the deadline; those that come late at
    /// once. Resolves when all have ended, some seconds before the deadline at the latest: what they proved is stored
    /// after that.
    pub async fn drain(&self, deadline: Instant) {
        self.drain.run(deadline).await;
    }

    /// Whether it is draining: new connections belong to another gateway.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.parts.sessions.is_draining()
    }

    /// How many sessions there may be.
    #[must_use]
    pub const fn seats(&self) -> &Seats {
        &self.seats
    }

    /// How many sessions there are.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.parts.sessions.count()
    }

    /// All sessions, for operators.
    #[must_use]
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        self.parts.sessions.all()
    }

    /// Where the edges count what they do, too.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.parts.ports.metrics
    }

    /// Looks at what is cheaper to look at than to count. Takes each session's lock once.
    pub fn measure(&self, handles: &Handles) {
        let (mut all, mut largest) = (0, 0);
        for session in self.sessions() {
            let bytes = session.queued_bytes();
            all += bytes;
            largest = bytes.max(largest);
        }
        handles.outbox_bytes.set(all as f64);
        handles.outbox_largest.set(largest as f64);
        handles.topics.set(self.parts.topics.in_use().len() as f64);
        handles.users.set(self.parts.users.here().len() as f64);
        let bus = &self.parts.ports.bus;
        handles.hints.subscriptions.set(bus.subscriptions() as f64);
        let up = f64::from(u8::from(bus.health().is_ok()));
        handles.bus.up.set(up);
    }
}

fn connections(parts: &HubParts, proofs: &Arc<Proofs>, pacer: &Arc<Pacer>) -> SessionLifecycle {
    SessionLifecycle::new(
        (Arc::clone(&parts.sessions), Arc::clone(&parts.topics)),
        Arc::clone(&parts.arrivals),
        Arc::clone(&parts.board),
        Arc::clone(proofs),
        Arc::clone(pacer),
        parts.ports.metrics.clone(),
    )
}

fn joining(parts: &HubParts) -> Joining {
    let ports = &parts.ports;
    Joining::new(
        (Arc::clone(&ports.store), Arc::clone(&ports.bus)),
        Arc::clone(&parts.catch_up),
        Arc::clone(&parts.arrivals),
        ports.metrics.clone(),
    )
}

fn resync(parts: &HubParts) -> Resync {
    let compared = ResyncParts {
        topics: Arc::clone(&parts.topics),
        users: Arc::clone(&parts.users),
        catch_up: Arc::clone(&parts.catch_up),
        offering: Arc::clone(&parts.offering),
        board: Arc::clone(&parts.board),
    };
    let ports = &parts.ports;
    Resync::new(
        Arc::clone(&ports.store),
        Arc::clone(&ports.bus),
        compared,
        parts.tasks.clone(),
        ports.metrics.clone(),
    )
}

fn reannouncer(parts: &HubParts) -> Reannouncer {
    let ports = &parts.ports;
    Reannouncer::new(
        Arc::clone(&ports.bus),
        Arc::clone(&ports.presence),
        Arc::clone(&parts.recall),
        Arc::clone(&parts.publisher),
        Arc::clone(&parts.arrivals),
        ports.metrics.clone(),
    )
}

fn drain(parts: &HubParts, proofs: &Arc<Proofs>) -> Drain {
    Drain::new(
        Arc::clone(&parts.sessions),
        Arc::clone(&parts.topics),
        Arc::clone(proofs),
        Arc::clone(&parts.ports.entropy),
    )
}

fn inbox(
    parts: &HubParts,
    committer: Arc<Committer>,
    resync: &Arc<Resync>,
    reannouncer: &Arc<Reannouncer>,
) -> Inbox {
    let ports = &parts.ports;
    let taking_on = TakingOn::new(
        committer,
        Arc::clone(&parts.publisher),
        Arc::clone(&parts.sessions),
        parts.tasks.clone(),
        ports.traces.clone(),
    );
    let addressees = Addressees {
        catch_up: Arc::clone(&parts.catch_up),
        offering: Arc::clone(&parts.offering),
        resync: Arc::clone(resync),
        reannouncer: Arc::clone(reannouncer),
        board: Arc::clone(&parts.board),
        asking: Arc::clone(&parts.asking),
        taking_on: Arc::new(taking_on),
    };
    Inbox::new(
        ports.gateway,
        (Arc::clone(&ports.bus), Arc::clone(&ports.frontier)),
        addressees,
        parts.tasks.clone(),
        ports.metrics.clone(),
    )
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("sessions", &self.session_count())
            .finish_non_exhaustive()
    }
}
