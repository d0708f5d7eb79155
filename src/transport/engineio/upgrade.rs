//! From polling to WebSocket: a probe, the end of the pending poll, then the switch. Knows nothing of the application.
//!
//! Nothing is lost, repeated or reordered: a poll takes frames only while the session is on polling (decided under
//! the state's lock), and the client sends its upgrade packet only after its last poll was answered.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout};
use tungstenite::{Message, Utf8Bytes};

use super::packet::{self, EnginePacket};
use super::session::{ClaimId, EngineSession, SessionState, Stage};
use crate::transport::outbox::Pings;
use crate::transport::websocket::WebSocket;

/// From the answer to the probe to the end of a pending poll: a client that upgrades without waiting for the answer is
/// on its WebSocket by then, and its poll is refused.
const BEFORE_RELEASE: Duration = Duration::from_millis(20);

/// The right to be the only WebSocket beside a polling session; exists only where it was won. Dropped without success,
/// the session stays on polling.
pub(super) struct Claim {
    session: Arc<EngineSession>,
    id: ClaimId,
}

impl Claim {
    /// `None` when the session is on a WebSocket already, or tries one, or has ended.
    pub(super) fn take(session: Arc<EngineSession>) -> Option<Self> {
        let mut state = session.state.lock();
        if session.outbox().is_closed() {
            return None;
        }
        let id = state.claim()?;
        drop(state);
        Some(Self { session, id })
    }

    /// The client has probed: from now on its polls are ended.
    fn probed(&self) {
        let release_from = Instant::now() + BEFORE_RELEASE;
        self.session.state.lock().probed(self.id, release_from);
        self.session.outbox().wake_writer();
    }

    /// The session's task continues on this socket; on none when it has ended meanwhile.
    fn switch(self, socket: WebSocket) {
        let mut state = self.session.state.lock();
        // Checked under the lock: whoever ends the session drops, under the lock, what was left for its task.
        if self.session.outbox().is_closed() || !state.switch(self.id) {
            return;
        }
        self.session.count_switch(state.is_counted);
        state.upgraded = Some(socket);
        let pings = state.poller.pings();
        drop(state);
        let outbox = self.session.outbox();
        // The client has paused its polling, so the last answer has arrived; where its poll may have been one that was
        // repeated, the ping that every answer carried is still to be answered.
        if pings != Pings::EachBatch {
            outbox.prove_taken();
        }
        outbox.wake_writer();
        outbox.wake_session();
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.session.state.lock().release(self.id);
    }
}

impl SessionState {
    fn claim(&mut self) -> Option<ClaimId> {
        if self.stage != Stage::Polling {
            return None;
        }
        self.claims += 1;
        let by = ClaimId(self.claims);
        self.stage = Stage::Claimed { by };
        Some(by)
    }

    fn probed(&mut self, id: ClaimId, release_from: Instant) {
        if self.stage == (Stage::Claimed { by: id }) {
            let by = id;
            self.stage = Stage::Probed { by, release_from };
        }
    }

    /// True once, for the claim that has probed.
    fn switch(&mut self, id: ClaimId) -> bool {
        let may = matches!(self.stage, Stage::Probed { by, .. } if by == id);
        if may {
            self.stage = Stage::WebSocket;
        }
        may
    }

    fn release(&mut self, id: ClaimId) {
        match self.stage {
            Stage::Claimed { by } | Stage::Probed { by, .. } if by == id => {
                self.stage = Stage::Polling;
            }
            _ => {}
        }
    }
}

/// Tries the new socket; on success the session's task continues on it.
pub(super) async fn upgrade(claim: Claim, socket: WebSocket) {
    let session = &claim.session;
    let attempt = async {
        tokio::select! {
            _ = session.outbox().closed() => None,
            outcome = probe(&claim, &socket) => outcome,
        }
    };
    if let Ok(Some(())) = timeout(session.config.upgrade_timeout, attempt).await {
        claim.switch(socket);
    }
}

/// One WebSocket per session: a second one is closed, and the session is not disturbed.
pub(super) async fn refuse(farewell: Duration, socket: WebSocket) {
    // The client may have gone already.
    let _ = timeout(farewell, socket.close(None)).await;
}

/// Waits for the client's probe, answers it, and waits for the client to upgrade or give up.
async fn probe(claim: &Claim, socket: &WebSocket) -> Option<()> {
    let session = &claim.session;
    if receive(session, socket).await?.as_str() != packet::PROBE {
        return None;
    }
    socket.send(packet::PROBE_ANSWER).await.ok()?;
    claim.probed();
    let decision = receive(session, socket).await?;
    (EnginePacket::parse(decision.as_str()) == Ok(EnginePacket::Upgrade)).then_some(())
}

