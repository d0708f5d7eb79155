//! What presence tells of its own accord, and doubts that come from elsewhere than the bus.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Hub;
use crate::presence::PresenceSignal;

/// How many signals are taken at once: the users of a dead gateway come together.
const BATCH: usize = 500;

impl Hub {
    /// Announces what presence found: users of dead gateways are offline, a lost lease is a doubt (D10, D21).
    pub(super) async fn heed_presence(self: Arc<Self>, stop: CancellationToken) {
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
                    PresenceSignal::Online(user) => self.publish_presence(user, true),
                    PresenceSignal::LeaseLost => {
                        self.metrics.leases_lost.increment(1);
                        // How long this gateway stood still is not known.
                        self.announce_again(Instant::now());
                        self.resync("lease_lost");
                    }
                    PresenceSignal::GatewayGone => self.resync("gateway_gone"),
                }
            }
            self.announce_offline(&offline);
        }
    }

    /// MongoDB has a new primary: once it takes majority writes, everything is compared with its log (D16).
    pub async fn primary_changed(self: &Arc<Self>) {
        if self.until_read(|| self.store.ping()).await.is_some() {
            self.resync("primary_changed");
        }
    }
}
