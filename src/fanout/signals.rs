//! What the presence service tells of its own accord: users of dead gateways are offline, a lost lease is a doubt (D10,
//! D21). Knows no watcher.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::presence::Arrivals;
use super::reannouncer::Reannouncer;
use super::resync::Resync;
use crate::metrics::Metrics;
use crate::presence::{Presence, PresenceSignal};

/// How many signals are taken at once: the users of a dead gateway come together.
const BATCH: usize = 500;

pub(super) struct PresenceSignals {
    presence: Arc<dyn Presence>,
    arrivals: Arc<Arrivals>,
    reannouncer: Arc<Reannouncer>,
    resync: Arc<Resync>,
    metrics: Metrics,
}

impl PresenceSignals {
    pub(super) fn new(
        presence: Arc<dyn Presence>,
        arrivals: Arc<Arrivals>,
        reannouncer: Arc<Reannouncer>,
        resync: Arc<Resync>,
        metrics: Metrics,
    ) -> Self {
        Self {
            presence,
            arrivals,
            reannouncer,
            resync,
            metrics,
        }
    }

    /// Acts on the presence service's signals until `stop`.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let Some(mut signals) = self.presence.signals() else {
            return;
        };
        let mut batch = Vec::with_capacity(BATCH);
        while let Some(1..) = stop
            .run_until_cancelled(signals.recv_many(&mut batch, BATCH))
            .await
        {
            let mut offline = Vec::new();
            for signal in batch.drain(..) {
                match signal {
                    PresenceSignal::Offline(user) => offline.push(user),
                    PresenceSignal::Online(user) => self.arrivals.announce(user, true),
                    PresenceSignal::LeaseLost => {
                        self.metrics.leases_lost.increment(1);
                        // How long this gateway stood still is not known.
                        self.reannouncer.doubt(Instant::now());
                        self.resync.doubt("lease_lost");
                    }
                    PresenceSignal::GatewayGone => self.resync.doubt("gateway_gone"),
                }
            }
            self.arrivals.announce_offline(&offline);
        }
    }
}
