//! From polling to WebSocket: a probe, the end of the pending poll, then the switch. Knows nothing of the application.
//!
//! Nothing is lost, repeated or reordered: a poll takes frames only while the session is on polling (decided under
//! the link's lock), and the client sends its upgrade packet only after its last poll was answered.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use tokio::time::{Instant, timeout};

use super::packet::{self, Packet};
use super::session::{Session, Stage};

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
pub(super) async fn upgrade(claim: Claim, mut socket: WebSocket) {
    let session = &claim.0;
    let attempt = async {
        tokio::select! {
            _ = session.outbox().closed() => None,
            outcome = probe(session, &mut socket) => outcome,
        }
    };
    if let Ok(Some(())) = timeout(session.config.upgrade_timeout, attempt).await {
        session.switch(socket);
    }
}

/// One WebSocket per session: a second one is closed, and the session is not disturbed.
pub(super) async fn refuse(farewell: Duration, mut socket: WebSocket) {
    // The client may have gone already.
    let _ = timeout(farewell, socket.send(Message::Close(None))).await;
}

/// The probe, its answer, and the client's decision.
async fn probe(session: &Session, socket: &mut WebSocket) -> Option<()> {
    if receive(socket).await?.as_str() != packet::PROBE {
        return None;
    }
    let answer = Message::Text(Utf8Bytes::from_static(packet::PROBE_ANSWER));
    socket.send(answer).await.ok()?;
    let release_from = Instant::now() + BEFORE_RELEASE;
    session.advance(Stage::Claimed, Stage::Probed { release_from });
    session.outbox().wake_writer();
    let decision = receive(socket).await?;
    (Packet::parse(decision.as_str()) == Ok(Packet::Upgrade)).then_some(())
}

async fn receive(socket: &mut WebSocket) -> Option<Utf8Bytes> {
    loop {
        match socket.recv().await?.ok()? {
            Message::Text(text) => return Some(text),
            Message::Ping(_) | Message::Pong(_) => {}
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
        link.upgraded = Some(Box::new(socket));
        drop(link);
        // The client has paused its polling, so the last answer has arrived.
        self.outbox().prove_taken();
        self.outbox().wake_writer();
        self.outbox().wake_session();
    }
}
