//! What delivers messages: the hub, and the committer and the cursors, which announce through it.

use std::sync::Arc;

use super::backends::Adapters;
use super::limits::seat_limits;
use super::world::World;
use crate::chat::Cursors;
use crate::commit::frontier::Frontier;
use crate::commit::{Committer, CommitterConfig};
use crate::config::Config;
use crate::fanout::hub::{Hub, HubConfig, HubParts, HubPorts};
use crate::metrics::Metrics;

pub(super) struct Delivery {
    pub(super) hub: Arc<Hub>,
    pub(super) committer: Arc<Committer>,
    pub(super) cursors: Arc<Cursors>,
}

impl Delivery {
    /// Made leaf first: what announces, then who announces through it, then who needs all of them.
    pub(super) fn new(config: &Config, world: &World, parts: &Adapters, metrics: &Metrics) -> Self {
        let frontier = Arc::new(Frontier::default());
        let fanout = HubParts::new(
            hub_config(config),
            HubPorts {
                gateway: world.gateway,
                store: Arc::clone(&parts.store),
                bus: Arc::clone(&parts.bus),
                presence: Arc::clone(&parts.presence),
                frontier: Arc::clone(&frontier),
                clock: Arc::clone(&world.clock),
                entropy: Arc::clone(&world.entropy),
                metrics: metrics.clone(),
                traces: world.traces.clone(),
            },
        );
        let cursors = Arc::new(Cursors::new(
            Arc::clone(&parts.store),
            fanout.announcer(),
            metrics.clone(),
        ));
        let committer = Arc::new(Committer::new(
            CommitterConfig {
                room_members: config.limits.room_members,
                ..CommitterConfig::default()
            },
            Arc::clone(&parts.store),
            fanout.announcer(),
            Some(fanout.delegation()),
            frontier,
            Arc::clone(&world.entropy),
            metrics.clone(),
        ));
        let hub = Hub::new(fanout, Arc::clone(&cursors), Arc::clone(&committer));
        Self {
            hub,
            committer,
            cursors,
        }
    }
}

fn hub_config(config: &Config) -> HubConfig {
    HubConfig {
        grace: config.presence.offline_grace,
        lease: config.presence.lease_ttl,
        watched: config.limits.watched_users,
        last_seen: config.limits.last_seen,
        seats: seat_limits(config),
    }
}
