//! Draining (P10, D33): hands the sessions over to other gateways, spread over the time there is, so that nothing is
//! lost, and nothing is repeated that was proved received. What follows is the process's own end, of which it knows
//! nothing.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::offer::Encoded;
use super::proofs::Proofs;
use super::session::Session;
use super::sessions::Sessions;
use super::topics::Topics;
use crate::domain::{ConversationId, Entropy};
use crate::logging::served::{Served, serving};
use crate::transport::outbox::Reason;
use crate::wire::EventName;

/// The share of the grace over which sessions are spread; the rest is for the last ones' proofs and for storing.
const SPREAD: f64 = 0.6;
/// What is left of the grace for storing what was proved last.
const RESERVE: Duration = Duration::from_secs(3);
/// How long one session's last answers and proofs are waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often they are looked at. Nothing wakes on "everything is proved", and a drain is rare.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct Drain {
    sessions: Arc<Sessions>,
    topics: Arc<Topics>,
    proofs: Arc<Proofs>,
    entropy: Arc<Entropy>,
}

impl Drain {
    pub(super) fn new(
        sessions: Arc<Sessions>,
        topics: Arc<Topics>,
        proofs: Arc<Proofs>,
        entropy: Arc<Entropy>,
    ) -> Self {
        Self {
            sessions,
            topics,
            proofs,
            entropy,
        }
    }

    /// Ends every session, each at a random moment in about half of the time to the deadline; those that come late at
    /// once. Resolves when all have ended, some seconds before the deadline at the latest: what they proved is stored
    /// after that.
    pub(super) async fn run(self: &Arc<Self>, deadline: Instant) {
        self.sessions.refuse_new();
        let end = deadline.checked_sub(RESERVE).unwrap_or(deadline);
        let mut window = end
            .saturating_duration_since(Instant::now())
            .mul_f64(SPREAD);
        let mut scheduled = HashSet::new();
        while Instant::now() < end {
            let sessions = self.sessions.all();
            if sessions.is_empty() {
                return;
            }
            for session in sessions {
                if scheduled.insert(session.id()) {
                    self.schedule(session, self.entropy.jitter(window));
                }
            }
            window = Duration::ZERO;
            sleep(LOOK).await;
        }
        for session in self.sessions.all() {
            session.close(Reason::Draining);
        }
    }

    fn schedule(self: &Arc<Self>, session: Arc<Session>, after: Duration) {
        tell(&session, after);
        let this = Arc::clone(self);
        let whom = Served::Session(session.id());
        let handing_over = async move { this.hand_over(&session, after).await };
        tokio::spawn(serving(whom, handing_over));
    }

    async fn hand_over(&self, session: &Arc<Session>, after: Duration) {
        sleep(after).await;
        session.withdraw();
        // A direct conversation goes on while the session's sends there are finished: only a position that passes them
        // shows that their answers were received (D29).
        self.release(session, |id| matches!(id, ConversationId::Room(_)));
        let begun = Instant::now();
        while !(session.is_idle() || session.is_closed() || begun.elapsed() >= PATIENCE / 2) {
            sleep(LOOK).await;
        }
        // Before everything is proved, or what comes in between is not.
        self.release(session, |_| true);
        finish(session, begun + PATIENCE).await;
        self.proofs.settle(begun + PATIENCE).await;
        session.close(Reason::Draining);
    }

    /// Offers a session nothing more in these conversations; what it was given before is still written, and its
    /// requests are still answered.
    pub(super) fn release(&self, session: &Session, which: impl Fn(ConversationId) -> bool) {
        for conversation in session.conversations().into_iter().filter(|id| which(*id)) {
            self.topics.release(session, conversation);
        }
    }
}

/// Waits until a session's requests are answered and everything given is proved, or until the deadline.
async fn finish(session: &Session, deadline: Instant) {
    while !(session.is_closed() || session.is_settled() && session.is_idle()) {
        if Instant::now() >= deadline {
            return;
        }
        session.mark_now();
        sleep(LOOK).await;
    }
}

/// Tells a client that knows the event when to go; others find their transport closed then, and reconnect.
fn tell(session: &Session, after: Duration) {
    let json = format!(r#"{{"afterMs":{}}}"#, after.as_millis());
    session.write_encoded(&Encoded::new(EventName::Reconnect, Bytes::from(json)));
}
