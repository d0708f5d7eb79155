//! Housekeeping: what nobody needs any more is dropped, expired tokens are looked for, and topics are compared with the
//! log now and then. Decides nothing; each part knows what it can do without.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::presence::Board;
use super::recall::Recall;
use super::resync::Resync;
use super::sessions::Sessions;
use super::topics::Topics;
use super::users::Users;
use crate::bus::Bus;
use crate::domain::Clock;

/// How often unused topics are dropped and expired tokens looked for; and, while the bus is away, topics compared.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// How often topics are compared with the log, whatever was heard (D16).
const COMPARE_EVERY: Duration = Duration::from_secs(60);

/// See the module's documentation: what is swept, and by which clock.
pub(super) struct Sweep {
    pub(super) bus: Arc<dyn Bus>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) topics: Arc<Topics>,
    pub(super) users: Arc<Users>,
    pub(super) board: Arc<Board>,
    pub(super) recall: Arc<Recall>,
    pub(super) resync: Arc<Resync>,
}

impl Sweep {
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut compared = Instant::now();
        while stop
            .run_until_cancelled(tokio::time::sleep(SWEEP_EVERY))
            .await
            .is_some()
        {
            self.sessions.close_expired(self.clock.now());
            // While hints do not arrive, the log is asked instead (P5).
            if compared.elapsed() >= COMPARE_EVERY || self.bus.health().is_err() {
                compared = Instant::now();
                self.resync.compare();
            }
            self.recall.sweep();
            self.topics.sweep(|unused| self.bus.unsubscribe(unused));
            self.users.sweep(|unused| self.bus.unsubscribe(unused));
            self.board.sweep();
        }
    }
}