async fn receive(session: &EngineSession, socket: &WebSocket) -> Option<Utf8Bytes> {
    loop {
        consume_budget().await;
        match socket.next().await?.ok()? {
            Message::Text(text) => return Some(text),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                session.brake.slow_down().await;
            }
            Message::Binary(_) | Message::Close(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transport::engineio::EngineConfig;
    use crate::transport::outbox::Reason;

    /// How many WebSockets fight for one session.
    const SOCKETS: usize = 5;

    /// What one of them, or the session's end, does next.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Claim(usize),
        Probe(usize),
        Switch(usize),
        Leave(usize),
        End,
    }

    /// What must be true: who has the place beside the polling, and whether the session has moved.
    #[derive(Debug, Default, PartialEq)]
    struct Model {
        holder: Option<usize>,
        has_probed: bool,
        is_on_websocket: bool,
        has_ended: bool,
    }

    impl Model {
        /// The step by the rules alone.
        fn take(&mut self, step: Step) {
            let is_free = self.holder.is_none() && !self.is_on_websocket && !self.has_ended;
            match step {
                Step::Claim(socket) if is_free => self.holder = Some(socket),
                Step::Probe(socket) if self.holder == Some(socket) => self.has_probed = true,
                Step::Switch(socket) if self.holder == Some(socket) => {
                    self.is_on_websocket = self.has_probed && !self.has_ended;
                    (self.holder, self.has_probed) = (None, false);
                }
                Step::Leave(socket) if self.holder == Some(socket) => {
                    (self.holder, self.has_probed) = (None, false);
                }
                Step::End => self.has_ended = true,
                _ => {}
            }
        }

        fn of(session: &EngineSession, claims: &[Option<Claim>; SOCKETS]) -> Self {
            let stage = session.state.lock().stage;
            let holder = |by| {
                let held = |claim: &Option<Claim>| claim.as_ref().is_some_and(|it| it.id == by);
                claims.iter().position(held)
            };
            let (holder, has_probed) = match stage {
                Stage::Claimed { by } => (holder(by), false),
                Stage::Probed { by, .. } => (holder(by), true),
                Stage::Polling | Stage::WebSocket => (None, false),
            };
            Self {
                holder,
                has_probed,
                is_on_websocket: stage == Stage::WebSocket,
                has_ended: session.outbox().is_closed(),
            }
        }
    }

    fn session() -> Arc<EngineSession> {
        let config = Arc::new(EngineConfig::default());
        let stranger = config.lobby.enter(None).unwrap();
        Arc::new(EngineSession::new(
            "a".to_owned(),
            config,
            Stage::Polling,
            stranger,
        ))
    }

    fn take(session: &Arc<EngineSession>, claims: &mut [Option<Claim>; SOCKETS], step: Step) {
        match step {
            Step::Claim(socket) => {
                // Its own socket for each: who holds a claim does not ask for one.
                if claims[socket].is_none() {
                    claims[socket] = Claim::take(Arc::clone(session));
                }
            }
            Step::Probe(socket) => {
                if let Some(claim) = &claims[socket] {
                    claim.probed();
                }
            }
            Step::Switch(socket) => {
                if let Some(claim) = claims[socket].take() {
                    let mut state = session.state.lock();
                    let _ = !session.outbox().is_closed() && state.switch(claim.id);
                    drop(state);
                }
            }
            Step::Leave(socket) => drop(claims[socket].take()),
            Step::End => session.outbox().close(Reason::TransportClosed),
        }
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let socket = || 0..SOCKETS;
        let step = prop_oneof![
            4 => socket().prop_map(Step::Claim),
            4 => socket().prop_map(Step::Probe),
            3 => socket().prop_map(Step::Switch),
            2 => socket().prop_map(Step::Leave),
            1 => Just(Step::End),
        ];
        prop::collection::vec(step, 1..40)
    }

    proptest! {
        #[test]
        fn only_the_holder_of_a_claim_moves_the_session(steps in steps()) {
            let (session, mut model) = (session(), Model::default());
            let mut claims: [Option<Claim>; SOCKETS] = Default::default();
            for step in steps {
                take(&session, &mut claims, step);
                model.take(step);
                prop_assert_eq!(&Model::of(&session, &claims), &model, "after {:?}", step);
            }
        }
    }
}
