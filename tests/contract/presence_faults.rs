//! What Redis and death can do to presence: flush, restart, freeze, a frozen gateway, a dead heir, nobody who renews.
//! Knows the keys that an operator sees, and no script.

use std::sync::Arc;
use std::time::Duration;

use hobnob::domain::UserId;
use hobnob::presence::{PresenceConfig, PresenceSignal, Transition};
use hobnob::redis::RedisConfig;

use super::bus::gateway_id;
use super::presence::{Gateway, TIMES, redis_presence, user};
use crate::support::servers::{Redis as Server, Reply};
use crate::support::until;

async fn on(server: &Server, number: u8, times: PresenceConfig) -> Gateway {
    let config = RedisConfig::parse(&server.url()).unwrap();
    let presence = redis_presence(config, gateway_id(u64::from(number)), times);
    Gateway::run(Arc::new(presence), number).await
}

async fn both_see(one: &Gateway, other: &Gateway, user: UserId) {
    for gateway in [one, other] {
        until_seen(gateway, user, true).await;
    }
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
    until("calls fail", async || {
        one.presence.enter(user(3)).await.is_err()
    })
    .await;
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
    until_signal(&mut other, PresenceSignal::Offline(user(1))).await;
    assert!(!one.sees(user(1)).await);
    server.kill9();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_was_frozen_and_wakes_keeps_its_users() {
    let server = Server::start();
    let mut other = on(&server, 2, TIMES).await;
    let frozen = FrozenGateway::start(&server).await;
    both_see(&other, &other, user(1)).await;
    let before = registered(&server, 1);
    frozen.freeze();
    assert_eq!(other.signal().await, PresenceSignal::Offline(user(1)));
    frozen.thaw();
    both_see(&other, &other, user(1)).await;
    // It stays so: the old incarnation is cleared, the new one is not.
    let registry = || server.command(&["ZCARD", "hobnob:gateways"]);
    until("two incarnations are registered", async || {
        registry() == Reply::Integer(2)
    })
    .await;
    assert!(other.sees(user(1)).await);
    // An heir that is slow may still be clearing: what it has claimed is the old incarnation only (D21).
    assert_ne!(registered(&server, 1), before);
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
    until("nothing of the dead remains", async || {
        server.command(&["KEYS", &format!("hobnob:*{name}")]) == Reply::Array(Vec::new())
    })
    .await;
}

/// The registered name of a gateway.
fn registered(server: &Server, number: u64) -> String {
    let Reply::Array(names) = server.command(&["ZRANGE", "hobnob:gateways", "0", "-1"]) else {
        panic!("no registry");
    };
    let prefix = gateway_id(number).to_string();
    let text = |name| match name {
        Reply::Text(name) => name,
        other => panic!("{other:?}"),
    };
    let mut names = names.into_iter().map(text);
    let name = names
        .find(|name| name.starts_with(&prefix))
        .expect("a registered gateway");
    // Without the proof behind it.
    let (name, _) = name.split_once('.').expect("a sealed name");
    name.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backstop_is_renewed_and_ends_what_nobody_renews() {
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
    until("a renewal", async || {
        let now = left();
        lowest = lowest.min(now);
        now > lowest
    })
    .await;
    one.crash();
    until("the end of what nobody renews", async || left() < 0).await;
}

fn entry_key(user: UserId) -> String {
    format!("hobnob:presence:{user}")
}

/// As a failover does: everything but the subject of the test is kept.
fn cut_all(server: &Server) {
    server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
}

async fn until_seen(gateway: &Gateway, user: UserId, online: bool) {
    until(&format!("{user} is online: {online}"), async || {
        gateway.presence.online(&[user]).await.ok() == Some(vec![online])
    })
    .await;
}

async fn until_signal(gateway: &mut Gateway, wanted: PresenceSignal) {
    while gateway.signal().await != wanted {}
}

/// Without the rotating look that finds it within a minute.
const NO_LOOK: PresenceConfig = PresenceConfig {
    verify: Duration::from_secs(3_600),
    backstop: Duration::from_secs(86_400),
    ..TIMES
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d52_a_lost_entry_under_a_live_lease_is_back_with_the_next_connection() {
    let server = Server::start();
    let (mut one, other) = (on(&server, 1, NO_LOOK).await, on(&server, 2, NO_LOOK).await);
    let _transition = one.enter(user(1)).await;
    server.command(&["DEL", &entry_key(user(1))]);
    assert!(!other.sees(user(1)).await, "the entry is lost");
    cut_all(&server);
    until_signal(&mut one, PresenceSignal::Online(user(1))).await;
    until_seen(&other, user(1), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d52_who_left_and_is_back_in_redis_is_removed_with_the_next_connection() {
    let server = Server::start();
    let (mut one, other) = (on(&server, 1, NO_LOOK).await, on(&server, 2, NO_LOOK).await);
    // Of one the index is back, too: as after a longer while, in which the gateway forgets who has left.
    let name = registered(&server, 1);
    let (gateway, incarnation) = name.split_once(':').expect("an incarnation");
    let _transition = one.enter(user(1)).await;
    assert_eq!(
        one.presence.exit(user(1)).await.ok(),
        Some(Transition::Changed)
    );
    for ghost in [user(1), user(2)] {
        server.command(&["HSET", &entry_key(ghost), gateway, incarnation]);
        assert!(other.sees(ghost).await, "an old snapshot");
    }
    let index = format!("hobnob:gateway-users:{name}");
    server.command(&["ZADD", &index, "0", &user(2).to_string()]);
    cut_all(&server);
    for ghost in [user(1), user(2)] {
        until_seen(&other, ghost, false).await;
    }
    until_signal(&mut one, PresenceSignal::Offline(user(2))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d52_what_is_lost_without_a_trace_is_found_in_turn() {
    let server = Server::start();
    let (mut one, other) = (on(&server, 1, TIMES).await, on(&server, 2, TIMES).await);
    let _transition = one.enter(user(1)).await;
    server.command(&["DEL", &entry_key(user(1))]);
    until_signal(&mut one, PresenceSignal::Online(user(1))).await;
    until_seen(&other, user(1), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d51_an_enter_whose_answer_was_lost_is_announced() {
    let server = Server::start();
    let mut one = on(&server, 1, NO_LOOK).await;
    server.stop();
    // The server has the command, and does it as soon as it goes on, whoever still listens.
    assert!(one.presence.enter(user(1)).await.is_err());
    server.cont();
    until_signal(&mut one, PresenceSignal::Online(user(1))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d49_what_is_not_proved_keeps_nobody_online_and_buries_nobody() {
    let server = Server::start();
    let (one, other) = (on(&server, 1, TIMES).await, on(&server, 2, TIMES).await);
    let _transition = one.enter(user(1)).await;
    let ghost = gateway_id(77).to_string();
    server.command(&["SET", &format!("hobnob:gateway:{ghost}"), "00ff"]);
    server.command(&["HSET", &entry_key(user(2)), &ghost, "00ff"]);
    assert!(!other.sees(user(2)).await, "a lease without a proof");
    // A dead gateway of another deployment, which has the same users.
    let foreign = format!("{}:00ee.{}", gateway_id(78), "0".repeat(32));
    server.command(&["ZADD", "hobnob:gateways", "0", &foreign]);
    let index = format!("hobnob:gateway-users:{}:00ee", gateway_id(78));
    server.command(&["ZADD", &index, "0", &user(1).to_string()]);
    // A time in which nothing may happen: whoever believed it would bury the dead meanwhile.
    tokio::time::sleep(TIMES.lease + 5 * TIMES.look).await;
    assert_eq!(server.command(&["ZCARD", &index]), Reply::Integer(1));
    assert!(other.sees(user(1)).await);
}
