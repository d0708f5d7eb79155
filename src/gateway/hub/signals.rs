//! What presence tells of its own accord, and doubts that come from elsewhere than the bus.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Hub;
use crate::presence::PresenceSignal;

impl Hub {
    /// Announces what presence found: users of dead gateways are offline, a lost lease is a doubt (D10, D21).
    pub(super) async fn heed_presence(self: &Arc<Self>, stop: CancellationToken) {
        let Some(mut signals) = self.presence.signals() else {
            return;
        };
        while let Some(Some(signal)) = stop.run_until_cancelled(signals.recv()).await {
            match signal {
                PresenceSignal::Offline(user) => self.announce_presence(user, false).await,
                PresenceSignal::Online(user) => self.announce_presence(user, true).await,
                PresenceSignal::LeaseLost => {
                    self.metrics.leases_lost.increment(1);
                    self.publish_heads();
                    self.resync("lease lost");
                }
            }
        }
    }

    /// MongoDB has a new primary: once it takes majority writes, everything is compared with its log (D16).
    pub async fn primary_changed(self: &Arc<Self>) {
        if self.until_read(|| self.store.ping()).await.is_some() {
            self.resync("primary changed");
        }
    }
}
