//! What Redis can do to a gateway: die, freeze, forget, cut, and stop delivering. After each, a gap is signalled, and
//! what is published afterwards arrives (P5).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hobnob::bus::{Bus, Doubt, RedisBus, Signal};
use hobnob::domain::{Clock, Entropy, ManualClock, SystemClock};
use hobnob::redis::{RedisConfig, Seal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::bus::{Gateway, gateway_id, room, seal, sealed_by, user};
use crate::support::leash::free_port;
use crate::support::servers::{Redis, Reply};
use crate::support::until;

fn bus(url: &str, gateway: u64) -> Arc<RedisBus> {
    bus_with(url, gateway, seal())
}

fn bus_with(url: &str, gateway: u64, seal: Arc<Seal>) -> Arc<RedisBus> {
    let config = RedisConfig::parse(url).unwrap();
    let entropy = Arc::new(Entropy::from_os());
    let bus = RedisBus::new(config, seal, gateway_id(gateway), entropy);
    bus.start();
    Arc::new(bus)
}

async fn connect(redis: &Redis, gateway: u64) -> Gateway {
    Gateway::on(bus(&redis.url(), gateway)).await
}

/// Two gateways, of which the first hears.
async fn pair(redis: &Redis) -> (Gateway, Gateway) {
    let one = connect(redis, 1).await;
    one.hear(&[user(1), room(1)]).await;
    (one, connect(redis, 2).await)
}

/// Longer than a command may take, and the connection behind it.
const FAILS_IN: Duration = Duration::from_secs(15);
/// Between two tries to be heard.
const AGAIN: Duration = Duration::from_millis(500);

async fn hears_again(one: &mut Gateway, other: &Gateway) {
    other.healthy().await;
    // Said again until it is heard: the hearer may be about to notice that its own connection has gone, too, and what is
    // said meanwhile is lost, which is what its doubt is for.
    let heard = async { while one.payload().await.1 != "later" {} };
    let said = async {
        loop {
            other.say(user(1), "later");
            tokio::time::sleep(AGAIN).await;
        }
    };
    tokio::select! {
        () = heard => {}
        () = said => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_redis_that_comes_back() {
    let mut redis = Redis::start();
    let (mut one, mut other) = pair(&redis).await;
    redis.kill9();
    one.deaf().await;
    // The call ends in time, and the channel is subscribed later all the same.
    assert!(one.bus.subscribe(&[user(2)]).await.is_err());
    redis.restart();
    one.until(&Signal::Gap(Doubt::Reconnected)).await;
    one.healthy().await;
    // D10: the publishing connections were new as well.
    other.until_publish_doubt().await;
    hears_again(&mut one, &other).await;
    other.say(user(2), "subscribed while it was away");
    while one.payload().await.0 != user(2) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_not_there_yet() {
    let port = free_port();
    let waiting = bus(&format!("redis://127.0.0.1:{port}"), 1);
    assert!(waiting.subscribe(&[user(1)]).await.is_err());
    assert!(waiting.health().is_err());
    waiting.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_redis_that_wakes() {
    let redis = Redis::start();
    let (mut one, mut other) = pair(&redis).await;
    redis.stop();
    // Both the subscriber and a publisher notice although no connection is closed.
    other.say(user(1), "perhaps lost");
    for gateway in [&one, &other] {
        gateway.deaf().await;
    }
    redis.cont();
    one.until(&Signal::Gap(Doubt::Reconnected)).await;
    other.until_publish_doubt().await;
    hears_again(&mut one, &other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_frozen_while_much_is_published() {
    let redis = Redis::start();
    let (mut one, mut other) = pair(&redis).await;
    let mut tries = 0..5;
    loop {
        assert!(
            tries.next().is_some(),
            "a flood into a frozen server is no doubt"
        );
        redis.stop();
        // More than the sockets' buffers hold: fred's own task is stuck in a write.
        for _ in 0..2_000 {
            other.say(user(1), vec![0; 16 * 1024]);
        }
        other.deaf().await;
        redis.cont();
        // Noticed by the subscriber alone, and awake before publishing failed: then nothing was lost, and again.
        if timeout(FAILS_IN, other.until_publish_doubt()).await.is_ok() {
            break;
        }
    }
    hears_again(&mut one, &other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushing_everything_costs_the_bus_nothing() {
    let redis = Redis::start();
    let (mut one, other) = pair(&redis).await;
    redis.command(&["FLUSHALL"]);
    other.say(user(1), "after the flush");
    let (_, payload) = one.payload().await;
    assert_eq!(payload, "after the flush");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_that_are_cut() {
    let redis = Redis::start();
    let (mut one, other) = pair(&redis).await;
    for _ in 0..3 {
        // Whoever has not noticed the last cut yet calls itself healthy: the server knows better.
        until("both subscribe", async || {
            match redis.command(&["CLIENT", "LIST", "TYPE", "pubsub"]) {
                Reply::Text(clients) => clients.lines().count() == 2,
                other => panic!("{other:?}"),
            }
        })
        .await;
        let killed = redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        assert_eq!(killed, Reply::Integer(2));
        one.until(&Signal::Gap(Doubt::Reconnected)).await;
        hears_again(&mut one, &other).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_that_are_cut() {
    let redis = Redis::start();
    let (mut one, mut other) = pair(&redis).await;
    redis.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    other.until_publish_doubt().await;
    hears_again(&mut one, &other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_channels_are_back_after_one_gap() {
    let redis = Redis::start();
    let (mut one, other) = pair(&redis).await;
    let channels: Vec<_> = (0..2_500_u64)
        .map(|number| hobnob::bus::Channel::Gateway(gateway_id(number)))
        .collect();
    one.hear(&channels).await;
    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    one.until(&Signal::Gap(Doubt::Reconnected)).await;
    other.healthy().await;
    for channel in &channels {
        other.say(*channel, "x");
    }
    for channel in &channels {
        assert_eq!(one.payload().await.0, *channel);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_is_connected_but_deaf() {
    let redis = Redis::start();
    let proxy = DeafProxy::before(&redis).await;
    let mut one = Gateway::on(bus(&proxy.url(), 1)).await;
    let other = connect(&redis, 2).await;
    one.hear(&[user(1)]).await;
    proxy.deafen();
    other.say(user(1), "lost without a word");
    one.deaf().await;
    proxy.heal();
    one.until(&Signal::Gap(Doubt::Deaf)).await;
    hears_again(&mut one, &other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_are_not_signals() {
    let redis = Redis::start();
    let (mut one, _other) = pair(&redis).await;
    let watched = Redis::command;
    let published = || match watched(&redis, &["INFO", "commandstats"]) {
        Reply::Text(stats) => stats
            .lines()
            .find_map(|line| line.strip_prefix("cmdstat_publish:calls="))
            .and_then(|rest| rest.split(',').next()?.parse::<u64>().ok())
            .unwrap_or_default(),
        other => panic!("{other:?}"),
    };
    until("some probes", async || published() >= 3).await;
    one.say(user(1), "the only payload");
    assert!(matches!(
        one.next().await,
        Signal::Payload { payload, .. } if payload == "the only payload"
    ));
}

/// Passes bytes both ways, and when deafened swallows what the server pushes.
struct DeafProxy {
    address: SocketAddr,
    deaf: Arc<AtomicBool>,
}

impl DeafProxy {
    async fn before(redis: &Redis) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let deaf = Arc::new(AtomicBool::new(false));
        let (port, state) = (redis.port(), Arc::clone(&deaf));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tokio::spawn(Self::pass(client, server, Arc::clone(&state)));
            }
        });
        Self { address, deaf }
    }

    fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    fn deafen(&self) {
        self.deaf.store(true, Ordering::Release);
    }

    fn heal(&self) {
        self.deaf.store(false, Ordering::Release);
    }

    async fn pass(client: TcpStream, server: TcpStream, deaf: Arc<AtomicBool>) {
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let up = async { tokio::io::copy(&mut from_client, &mut to_server).await };
        let down = async {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let length = from_server.read(&mut buffer).await?;
                if length == 0 {
                    return Ok::<(), std::io::Error>(());
                }
                let pushed = buffer.starts_with(b">3\r\n$7\r\nmessage");
                if !(pushed && deaf.load(Ordering::Acquire)) {
                    to_client.write_all(&buffer[..length]).await?;
                }
            }
        };
        tokio::select! { _ = up => {}, _ = down => {} }
    }
}

/// A gateway whose clock is off, or one that was stopped for a while, hears what it must not believe: that something was
/// said is doubt enough, and again for what comes late after that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d49_what_comes_late_is_not_heard_but_is_a_doubt() {
    let server = Redis::start();
    let clock = ManualClock::at(SystemClock.now().after(Duration::from_secs(3600)));
    let mut ahead = Gateway::on(bus_with(&server.url(), 1, sealed_by(Arc::new(clock)))).await;
    let two = Gateway::on(bus(&server.url(), 2)).await;
    ahead.hear(&[user(1)]).await;
    for _ in 0..2 {
        two.say(user(1), "an hour ago");
        assert_eq!(ahead.next().await, Signal::Gap(Doubt::Late));
    }
    ahead.say(user(1), "now");
    assert_eq!(ahead.payload().await.1, "now");
}

/// A copy of the deployment that has the log's identity, as a snapshot of its disks has, and another secret.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d49_what_another_secret_sealed_is_not_heard() {
    let server = Redis::start();
    let other = Seal::new(&[b"another secret"], "log", Arc::new(SystemClock));
    let foreign = Gateway::on(bus_with(&server.url(), 3, Arc::new(other))).await;
    let mut one = Gateway::on(bus(&server.url(), 1)).await;
    let two = Gateway::on(bus(&server.url(), 2)).await;
    one.hear(&[user(1)]).await;
    foreign.say(user(1), "foreign");
    foreign.hear(&[user(1)]).await;
    two.say(user(1), "ours");
    assert_eq!(one.payload().await.1, "ours");
}
