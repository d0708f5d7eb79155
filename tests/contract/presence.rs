//! The contract of the presence port, run over every adapter, and what only Redis can do to it. Refuses to know keys
//! and scripts.

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

use super::bus::{PATIENCE, gateway_id};
use crate::support::servers::{Redis as Server, shared_redis};

/// Short times: a death takes two seconds instead of twenty. Long enough for a machine that is busy with other tests.
const TIMES: PresenceConfig = PresenceConfig {
    lease: Duration::from_millis(2_000),
    heartbeat: Duration::from_millis(300),
    grace: Duration::from_millis(1_000),
    look: Duration::from_millis(100),
    backstop: Duration::from_secs(60),
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

fn redis_presence(config: RedisConfig, gateway: GatewayId, times: PresenceConfig) -> RedisPresence {
    RedisPresence::new(config, gateway, times, Arc::new(Entropy::from_os()))
}

/// A running gateway.
struct Gateway {
    presence: Arc<dyn Presence>,
    signals: mpsc::Receiver<PresenceSignal>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Gateway {
    /// Runs until its lease is held.
    async fn run(presence: Arc<dyn Presence>, number: u8) -> Self {
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
    async fn settle_in(&self, scout: UserId) {
        let held = async {
            while self.presence.enter(scout).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            while !self.sees(scout).await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            while self.presence.exit(scout).await.is_err() {}
        };
        timeout(PATIENCE, held).await.expect("the lease in time");
    }

    async fn enter(&self, user: UserId) -> Transition {
        self.presence.enter(user).await.expect("an answer")
    }

    async fn exit(&self, user: UserId) -> Transition {
        self.presence.exit(user).await.expect("an answer")
    }

    async fn sees(&self, user: UserId) -> bool {
        matches!(self.presence.online(&[user]).await.as_deref(), Ok([true]))
    }

    /// The next signal that is not about a scout.
    async fn signal(&mut self) -> PresenceSignal {
        loop {
            let next = timeout(PATIENCE, self.signals.recv()).await;
            match next.expect("a signal in time").expect("a running presence") {
                PresenceSignal::Offline(who) | PresenceSignal::Online(who) if is_scout(who) => {}
                signal => return signal,
            }
        }
    }

    /// `kill -9`: nothing is released.
    fn crash(&self) {
        self.running.abort();
    }

    async fn drain(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.running)
            .await
            .expect("an end in time")
            .unwrap();
    }
}

/// Users from here on only find out whether a gateway runs.
const FIRST_SCOUT: u8 = 220;

fn is_scout(user: UserId) -> bool {
    user.to_bytes()[0] >= FIRST_SCOUT
}

fn user(byte: u8) -> UserId {
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
        assert_eq!(changes(futures_util::future::join_all(enter).await), 1);
        let exit = gateways.iter().map(|gateway| gateway.exit(user(byte)));
        assert_eq!(changes(futures_util::future::join_all(exit).await), 1);
    }
}

fn changes(transitions: Vec<Transition>) -> usize {
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

macro_rules! contract {
    ($($case:ident),* $(,)?) => {
        mod local {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case::<super::Local>().await;
            })*
        }
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case::<super::Redis>().await;
            })*
        }
    };
}

contract!(
    a_user_is_online_from_the_first_gateway_to_the_last,
    entering_and_leaving_twice_is_once,
    answers_come_in_the_order_asked,
    of_concurrent_calls_one_sees_the_transition,
    the_users_of_a_dead_gateway_are_announced_by_one_other,
    a_draining_gateway_leaves_its_users_their_grace,
);

async fn on(server: &Server, number: u8, times: PresenceConfig) -> Gateway {
    let config = RedisConfig::parse(&server.url()).unwrap();
    let presence = redis_presence(config, gateway_id(u64::from(number)), times);
    Gateway::run(Arc::new(presence), number).await
}

