//! What publishing to other gateways costs over a real Redis: one gateway publishes on one lane, another one hears now and
//! then how far that is.
//!
//!     cargo bench --bench bus

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to say"
)]

use std::sync::Arc;

use bytes::Bytes;
use divan::Bencher;
use divan::counter::ItemsCount;
use hobnob::bus::{Bus, Channel, RedisBus, Signal};
use hobnob::domain::{Entropy, GatewayId, SystemClock, UserId};
use hobnob::redis::{RedisConfig, Seal};
use testbed::servers::Redis;
use testbed::until;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

fn main() {
    divan::main();
}

/// Payloads between two looks at how far they are: well below what a lane holds.
const PUBLISHED: usize = 4_000;
/// Bytes of a payload: a message's envelope.
const PAYLOAD: usize = 300;

/// From the first publication to the moment at which the last has passed Redis. Items are payloads.
#[divan::bench(sample_count = 20)]
fn publish(bencher: Bencher<'_, '_>) {
    let mut scene = Scene::new();
    let payload = Bytes::from(vec![7; PAYLOAD]);
    bencher.counter(ItemsCount::new(PUBLISHED)).bench_local(|| {
        for _ in 0..PUBLISHED {
            scene.writer.publish(channel(1), 1, payload.clone());
        }
        scene.writer.publish(channel(2), 1, "so far".into());
        scene.runtime.block_on(heard(&mut scene.signals));
    });
}

fn channel(byte: u8) -> Channel {
    Channel::User(UserId::from_bytes([byte; 12]))
}

async fn heard(signals: &mut mpsc::Receiver<Signal>) {
    while !matches!(
        signals.recv().await.expect("an open bus"),
        Signal::Payload { .. }
    ) {}
}

/// A Redis, who publishes, and who hears.
struct Scene {
    runtime: Runtime,
    writer: Arc<RedisBus>,
    signals: mpsc::Receiver<Signal>,
    _reader: Arc<RedisBus>,
    _redis: Redis,
}

impl Scene {
    fn new() -> Self {
        let redis = Redis::start();
        let runtime = Runtime::new().expect("a runtime");
        let (writer, reader, signals) = runtime.block_on(async {
            let writer = connect(&redis, 1).await;
            let reader = connect(&redis, 2).await;
            let signals = reader.signals().expect("the first call gets them");
            reader.subscribe(&[channel(2)]).await.expect("confirmed");
            (writer, reader, signals)
        });
        Self {
            runtime,
            writer,
            signals,
            _reader: reader,
            _redis: redis,
        }
    }
}

async fn connect(redis: &Redis, gateway: u64) -> Arc<RedisBus> {
    let config = RedisConfig::parse(&redis.url()).expect("an address");
    let entropy = Arc::new(Entropy::from_os());
    let secret: &[u8] = b"the secret of the benchmark";
    let seal = Arc::new(Seal::new(&[secret], "log", Arc::new(SystemClock)));
    let bus = RedisBus::new(config, seal, GatewayId::from_u64(gateway), entropy);
    bus.start();
    until("the bus is up", async || bus.health()).await;
    Arc::new(bus)
}
