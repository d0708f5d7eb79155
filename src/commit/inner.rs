//! What the parts of the committer share: its ports, its queues, and what it remembers. Does nothing.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio_util::task::TaskTracker;

use super::announce::Announce;
use super::batcher::Batcher;
use super::config::CommitterConfig;
use super::delegated::Delegation;
use super::frontier::Frontier;
use super::gather::Gather;
use super::lanes::Lanes;
use super::together::{gather_facts, gather_projections};
use super::writers::Writers;
use crate::domain::{Change, Entropy, Facts};
use crate::metrics::Metrics;
use crate::store::{Projected, Store, StoreResult};

/// What the committer needs of the world.
pub(super) struct CommitterPorts {
    pub(super) store: Arc<dyn Store>,
    pub(super) announce: Arc<dyn Announce>,
    pub(super) delegation: Option<Arc<dyn Delegation>>,
    pub(super) frontier: Arc<Frontier>,
    pub(super) entropy: Arc<Entropy>,
    pub(super) metrics: Metrics,
}

pub(super) struct CommitterInner {
    pub(super) config: CommitterConfig,
    pub(super) store: Arc<dyn Store>,
    pub(super) announce: Arc<dyn Announce>,
    pub(super) frontier: Arc<Frontier>,
    pub(super) entropy: Arc<Entropy>,
    pub(super) batcher: Batcher,
    /// What changes are decided by, read together.
    pub(super) facts: Gather<Change, StoreResult<Facts>>,
    /// What follows from changes, written together.
    pub(super) projecting: Gather<Vec<Projected>, StoreResult<()>>,
    pub(super) lanes: Lanes,
    pub(super) writers: Writers,
    pub(super) room_members: AtomicUsize,
    pub(super) delegation: Option<Arc<dyn Delegation>>,
    pub(super) tracker: TaskTracker,
    pub(super) metrics: Metrics,
}

impl CommitterInner {
    pub(super) fn new(config: CommitterConfig, ports: CommitterPorts) -> Self {
        let tracker = TaskTracker::new();
        let (store, metrics) = (ports.store, ports.metrics);
        Self {
            batcher: Batcher::new(Arc::clone(&store), tracker.clone(), metrics.clone()),
            facts: gather_facts(&store, &tracker),
            projecting: gather_projections(&store, &tracker),
            lanes: Lanes::new(config),
            writers: Writers::default(),
            room_members: AtomicUsize::new(config.room_members),
            announce: ports.announce,
            delegation: ports.delegation,
            frontier: ports.frontier,
            entropy: ports.entropy,
            config,
            store,
            tracker,
            metrics,
        }
    }
}
