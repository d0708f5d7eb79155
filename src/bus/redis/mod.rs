//! The bus over Redis pub/sub: a few publishing connections, one subscriber connection, and a probe. What it publishes is
//! sealed, and what is not is not heard (D49). Knows nothing of what is published. How fred loses messages, and what is done about each way, is numbered in docs/delivery.md
//! ("trap 4").

mod commands;
mod health;
mod interest;
mod lane;
mod probe;
mod sealed;
mod subscriber;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::commands::PubSubCommands;
use self::health::BusHealth;
use self::interest::Interest;
use self::lane::{BusContext, LaneTask, Outgoing, PublishLane};
use self::probe::{Probe, ProbeEchoes};
use self::sealed::Sealing;
use self::subscriber::Subscriber;
use super::outlet::Outlet;
use super::{Bus, BusError, Channel, Signal};
use crate::domain::{Entropy, GatewayId};
use crate::logging::served::task;
use crate::redis::{RedisConfig, Seal};

/// How many connections publish. One conversation always uses the same (D9).
const LANES: usize = 2;

/// How long [`Bus::subscribe`] waits for its confirmation.
const SUBSCRIBE_LIMIT: Duration = Duration::from_secs(1);

/// The bus of one gateway over Redis.
#[derive(Debug)]
pub struct RedisBus {
    commands: PubSubCommands,
    lanes: Arc<[PublishLane]>,
    interest: Arc<Interest>,
    health: Arc<BusHealth>,
    outlet: Arc<Outlet>,
    stop: CancellationToken,
    tasks: TaskTracker,
    unstarted: Mutex<Option<Unstarted>>,
}

/// The tasks, until they are spawned.
#[derive(Debug)]
struct Unstarted {
    lanes: Vec<LaneTask>,
    subscriber: Subscriber,
    probe: Probe,
}

impl RedisBus {
    /// A bus that does nothing before [`Self::start`].
    #[must_use]
    pub fn new(
        config: RedisConfig,
        seal: Arc<Seal>,
        gateway: GatewayId,
        entropy: Arc<Entropy>,
    ) -> Self {
        let shared = BusContext {
            commands: PubSubCommands::new(&config),
            sealing: Arc::new(Sealing::new(seal, gateway)),
            outlet: Arc::new(Outlet::new()),
            stop: CancellationToken::new(),
            entropy,
            config,
        };
        let (lanes, lane_tasks): (Vec<_>, Vec<_>) =
            (0..LANES).map(|_| PublishLane::new(shared.clone())).unzip();
        let lanes: Arc<[PublishLane]> = lanes.into();
        let interest = Arc::new(Interest::default());
        let health = Arc::new(BusHealth::new());
        let echoes = Arc::new(ProbeEchoes::new(shared.commands.probe_names(gateway)));
        let unstarted = Unstarted {
            lanes: lane_tasks,
            subscriber: Subscriber {
                shared: shared.clone(),
                interest: Arc::clone(&interest),
                health: Arc::clone(&health),
                echoes: Arc::clone(&echoes),
            },
            probe: Probe {
                shared: shared.clone(),
                lanes: Arc::clone(&lanes),
                health: Arc::clone(&health),
                echoes,
            },
        };
        Self {
            commands: shared.commands,
            lanes,
            interest,
            health,
            outlet: shared.outlet,
            stop: shared.stop,
            tasks: TaskTracker::new(),
            unstarted: Mutex::new(Some(unstarted)),
        }
    }

    /// Begins to connect, and tries for ever. Returns at once; a second call does nothing.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(&self) {
        let Some(unstarted) = self.unstarted.lock().take() else {
            return;
        };
        for lane in unstarted.lanes {
            self.tasks.spawn(task("publishing", lane.run()));
        }
        self.tasks
            .spawn(task("subscriber", unstarted.subscriber.run()));
        self.tasks.spawn(task("probe", unstarted.probe.run()));
        self.tasks.close();
    }

    /// The same lane always uses the same connection (D9). Multiplying spreads lanes that differ in any of their bits.
    fn lane(&self, lane: u64) -> &PublishLane {
        let mixed = lane.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let index = usize::try_from(mixed).unwrap_or_default();
        &self.lanes[index % self.lanes.len()]
    }
}

#[async_trait]
impl Bus for RedisBus {
    fn publish(&self, channel: Channel, lane: u64, payload: Bytes) {
        self.lane(lane).send(Outgoing {
            name: self.commands.name(channel),
            payload,
            receipt: None,
        });
    }

    fn publish_told(&self, channel: Channel, lane: u64, payload: Bytes) -> oneshot::Receiver<()> {
        let (told, taken) = oneshot::channel();
        self.lane(lane).send(Outgoing {
            name: self.commands.name(channel),
            payload,
            receipt: Some(told),
        });
        taken
    }

    async fn subscribe(&self, channels: &[Channel]) -> Result<(), BusError> {
        let Some(confirmed) = self.interest.want(channels) else {
            return Ok(());
        };
        if let Ok(Ok(())) = tokio::time::timeout(SUBSCRIBE_LIMIT, confirmed).await {
            return Ok(());
        }
        self.interest.give_up();
        let reason = self.health().err();
        Err(BusError(reason.unwrap_or_else(|| {
            "a subscription was not confirmed in time".to_owned()
        })))
    }

    fn unsubscribe(&self, channels: &[Channel]) {
        self.interest.forget(channels);
    }

    fn signals(&self) -> Option<mpsc::Receiver<Signal>> {
        self.outlet.receiver()
    }

    fn subscriptions(&self) -> usize {
        self.interest.count()
    }

    fn health(&self) -> Result<(), String> {
        self.health.check()
    }

    async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let reason = "the bus is closed".to_owned();
        self.health.set_subscriber(Some(reason));
    }
}

impl Drop for RedisBus {
    /// The tasks hold everything else, and would go on for ever.
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
