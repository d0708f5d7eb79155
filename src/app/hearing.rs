//! Whether this gateway alone is deaf (D26). Each gateway that hears the bus says so in MongoDB; one that does not looks
//! whether another does. Alone it is no place for clients; when nobody hears, all stay in service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::admin::{Health, Readiness};
use crate::bus::Bus;
use crate::domain::GatewayId;
use crate::store::mongo::MongoStore;

/// How often a gateway that hears says so.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// How often a gateway that does not hear looks for another that does.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The longest that another gateway goes on saying that it hears after the bus is gone for all: a probe's interval and
/// its deadline, with their jitter, and the time to write it down.
const NOTICE: Duration = Duration::from_secs(6);

/// What a gateway knows of its own hearing.
pub(super) struct Hearing {
    gateway: GatewayId,
    bus: Arc<dyn Bus>,
    /// None: this gateway has no others.
    store: Option<Arc<MongoStore>>,
    is_alone: AtomicBool,
}

impl Hearing {
    /// Of this gateway; adds its check to readiness.
    pub(super) fn watched_by(
        readiness: &Readiness,
        gateway: GatewayId,
        bus: Arc<dyn Bus>,
        store: Option<Arc<MongoStore>>,
    ) -> Arc<Self> {
        let hearing = Arc::new(Self {
            gateway,
            bus,
            store,
            is_alone: AtomicBool::new(false),
        });
        let asked = Arc::clone(&hearing);
        readiness.check("bus", move || asked.health());
        hearing
    }

    fn health(&self) -> Health {
        match self.bus.health() {
            Ok(()) => Health::Well,
            Err(reason) if self.is_alone.load(Ordering::Relaxed) => {
                Health::Failed(format!("{reason}; other gateways hear"))
            }
            Err(reason) => Health::Degraded(reason),
        }
    }

    /// Says and looks, for ever: drop it to stop.
    pub(super) async fn run(&self) {
        let Some(store) = &self.store else { return };
        let mut deaf_since = None;
        loop {
            let pause = match self.bus.health() {
                Ok(()) => {
                    deaf_since = None;
                    self.is_alone.store(false, Ordering::Relaxed);
                    if let Err(error) = store.note_hearing(self.gateway).await {
                        tracing::debug!(%error, "could not say that the bus is heard");
                    }
                    SAY_EVERY
                }
                Err(_) => {
                    let since = *deaf_since.get_or_insert_with(Instant::now);
                    let is_alone = self.is_heard_elsewhere(store, since).await;
                    self.is_alone.store(is_alone, Ordering::Relaxed);
                    LOOK_EVERY
                }
            };
            sleep(pause).await;
        }
    }

    /// Whether another gateway heard the bus when this one had been deaf for so long that both would be.
    async fn is_heard_elsewhere(&self, store: &MongoStore, since: Instant) -> bool {
        match store.last_heard_elsewhere(self.gateway).await {
            Ok(Some(age)) => age + NOTICE < since.elapsed(),
            Ok(None) => false,
            Err(error) => {
                tracing::debug!(%error, "could not look whether others hear the bus");
                false
            }
        }
    }
}
