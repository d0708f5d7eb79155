//! The hub: topics, sessions, fan-out. It offers every event to the sessions of its conversation, in order, whether it
//! was committed here, came over the bus or was read from the log. Knows neither axum nor a protocol.

mod announce;
mod catch_up;
mod comings;
mod cursors;
mod delegation;
mod departures;
mod former;
mod heads;
mod inbox;
mod inquiry;
mod join;
mod measure;
mod opened;
mod presence;
mod repair;
mod signals;
mod standstill;
#[cfg(test)]
mod tests;
mod topics;
mod users;
mod watchers;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::pacer::Pacer;
use super::seats::{SeatLimits, Seats};
use super::session::{NewSession, Session};
use crate::bus::{Bus, Channel};
use crate::chat::{Cursors, LastSeen};
use crate::commit::frontier::Frontier;
use crate::domain::{Clock, ConversationId, Entropy, GatewayId, SessionId};
use crate::logging::served;
use crate::metrics::Metrics;
use crate::presence::Presence;
use crate::store::Store;
use crate::traces::Traces;
use crate::transport::outbox::Reason;

pub use announce::HubAnnouncer;
use comings::Comings;
use delegation::Delegations;
pub use delegation::HubDelegation;
use departures::Departures;
use heads::Heads;
use inquiry::Inquiry;
pub use join::{Backlog, Joined, RESUME_POINTS, ROOM_BYTES, ROOMS_TOLD, Since};
pub use opened::Opened;
use topics::Topics;
use users::Users;
use watchers::Watchers;

/// How often unused topics are dropped and expired tokens looked for; and, while the bus is away, topics compared.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// How often topics are compared with the log, whatever was heard (D16).
const COMPARE_EVERY: Duration = Duration::from_secs(60);

/// The hub's bounds and pace.
#[derive(Debug, Clone, Copy)]
pub struct HubConfig {
    /// How long after a user's last session ends they are shown offline.
    pub grace: Duration,
    /// How long a gateway that died is still believed to live.
    pub lease: Duration,
    /// The most users whose presence one session shows.
    pub watched: usize,
    /// Who learns when a user was last seen.
    pub last_seen: LastSeen,
    /// How many sessions there may be.
    pub seats: SeatLimits,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(5),
            lease: Duration::from_secs(15),
            watched: 500,
            last_seen: LastSeen::default(),
            seats: SeatLimits::default(),
        }
    }
}

/// What the hub needs of the world.
pub struct HubPorts {
    /// This gateway, whose own channel is heard.
    pub gateway: GatewayId,
    /// The log.
    pub store: Arc<dyn Store>,
    /// Hints between gateways.
    pub bus: Arc<dyn Bus>,
    /// Who is online.
    pub presence: Arc<dyn Presence>,
    /// What is known to be committed; the hub notes what it hears.
    pub frontier: Arc<Frontier>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Jitter.
    pub entropy: Arc<Entropy>,
    /// What is counted.
    pub metrics: Metrics,
    /// What is traced.
    pub traces: Traces,
}

