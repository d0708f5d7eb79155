//! The parts of the fan-out that neither the committer nor the cursors are needed for, built leaf first: so that those
//! two can announce through them, and the hub, which needs both, can be built last. Does nothing else.

use std::sync::Arc;
use std::time::Duration;

use super::announcer::Announcer;
use super::catch_up::{CatchUp, CatchUpPorts};
use super::delegation::DelegationClient;
use super::gaps::Gaps;
use super::offering::Offering;
use super::presence::{Arrivals, ArrivalsPorts, Board, BoardConfig, BoardPorts, Departures};
use super::publisher::Publisher;
use super::recall::Recall;
use super::repair::Repair;
use super::seats::SeatLimits;
use super::sessions::Sessions;
use super::tasks::Tasks;
use super::topics::Topics;
use super::users::Users;
use crate::bus::Bus;
use crate::chat::LastSeen;
use crate::commit::frontier::Frontier;
use crate::domain::{Clock, Entropy, GatewayId};
use crate::metrics::Metrics;
use crate::presence::{Presence, PresenceConfig};
use crate::store::Store;
use crate::traces::Traces;

/// The bounds and the pace of the fan-out.
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
        let presence = PresenceConfig::default();
        Self {
            grace: presence.grace,
            lease: presence.lease,
            watched: 500,
            last_seen: LastSeen::default(),
            seats: SeatLimits::default(),
        }
    }
}

/// What the fan-out needs of the world.
#[derive(Clone)]
pub struct HubPorts {
    /// This gateway, whose own channel is heard.
    pub gateway: GatewayId,
    /// Logs, memberships and cursors.
    pub store: Arc<dyn Store>,
    /// Hints between gateways.
    pub bus: Arc<dyn Bus>,
    /// Who is online, on any gateway.
    pub presence: Arc<dyn Presence>,
    /// What is known to be committed; what is heard is noted there.
    pub frontier: Arc<Frontier>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// What spreads retries in time.
    pub entropy: Arc<Entropy>,
    /// Where deliveries, sessions and faults are counted.
    pub metrics: Metrics,
    /// Where the spans of traced messages go.
    pub traces: Traces,
}

/// The parts of a hub that do not need the committer.
pub struct HubParts {
    pub(super) config: HubConfig,
    pub(super) ports: HubPorts,
    pub(super) tasks: Tasks,
    pub(super) sessions: Arc<Sessions>,
    pub(super) topics: Arc<Topics>,
    pub(super) users: Arc<Users>,
    pub(super) recall: Arc<Recall>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) catch_up: Arc<CatchUp>,
    pub(super) offering: Arc<Offering>,
    pub(super) repair: Arc<Repair>,
    pub(super) departures: Arc<Departures>,
    pub(super) arrivals: Arc<Arrivals>,
    pub(super) board: Arc<Board>,
    pub(super) announcer: Arc<Announcer>,
    pub(super) asking: Arc<DelegationClient>,
}

impl HubParts {
    /// Builds all parts; none of them starts a task.
    #[must_use]
    pub fn new(config: HubConfig, ports: HubPorts) -> Self {
        let tasks = Tasks::new(Arc::clone(&ports.entropy));
        let (sessions, topics, users) = <(Arc<Sessions>, Arc<Topics>, Arc<Users>)>::default();
        let recall = Arc::<Recall>::default();
        let gaps = Arc::new(Gaps::new(ports.metrics.clone()));
        let publisher = publisher(&ports);
        let catch_up = catch_up(&ports, (&topics, &users, &gaps), &tasks);
        let offering = offering(&ports, (&topics, &catch_up, &gaps));
        let repair = repair(&ports, (&topics, &gaps, &offering), &tasks);
        let (store, clock) = (Arc::clone(&ports.store), Arc::clone(&ports.clock));
        let departures = Arc::new(Departures::new(store, clock));
        let arrivals = Arc::new(Arrivals::new(
            config.grace,
            arrivals_ports(&ports),
            Arc::clone(&users),
            (Arc::clone(&recall), Arc::clone(&publisher)),
            Arc::clone(&departures),
            tasks.clone(),
        ));
        let announcer = Announcer::new(
            Arc::clone(&sessions),
            Arc::clone(&topics),
            Arc::clone(&catch_up),
            Arc::clone(&offering),
            Arc::clone(&recall),
            Arc::clone(&publisher),
        );
        let asking = DelegationClient::new(Arc::clone(&publisher), Arc::clone(&offering));
        Self {
            board: board(&config, &ports, &tasks),
            announcer: Arc::new(announcer),
            asking: Arc::new(asking),
            config,
            ports,
            tasks,
            sessions,
            topics,
            users,
            recall,
            publisher,
            catch_up,
            offering,
            repair,
            departures,
            arrivals,
        }
    }