async fn both_see(one: &Gateway, other: &Gateway, user: UserId) {
    let seen = async {
        while !(one.sees(user).await && other.sees(user).await) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, seen).await.expect("online in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flushed_redis_is_filled_again() {
    let server = Server::start();
    let (mut one, other) = (on(&server, 1, TIMES).await, on(&server, 2, TIMES).await);
    let _transition = one.enter(user(1)).await;
    server.command(&["FLUSHALL"]);
    let mut signals = vec![one.signal().await, one.signal().await];
    signals.sort_by_key(|signal| *signal != PresenceSignal::LeaseLost);
    assert_eq!(
        signals,
        [PresenceSignal::LeaseLost, PresenceSignal::Online(user(1))]
    );
    both_see(&one, &other, user(1)).await;
    assert_eq!(other.enter(user(1)).await, Transition::Unchanged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_redis_makes_nobody_bury_anybody() {
    let mut server = Server::start();
    let (mut one, mut other) = (on(&server, 1, TIMES).await, on(&server, 2, TIMES).await);
    let _transition = one.enter(user(1)).await;
    let _transition = other.enter(user(2)).await;
    server.kill9();
    let failed = async { while one.presence.enter(user(3)).await.is_ok() {} };
    timeout(PATIENCE, failed).await.expect("calls fail in time");
    server.restart();
    both_see(&one, &other, user(1)).await;
    both_see(&one, &other, user(2)).await;
    // What failed while Redis was away is made good, and said.
    both_see(&one, &other, user(3)).await;
    loop {
        match one.signal().await {
            PresenceSignal::Online(who) if who == user(3) => break,
            PresenceSignal::Offline(who) => panic!("{who} was buried"),
            _ => {}
        }
    }
    assert_eq!(other.signal().await, PresenceSignal::LeaseLost);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exit_that_failed_is_made_good() {
    let mut server = Server::start();
    let one = on(&server, 1, TIMES).await;
    let mut other = on(&server, 2, TIMES).await;
    let _transition = other.enter(user(1)).await;
    server.stop();
    assert!(other.presence.exit(user(1)).await.is_err());
    server.cont();
    loop {
        if other.signal().await == PresenceSignal::Offline(user(1)) {
            break;
        }
    }
    assert!(!one.sees(user(1)).await);
    server.kill9();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_was_frozen_and_wakes_keeps_its_users() {
    let server = Server::start();
    let mut other = on(&server, 2, TIMES).await;
    let frozen = FrozenGateway::start(&server).await;
    both_see(&other, &other, user(1)).await;
    frozen.freeze();
    assert_eq!(other.signal().await, PresenceSignal::Offline(user(1)));
    frozen.thaw();
    both_see(&other, &other, user(1)).await;
    // It stays so: the old incarnation is cleared, the new one is not.
    let registry = || server.command(&["ZCARD", "hobnob:gateways"]);
    super::bus::eventually("two incarnations are registered", || {
        registry() == crate::support::servers::Reply::Integer(2)
    })
    .await;
    assert!(other.sees(user(1)).await);
}

/// A gateway on a runtime of its own, whose only thread can be made to stand still like a stopped process.
struct FrozenGateway {
    freeze: std::sync::mpsc::Sender<std::sync::mpsc::Receiver<()>>,
    thaw: std::sync::Mutex<Option<std::sync::mpsc::Sender<()>>>,
}

impl FrozenGateway {
    async fn start(server: &Server) -> Self {
        let config = RedisConfig::parse(&server.url()).unwrap();
        let (freeze, frozen) = std::sync::mpsc::channel::<std::sync::mpsc::Receiver<()>>();
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let presence = redis_presence(config, gateway_id(1), TIMES);
                let gateway = Gateway::run(Arc::new(presence), 1).await;
                let _transition = gateway.enter(user(1)).await;
                ready.send(()).unwrap();
                loop {
                    match frozen.try_recv() {
                        // Blocks the only thread: no heartbeat leaves.
                        Ok(thawed) => drop(thawed.recv()),
                        Err(std::sync::mpsc::TryRecvError::Empty) => {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                        Err(std::sync::mpsc::TryRecvError::Disconnected) => return,
                    }
                }
            });
        });
        is_ready.await.unwrap();
        Self {
            freeze,
            thaw: std::sync::Mutex::new(None),
        }
    }

    fn freeze(&self) {
        let (thaw, thawed) = std::sync::mpsc::channel();
        self.freeze.send(thawed).unwrap();
        *self.thaw.lock().unwrap() = Some(thaw);
    }

    fn thaw(&self) {
        self.thaw.lock().unwrap().take();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_heir_that_dies_half_way_is_replaced() {
    let server = Server::start();
    let one = on(&server, 1, TIMES).await;
    let mut other = on(&server, 2, TIMES).await;
    let _transition = one.enter(user(1)).await;
    one.crash();
    // Somebody has claimed the dead gateway and died: the claim is a lease, and ends.
    let name = registered(&server, 1);
    server.command(&["SET", &format!("hobnob:claim:{name}"), "a dead heir"]);
    server.command(&["PEXPIRE", &format!("hobnob:claim:{name}"), "3000"]);
    assert_eq!(other.signal().await, PresenceSignal::Offline(user(1)));
    super::bus::eventually("nothing of the dead remains", || {
        server.command(&["KEYS", &format!("hobnob:*{name}")])
            == crate::support::servers::Reply::Array(Vec::new())
    })
    .await;
}

/// The registered name of a gateway.
fn registered(server: &Server, number: u64) -> String {
    use crate::support::servers::Reply;
    let Reply::Array(names) = server.command(&["ZRANGE", "hobnob:gateways", "0", "-1"]) else {
        panic!("no registry");
    };
    let prefix = gateway_id(number).to_string();
    let text = |name| match name {
        Reply::Text(name) => name,
        other => panic!("{other:?}"),
    };
    let mut names = names.into_iter().map(text);
    names
        .find(|name| name.starts_with(&prefix))
        .expect("a registered gateway")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backstop_is_renewed_and_ends_what_nobody_renews() {
    use crate::support::servers::Reply;
    let server = Server::start();
    let times = PresenceConfig {
        backstop: Duration::from_millis(1_500),
        ..TIMES
    };
    let one = on(&server, 1, times).await;
    let _transition = one.enter(user(1)).await;
    let key = format!("hobnob:presence:{}", user(1));
    let left = || match server.command(&["PTTL", &key]) {
        Reply::Integer(left) => left,
        other => panic!("{other:?}"),
    };
    // It sinks and rises again: renewed, not merely long.
    let mut lowest = left();
    super::bus::eventually("a renewal", || {
        let now = left();
        lowest = lowest.min(now);
        now > lowest
    })
    .await;
    one.crash();
    super::bus::eventually("the end of what nobody renews", || left() < 0).await;
}
