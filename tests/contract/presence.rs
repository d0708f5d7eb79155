//! The contract of the presence port, run over every adapter. Refuses to know how an adapter works; what only Redis can
//! do to a gateway is in `presence_faults.rs`.

use std::sync::Arc;
use std::time::Duration;

use hobnob::domain::{Entropy, GatewayId, UserId};
use hobnob::presence::{
    LocalPresence, LocalPresenceHub, Presence, PresenceConfig, PresenceSignal, RedisPresence,
    Transition,
};
use hobnob::redis::RedisConfig;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::bus::{gateway_id, seal};
use crate::support::fold::DEADLINE;
use crate::support::servers::shared_redis;
use crate::support::until;

/// Short times, but for the two in which something must have been done: whoever lives renews its lease, and comes back
/// within the grace, on a machine that is busy with other tests, too.
pub(super) const TIMES: PresenceConfig = PresenceConfig {
    lease: Duration::from_secs(8),
    heartbeat: Duration::from_millis(300),
    grace: Duration::from_secs(10),
    look: Duration::from_millis(100),
    backstop: Duration::from_secs(60),
    verify: Duration::from_secs(1),
};

/// Makes presences that see each other, and nobody else's.
trait Rig: Sized {
    fn new() -> Self;
    fn presence(&self, gateway: GatewayId) -> Arc<dyn Presence>;
}

struct Local(LocalPresenceHub);

impl Rig for Local {
    fn new() -> Self {
        Self(LocalPresence::hub(TIMES))
    }

    fn presence(&self, gateway: GatewayId) -> Arc<dyn Presence> {
        Arc::new(self.0.connect(gateway))
    }
}

struct Redis(RedisConfig);

impl Rig for Redis {
    fn new() -> Self {
        let prefix = format!("presence-{:x}:", Entropy::from_os().next_u64());
        let config = RedisConfig::parse(&shared_redis().url()).unwrap();
        Self(config.with_prefix(&prefix).unwrap())
    }

    fn presence(&self, gateway: GatewayId) -> Arc<dyn Presence> {
        Arc::new(redis_presence(self.0.clone(), gateway, TIMES))
    }
}

pub(super) fn redis_presence(
    config: RedisConfig,
    gateway: GatewayId,
    times: PresenceConfig,
) -> RedisPresence {
    RedisPresence::new(config, seal(), gateway, times, Arc::new(Entropy::from_os()))
}