    /// Tells the sessions here and the other gateways of what is committed here, and of cursors that moved.
    #[must_use]
    pub fn announcer(&self) -> Arc<Announcer> {
        Arc::clone(&self.announcer)
    }

    /// The way to other gateways' committers.
    #[must_use]
    pub fn delegation(&self) -> Arc<DelegationClient> {
        Arc::clone(&self.asking)
    }
}

fn publisher(ports: &HubPorts) -> Arc<Publisher> {
    let bus = Arc::clone(&ports.bus);
    Arc::new(Publisher::new(ports.gateway, bus, ports.metrics.clone()))
}

fn catch_up(
    ports: &HubPorts,
    (topics, users, gaps): (&Arc<Topics>, &Arc<Users>, &Arc<Gaps>),
    tasks: &Tasks,
) -> Arc<CatchUp> {
    let its_ports = CatchUpPorts {
        store: Arc::clone(&ports.store),
        bus: Arc::clone(&ports.bus),
        frontier: Arc::clone(&ports.frontier),
        entropy: Arc::clone(&ports.entropy),
        metrics: ports.metrics.clone(),
    };
    let (topics, users, gaps) = (Arc::clone(topics), Arc::clone(users), Arc::clone(gaps));
    Arc::new(CatchUp::new(its_ports, topics, users, gaps, tasks.clone()))
}

fn offering(
    ports: &HubPorts,
    (topics, catch_up, gaps): (&Arc<Topics>, &Arc<CatchUp>, &Arc<Gaps>),
) -> Arc<Offering> {
    Arc::new(Offering::new(
        Arc::clone(topics),
        Arc::clone(catch_up),
        Arc::clone(gaps),
        Arc::clone(&ports.clock),
        ports.metrics.clone(),
        ports.traces.clone(),
    ))
}

fn repair(
    ports: &HubPorts,
    (topics, gaps, offering): (&Arc<Topics>, &Arc<Gaps>, &Arc<Offering>),
    tasks: &Tasks,
) -> Arc<Repair> {
    Arc::new(Repair::new(
        (Arc::clone(&ports.store), Arc::clone(&ports.frontier)),
        Arc::clone(topics),
        Arc::clone(gaps),
        Arc::clone(offering),
        tasks.clone(),
        ports.metrics.clone(),
    ))
}

fn arrivals_ports(ports: &HubPorts) -> ArrivalsPorts {
    ArrivalsPorts {
        presence: Arc::clone(&ports.presence),
        clock: Arc::clone(&ports.clock),
        metrics: ports.metrics.clone(),
    }
}

fn board(config: &HubConfig, ports: &HubPorts, tasks: &Tasks) -> Arc<Board> {
    let its_config = BoardConfig {
        limit: config.watched,
        last_seen: config.last_seen,
        settled_after: config.lease + config.grace,
    };
    let its_ports = BoardPorts {
        bus: Arc::clone(&ports.bus),
        presence: Arc::clone(&ports.presence),
        clock: Arc::clone(&ports.clock),
    };
    Arc::new(Board::new(&its_config, its_ports, tasks.clone()))
}
