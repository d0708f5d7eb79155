//! The main job over several real gateways on real Redis and MongoDB, by the official client, `/ws` and REST.

mod concurrency;
mod delegation;
mod delivery;
mod doubts;
mod drain;
mod forgery;
mod journeys;
mod later_version;
mod making;
mod offline;
mod presence;
mod presence_doubts;
mod removal;
mod resync;
mod retries;

use std::sync::Arc;
use std::time::Duration;

use hobnob::bus::{Bus, RedisBus};
use hobnob::domain::{Entropy, GatewayId, SystemClock};
use hobnob::redis::{RedisConfig, Seal};
use tokio::time::timeout;

use crate::support::fold::DEADLINE;
use crate::support::gateway::{Cluster, SECRET};
use crate::support::servers::Reply;

/// The bus of another gateway of the cluster.
async fn another_gateway(cluster: &Cluster) -> RedisBus {
    // hobnob:{log}:gateways
    let Reply::Array(keys) = cluster.redis.command(&["KEYS", "hobnob:*:gateways"]) else {
        panic!("no registry");
    };
    let [Reply::Text(key)] = keys.as_slice() else {
        panic!("{keys:?}");
    };
    let log = key.split(':').nth(1).expect("the log's name");
    let config = RedisConfig::parse(&cluster.redis.url()).unwrap();
    let seal = Seal::new(&[SECRET.as_bytes()], log, Arc::new(SystemClock));
    let bus = RedisBus::new(
        config.of_log(log),
        Arc::new(seal),
        GatewayId::from_u64(77),
        Arc::new(Entropy::from_os()),
    );
    bus.start();
    let ready = timeout(DEADLINE, async {
        while bus.health().is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    ready.await.expect("a bus in time");
    bus
}
