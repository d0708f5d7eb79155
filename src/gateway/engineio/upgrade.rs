//! From polling to WebSocket: a probe, the end of the pending poll, then the switch. Knows nothing of the application.
//!
//! Nothing is lost, repeated or reordered: a poll takes frames only while the session is on polling (decided under
//! the link's lock), and the client sends its upgrade packet only after its last poll was answered.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tungstenite::{Message, Utf8Bytes};

use super::packet::{self, Packet};
use super::session::{Session, Stage};
use crate::gateway::outbox::Pings;
use crate::gateway::websocket::WebSocket;

/// From the answer to the probe to the end of a pending poll: a client that upgrades without waiting for the answer is
/// on its WebSocket by then, and its poll is refused.
const BEFORE_RELEASE: Duration = Duration::from_millis(20);

/// The right to be the only WebSocket beside a polling session. Dropped without success, the session stays on polling.
pub(super) struct Claim(Arc<Session>);

impl Claim {
    /// `None` when the session is on a WebSocket already, or tries one.
    pub(super) fn take(session: Arc<Session>) -> Option<Self> {
        session
            .advance(Stage::Polling, Stage::Claimed)
            .then_some(Self(session))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut link = self.0.link.lock();
        if link.stage != Stage::WebSocket {
            link.stage = Stage::Polling;
        }
    }
}

/// Tries the new socket; on success the session's task continues on it.
pub(super) async fn upgrade(claim: Claim, socket: WebSocket) {
    let session = &claim.0;
    let attempt = async {
        tokio::select! {
            _ = session.outbox().closed() => None,
            outcome = probe(session, &socket) => outcome,
        }
    };
    if let Ok(Some(())) = timeout(session.config.upgrade_timeout, attempt).await {
        session.switch(socket);
    }
}

/// One WebSocket per session: a second one is closed, and the session is not disturbed.
pub(super) async fn refuse(farewell: Duration, socket: WebSocket) {
    // The client may have gone already.
    let _ = timeout(farewell, socket.close(None)).await;
}

/// The probe, its answer, and the client's decision.
async fn probe(session: &Session, socket: &WebSocket) -> Option<()> {
    if receive(socket).await?.as_str() != packet::PROBE {
        return None;
    }
    socket.send(packet::PROBE_ANSWER).await.ok()?;
    let release_from = Instant::now() + BEFORE_RELEASE;
    session.advance(Stage::Claimed, Stage::Probed { release_from });
    session.outbox().wake_writer();
    let decision = receive(socket).await?;
    (Packet::parse(decision.as_str()) == Ok(Packet::Upgrade)).then_some(())
}

async fn receive(socket: &WebSocket) -> Option<Utf8Bytes> {
    loop {
        match socket.next().await?.ok()? {
            Message::Text(text) => return Some(text),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            Message::Binary(_) | Message::Close(_) => return None,
        }
    }
}

impl Session {
    fn advance(&self, from: Stage, to: Stage) -> bool {
        let mut link = self.link.lock();
        let is_there = link.stage == from && !self.outbox().is_closed();
        if is_there {
            link.stage = to;
        }
        is_there
    }

    fn switch(&self, socket: WebSocket) {
        let mut link = self.link.lock();
        link.stage = Stage::WebSocket;
        self.count_switch(link.is_counted);
        link.upgraded = Some(socket);
        let pings = link.poller.pings();
        drop(link);
        // The client has paused its polling, so the last answer has arrived; where its poll may have been one that was
        // repeated, the ping that every answer carried is still to be answered.
        if pings != Pings::EachBatch {
            self.outbox().prove_taken();
        }
        self.outbox().wake_writer();
        self.outbox().wake_session();
    }
}