/// A running gateway.
pub(super) struct Gateway {
    pub(super) presence: Arc<dyn Presence>,
    signals: mpsc::Receiver<PresenceSignal>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Gateway {
    /// Runs until its lease is held.
    pub(super) async fn run(presence: Arc<dyn Presence>, number: u8) -> Self {
        let signals = presence.signals().expect("the first call gets them");
        assert!(presence.signals().is_none());
        let stop = CancellationToken::new();
        let (runner, until) = (Arc::clone(&presence), stop.clone());
        let running = tokio::spawn(async move { runner.run(until).await });
        let gateway = Self {
            presence,
            signals,
            stop,
            running,
        };
        gateway.settle_in(user(FIRST_SCOUT + number)).await;
        gateway
    }

    /// A user of this gateway alone comes and goes: then the lease is held.
    pub(super) async fn settle_in(&self, scout: UserId) {
        let _transition = until("it enters", async || self.presence.enter(scout).await).await;
        until("it is seen", async || self.sees(scout).await).await;
        let _transition = until("it leaves", async || self.presence.exit(scout).await).await;
    }

    pub(super) async fn enter(&self, user: UserId) -> Transition {
        self.presence.enter(user).await.expect("an answer")
    }

    async fn exit(&self, user: UserId) -> Transition {
        self.presence.exit(user).await.expect("an answer")
    }

    pub(super) async fn sees(&self, user: UserId) -> bool {
        matches!(self.presence.online(&[user]).await.as_deref(), Ok([true]))
    }

    /// The next signal that is neither about a scout nor about gateways that have gone.
    pub(super) async fn signal(&mut self) -> PresenceSignal {
        loop {
            match self.any_signal().await {
                PresenceSignal::Offline(who) | PresenceSignal::Online(who) if is_scout(who) => {}
                PresenceSignal::GatewayGone => {}
                signal => return signal,
            }
        }
    }

    /// Reads until a gateway has gone.
    async fn until_gateway_gone(&mut self) {
        while self.any_signal().await != PresenceSignal::GatewayGone {}
    }

    async fn any_signal(&mut self) -> PresenceSignal {
        let next = timeout(DEADLINE, self.signals.recv()).await;
        next.expect("a signal in time").expect("a running presence")
    }

    /// Waits until it sees these other gateways, and only these.
    async fn until_gateways(&self, others: &[u64]) {
        let wanted: Vec<GatewayId> = others.iter().copied().map(gateway_id).collect();
        until("it sees the others", async || {
            let mut gateways = self.presence.gateways().await.unwrap_or_default();
            gateways.sort_unstable();
            (gateways == wanted).then_some(()).ok_or(gateways)
        })
        .await;
    }

    /// `kill -9`: nothing is released.
    pub(super) fn crash(&self) {
        self.running.abort();
    }

    async fn drain(self) {
        self.stop.cancel();
        let ended = timeout(DEADLINE, self.running).await;
        ended.expect("an end in time").unwrap();
    }
}

/// Users from here on only find out whether a gateway runs.
const FIRST_SCOUT: u8 = 220;

fn is_scout(user: UserId) -> bool {
    user.to_bytes()[0] >= FIRST_SCOUT
}

pub(super) fn user(byte: u8) -> UserId {
    UserId::from_bytes([byte; 12])
}

async fn two<R: Rig>() -> (R, Gateway, Gateway) {
    let rig = R::new();
    let one = Gateway::run(rig.presence(gateway_id(1)), 1).await;
    let other = Gateway::run(rig.presence(gateway_id(2)), 2).await;
    (rig, one, other)
}

async fn a_user_is_online_from_the_first_gateway_to_the_last<R: Rig>() {
    let (_rig, one, other) = two::<R>().await;
    assert!(!other.sees(user(1)).await);
    assert_eq!(one.enter(user(1)).await, Transition::Changed);
    assert!(other.sees(user(1)).await);
    assert_eq!(other.enter(user(1)).await, Transition::Unchanged);
    assert_eq!(one.exit(user(1)).await, Transition::Unchanged);
    assert!(one.sees(user(1)).await);
    assert_eq!(other.exit(user(1)).await, Transition::Changed);
    assert!(!one.sees(user(1)).await);
}

async fn entering_and_leaving_twice_is_once<R: Rig>() {
    let (_rig, one, other) = two::<R>().await;
    assert_eq!(one.exit(user(1)).await, Transition::Unchanged);
    assert_eq!(one.enter(user(1)).await, Transition::Changed);
    assert_eq!(one.enter(user(1)).await, Transition::Unchanged);
    assert_eq!(other.exit(user(1)).await, Transition::Unchanged);
    assert_eq!(one.exit(user(1)).await, Transition::Changed);
    assert_eq!(one.exit(user(1)).await, Transition::Unchanged);
}

async fn answers_come_in_the_order_asked<R: Rig>() {
    let (_rig, one, other) = two::<R>().await;
    let asked: Vec<UserId> = (0..=199).chain(0..=199).map(user).collect();
    for byte in (0..=199).step_by(3) {
        let _transition = other.enter(user(byte)).await;
    }
    let online = one.presence.online(&asked).await.unwrap();
    let expected: Vec<bool> = (0..400).map(|index| (index % 200) % 3 == 0).collect();
    assert_eq!(online, expected);
    assert!(one.presence.online(&[]).await.unwrap().is_empty());
}

async fn of_concurrent_calls_one_sees_the_transition<R: Rig>() {
    let rig = R::new();
    let mut gateways = Vec::new();
    for number in 0..4 {
        let presence = rig.presence(gateway_id(u64::from(number)));
        gateways.push(Gateway::run(presence, number).await);
    }
    for byte in 0..30 {
        let enter = gateways.iter().map(|gateway| gateway.enter(user(byte)));
        assert_eq!(changes(&futures_util::future::join_all(enter).await), 1);
        let exit = gateways.iter().map(|gateway| gateway.exit(user(byte)));
        assert_eq!(changes(&futures_util::future::join_all(exit).await), 1);
    }
}

fn changes(transitions: &[Transition]) -> usize {
    let changed = |transition: &&Transition| **transition == Transition::Changed;
    transitions.iter().filter(changed).count()
}

async fn the_users_of_a_dead_gateway_are_announced_by_one_other<R: Rig>() {
    const USERS: u8 = 50;
    let (rig, one, mut other) = two::<R>().await;
    let mut third = Gateway::run(rig.presence(gateway_id(3)), 3).await;
    for byte in 0..USERS {
        let _transition = one.enter(user(byte)).await;
    }
    // Who is elsewhere too stays online.
    assert_eq!(other.enter(user(0)).await, Transition::Unchanged);
    one.crash();
    let mut offline = Vec::new();
    while offline.len() < usize::from(USERS) - 1 {
        let signal = tokio::select! {
            signal = other.signal() => signal,
            signal = third.signal() => signal,
        };
        match signal {
            PresenceSignal::Offline(user) => offline.push(user),
            signal => panic!("{signal:?}"),
        }
    }
    offline.sort_unstable();
    assert_eq!(offline, (1..USERS).map(user).collect::<Vec<_>>());
    assert!(third.sees(user(0)).await);
    assert!(!third.sees(user(1)).await);
}

/// What it committed last may not have been published, so everybody has to look, not only the heir.
async fn everybody_notices_that_a_gateway_has_gone<R: Rig>() {
    let (rig, one, mut other) = two::<R>().await;
    let mut third = Gateway::run(rig.presence(gateway_id(3)), 3).await;
    one.until_gateways(&[2, 3]).await;
    // Nothing shows that both have looked, and are past the time in which nobody is buried.
    tokio::time::sleep(TIMES.lease + TIMES.look * 3).await;
    one.crash();
    other.until_gateway_gone().await;
    third.until_gateway_gone().await;
    other.until_gateways(&[3]).await;
}

async fn a_draining_gateway_leaves_its_users_their_grace<R: Rig>() {
    let (_rig, one, mut other) = two::<R>().await;
    let _transition = one.enter(user(1)).await;
    let _transition = one.enter(user(2)).await;
    one.drain().await;
    assert!(other.sees(user(1)).await, "within the grace");
    assert_eq!(other.enter(user(1)).await, Transition::Unchanged);
    assert_eq!(other.signal().await, PresenceSignal::Offline(user(2)));
    assert!(!other.sees(user(2)).await);
    assert!(other.sees(user(1)).await, "reconnected in time");
}

over_every_adapter!(
    a_user_is_online_from_the_first_gateway_to_the_last,
    entering_and_leaving_twice_is_once,
    answers_come_in_the_order_asked,
    of_concurrent_calls_one_sees_the_transition,
    the_users_of_a_dead_gateway_are_announced_by_one_other,
    everybody_notices_that_a_gateway_has_gone,
    a_draining_gateway_leaves_its_users_their_grace,
);
