//! The gateway's own lease: taken, renewed by compare-and-extend, lost, and left to end. Knows nothing of users but
//! that they must be registered anew after a loss (D21).

use super::super::{PresenceError, PresenceSignal};
use super::entries::GatewayEntry;
use super::{RedisPresence, Sealed, new_incarnation};

/// How soon a failed heartbeat is tried again, in parts of the interval: often enough before the lease ends.
const RETRY: u32 = 5;

/// Whether this gateway holds its lease.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Hold {
    /// This gateway has not held it yet.
    New,
    /// Held, as of the last heartbeat, with this value.
    Held(String),
    /// Lost; a new incarnation waits for its lease.
    Lost,
}

impl RedisPresence {
    /// Heartbeats, for ever; at once on every new connection.
    pub(super) async fn hold_lease(&self) {
        let (mut hold, mut connection) = (Hold::New, 0);
        loop {
            let now = self
                .redis
                .client()
                .map_or(connection, |client| client.number);
            let beaten = self.beat(&mut hold).await;
            if beaten.is_ok() && now != std::mem::replace(&mut connection, now) {
                // What it leads to may have lost anything but the lease (D52).
                self.roll.unsettle_all();
            }
            let wait = match beaten {
                Ok(()) => self.config.heartbeat,
                Err(error) => {
                    tracing::debug!(%error, "a heartbeat failed");
                    self.config.heartbeat / RETRY
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.redis.opened() => {}
            }
        }
    }

    async fn beat(&self, hold: &mut Hold) -> Result<(), PresenceError> {
        if let Hold::Held(value) = hold {
            let myself = self.myself();
            let live = self.config.lease.as_millis();
            let client = self.redis.client()?;
            let key = self.lease_key(myself.gateway());
            if client.extend(key, value.clone(), live).await? {
                // Anew when the secret that signs has changed.
                if self.sealed(Sealed::Lease, &myself) != *value {
                    *value = self.take_lease(&myself).await?;
                }
                let name = self.sealed(Sealed::Name, &myself);
                return client.add(&self.registry_key(), name).await;
            }
            // D21: whoever sees the old incarnation from here on sees a dead one.
            tracing::warn!("the lease was lost");
            *self.incarnation.lock() = new_incarnation(self.gateway, &self.entropy);
            *hold = Hold::Lost;
        }
        let value = self.take_lease(&self.myself()).await?;
        // Whoever entered before the lease was taken is written already, but perhaps under a former incarnation.
        if std::mem::replace(hold, Hold::Held(value)) == Hold::Lost {
            self.roll.unsettle_all();
            self.tell(PresenceSignal::LeaseLost);
        }
        Ok(())
    }

    /// The lease first: a registered gateway without one is dead. Returns the lease's value.
    async fn take_lease(&self, myself: &GatewayEntry) -> Result<String, PresenceError> {
        let client = self.redis.client()?;
        let key = self.lease_key(myself.gateway());
        let value = self.sealed(Sealed::Lease, myself);
        let live = self.config.lease.as_millis();
        client.set(key, value.clone(), live, false).await?;
        let name = self.sealed(Sealed::Name, myself);
        client.add(&self.registry_key(), name).await?;
        Ok(value)
    }

    /// Neither heartbeats nor looks may wait for who reads the signals; a full queue is read soon, and says the same
    /// then.
    pub(super) fn tell(&self, doubt: PresenceSignal) {
        let sender = self.sender.clone();
        if sender.try_send(doubt).is_err() {
            tokio::spawn(async move {
                // Nobody reads any more when the gateway is going away.
                let _ = sender.send(doubt).await;
            });
        }
    }

    /// Leaves the lease to end with the grace, and the users to the heir (D24).
    pub(super) async fn release_lease(&self) {
        let (Ok(client), myself) = (self.redis.client(), self.myself()) else {
            return;
        };
        let key = self.lease_key(myself.gateway());
        let holder = self.sealed(Sealed::Lease, &myself);
        let grace = self.config.grace.as_millis().max(1);
        if let Err(error) = client.extend(key, holder, grace).await {
            tracing::warn!(%error, "the lease was not released; it ends by itself");
        }
    }
}