/// See the module's documentation.
pub struct Hub {
    config: HubConfig,
    gateway: GatewayId,
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    presence: Arc<dyn Presence>,
    frontier: Arc<Frontier>,
    clock: Arc<dyn Clock>,
    entropy: Arc<Entropy>,
    topics: Topics,
    users: Users,
    watchers: Watchers,
    comings: Comings,
    inquiry: Inquiry,
    departures: Departures,
    heads: Heads,
    /// Something may have been lost: wakes the one task that resyncs.
    resync_wanted: Notify,
    /// Wakes the same task to compare topics with the log only.
    compare_wanted: Notify,
    /// Payloads of this gateway may have been lost: wakes the one task that announces again.
    heads_wanted: Notify,
    /// Changes of presence may have been lost: wakes the one task that asks again.
    presence_wanted: Notify,
    draining: AtomicBool,
    seats: Seats,
    /// The setting watch_limit, which may change.
    watched: AtomicUsize,
    /// The setting last_seen, likewise.
    last_seen_for_all: AtomicBool,
    pub(super) metrics: Metrics,
    traces: Traces,
    sessions: Mutex<HashMap<SessionId, Arc<Session>>>,
    pacer: Arc<Pacer>,
    /// Who reads a page of backlog now.
    reading: Semaphore,
    cursors: std::sync::OnceLock<Arc<Cursors>>,
    delegations: Delegations,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Hub {
    /// A hub without sessions. [`Hub::run`] makes it work; [`Hub::keep_cursors`] must have been called before.
    #[must_use]
    pub fn new(config: HubConfig, ports: HubPorts) -> Arc<Self> {
        measure::expect_closings(&ports.metrics);
        Arc::new(Self {
            config,
            gateway: ports.gateway,
            store: ports.store,
            bus: ports.bus,
            presence: ports.presence,
            frontier: ports.frontier,
            clock: ports.clock,
            entropy: ports.entropy,
            topics: Topics::default(),
            users: Users::default(),
            watchers: Watchers::default(),
            comings: Comings::default(),
            inquiry: Inquiry::default(),
            departures: Departures::default(),
            heads: Heads::default(),
            resync_wanted: Notify::new(),
            compare_wanted: Notify::new(),
            heads_wanted: Notify::new(),
            presence_wanted: Notify::new(),
            draining: AtomicBool::new(false),
            seats: Seats::new(config.seats, ports.metrics.clone()),
            watched: AtomicUsize::new(config.watched),
            last_seen_for_all: AtomicBool::new(config.last_seen == LastSeen::Anybody),
            metrics: ports.metrics,
            traces: ports.traces,
            sessions: Mutex::default(),
            pacer: Arc::default(),
            reading: Semaphore::new(catch_up::READING),
            cursors: std::sync::OnceLock::new(),
            delegations: Delegations::default(),
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
        })
    }

    /// Where proofs of receipt go. Set once: cursors announce their moves through the hub, so neither can be made
    /// with the other.
    pub fn keep_cursors(&self, cursors: Arc<Cursors>) {
        let _ = self.cursors.set(cursors);
    }

    /// Works until `stop`: takes the bus's signals, paces marks, sweeps.
    pub async fn run(self: &Arc<Self>, stop: CancellationToken) {
        let pacer = Arc::clone(&self.pacer);
        self.keep(
            "pacing",
            &stop,
            |_, stop| async move { pacer.run(stop).await },
        );
        self.keep("sweep", &stop, Self::sweep);
        self.keep("resync", &stop, Self::resync_when_wanted);
        self.keep("announcing", &stop, Self::announce_again_when_wanted);
        self.keep("inquiry", &stop, Self::inquire);
        self.keep("watched", &stop, Self::look_after_watched);
        self.keep("departures", &stop, Self::store_departures);
        self.keep("presence", &stop, Self::heed_presence);
        self.keep("asking", &stop, Self::ask_presence_when_wanted);
        self.listen(stop).await;
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Spawns a task for as long as the hub runs, under a name that logs and the watchdog know.
    fn keep<Work>(
        self: &Arc<Self>,
        name: &'static str,
        stop: &CancellationToken,
        work: impl FnOnce(Arc<Self>, CancellationToken) -> Work,
    ) where
        Work: Future<Output = ()> + Send + 'static,
    {
        let work = work(Arc::clone(self), stop.clone());
        self.tracker.spawn(served::task(name, work));
    }

    /// A connection was authenticated. Requests are valid from now on; delivery starts with [`Hub::join`] (D32). It ends
    /// when the value is dropped.
    #[must_use]
    pub fn open(self: &Arc<Self>, new: NewSession) -> Opened {
        new.encoding.of(&self.metrics.sessions).increment(1.0);
        new.encoding.of(&self.metrics.sessions_opened).increment(1);
        let deliveries = new.encoding.of(&self.metrics.deliveries_out).clone();
        let session = Session::new(new, Arc::clone(&self.pacer), deliveries);
        self.sessions
            .lock()
            .insert(session.id(), Arc::clone(&session));
        Opened::new(self, session)
    }

    /// A connection has ended.
    fn leave(self: &Arc<Self>, session: &Arc<Session>) {
        self.prove_last(session);
        // Before its topics are left: whoever attaches it to one after this sees that it is closed.
        session.close(Reason::TransportClosed);
        self.sessions.lock().remove(&session.id());
        session.leave_seat();
        self.count_end(session);
        for conversation in session.conversations() {
            self.topics
                .with(conversation, |topic| topic.detach(session.id()));
            session.forget(conversation);
        }
        self.unwatch_all(session);
        if session.has_joined() {
            self.part(session);
        }
        if let Some(cursors) = self.cursors.get() {
            cursors.hurry();
        }
    }

    /// Offers a session nothing more in these conversations; what it was given before is still written, and its requests
    /// are still answered.
    pub(super) fn release(&self, session: &Session, which: impl Fn(ConversationId) -> bool) {
        for conversation in session.conversations().into_iter().filter(|id| which(*id)) {
            self.topics
                .with(conversation, |topic| topic.release(session, conversation));
        }
    }

    /// How many sessions there may be.
    #[must_use]
    pub const fn seats(&self) -> &Seats {
        &self.seats
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) fn cursors(&self) -> Option<&Arc<Cursors>> {
        self.cursors.get()
    }

    pub(super) fn jitter(&self, up_to: Duration) -> Duration {
        self.entropy.jitter(up_to)
    }

    /// No new sessions from now on.
    pub(super) fn refuse_new(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether it is draining: new connections belong to another gateway.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// How many sessions there are.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.lock().len()
    }

    /// All sessions, for draining.
    #[must_use]
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        self.sessions.lock().values().cloned().collect()
    }

    pub(super) fn session(&self, id: SessionId) -> Option<Arc<Session>> {
        self.sessions.lock().get(&id).cloned()
    }

    async fn sweep(self: Arc<Self>, stop: CancellationToken) {
        let mut compared = Instant::now();
        while stop
            .run_until_cancelled(tokio::time::sleep(SWEEP_EVERY))
            .await
            .is_some()
        {
            let now = self.clock.now();
            for session in self.sessions() {
                if session.expires_at() < now {
                    session.close(Reason::Unauthorized);
                }
            }
            // While hints do not arrive, the log is asked instead (P5).
            if compared.elapsed() >= COMPARE_EVERY || self.bus.health().is_err() {
                compared = Instant::now();
                self.metrics.resync("periodic");
                self.compare_wanted.notify_one();
            }
            self.heads.sweep();
            self.topics.sweep(|unused| self.bus.unsubscribe(unused));
            self.users.sweep(|unused| self.bus.unsubscribe(unused));
            self.watchers.sweep(|unused| self.bus.unsubscribe(unused));
        }
    }
}

/// The channel on which a room's events are published; direct ones go to their users'.
pub(super) fn channels_of(conversation: ConversationId) -> impl Iterator<Item = Channel> {
    let room = match conversation {
        ConversationId::Room(room) => Some(Channel::Room(room)),
        ConversationId::Direct(..) => None,
    };
    room.into_iter()
        .chain(conversation.direct_users().map(Channel::User))
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("sessions", &self.session_count())
            .finish_non_exhaustive()
    }
}
