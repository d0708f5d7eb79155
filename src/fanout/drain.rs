//! Draining (P10, D33): hands the sessions over to other gateways, spread over the time there is, so that nothing is
//! lost, and nothing is repeated that was proved received. Knows the hub and the cursors; what follows is the process's
//! own end.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, sleep_until};

use super::hub::Hub;
use super::offer::Encoded;
use super::session::Session;
use crate::domain::ConversationId;
use crate::logging::served::{Served, serving};
use crate::transport::outbox::Reason;

/// The share of the grace over which sessions are spread; the rest is for the last ones' proofs and for storing.
const SPREAD: f64 = 0.6;
/// What is left of the grace for storing what was proved last.
const RESERVE: Duration = Duration::from_secs(3);
/// How long one session's last answers and proofs are waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often they are looked at. Nothing wakes on "everything is proved", and a drain is rare.
const LOOK: Duration = Duration::from_millis(20);

impl Hub {
    /// Ends every session, each at a random moment in about half of the time to the deadline; those that come late at
    /// once. Resolves when all have ended, some seconds before the deadline at the latest: what they proved is stored
    /// after that.
    pub async fn drain(self: &Arc<Self>, deadline: Instant) {
        self.refuse_new();
        let end = deadline.checked_sub(RESERVE).unwrap_or(deadline);
        let mut window = end
            .saturating_duration_since(Instant::now())
            .mul_f64(SPREAD);
        let mut scheduled = HashSet::new();
        while Instant::now() < end {
            let sessions = self.sessions();
            if sessions.is_empty() {
                return;
            }
            for session in sessions {
                if scheduled.insert(session.id()) {
                    let after = self.jitter(window);
                    tell(&session, after);
                    let hub = Arc::clone(self);
                    let whom = Served::Session(session.id());
                    let handing_over = async move { hub.hand_over(&session, after).await };
                    tokio::spawn(serving(whom, handing_over));
                }
            }
            window = Duration::ZERO;
            sleep(LOOK).await;
        }
        for session in self.sessions() {
            session.close(Reason::Draining);
        }
    }

    async fn hand_over(self: Arc<Self>, session: &Arc<Session>, after: Duration) {
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
        self.settle_cursors(begun + PATIENCE).await;
        session.close(Reason::Draining);
    }

    /// Stores what is proved, but does not wait for a store that is away.
    pub(super) async fn settle_cursors(&self, patience: Instant) {
        if let Some(cursors) = self.cursors() {
            tokio::select! {
                () = cursors.settle() => {}
                () = sleep_until(patience) => {}
            }
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
    session.write_encoded(&Encoded::new("reconnect", Bytes::from(json)));
}
