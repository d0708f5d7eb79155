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

use hobnob::bus::{Bus, RedisBus};
use hobnob::domain::{Entropy, GatewayId, SystemClock};
use hobnob::redis::{RedisConfig, Seal};

use crate::support::gateway::{Cluster, Gateway, SECRET};
use crate::support::servers::Reply;
use crate::support::until;

/// How often all topics were compared with the log without a doubt: every minute, and every few seconds by a gateway that
/// hears nothing (D16).
const SWEEPS: &str = r#"hobnob_resyncs_total{cause="periodic"}"#;

/// Plays a scene in which something is found that was lost. It says whether this gateway had not swept meanwhile, which
/// finds everything and which it may do where a machine takes long: then it is played again.
async fn without_a_sweep(mut scene: impl AsyncFnMut() -> bool) {
    for _ in 0..3 {
        if scene().await {
            return;
        }
    }
    panic!("nothing but the sweep finds it");
}

/// See there.
async fn sweeps(gateway: &Gateway) -> f64 {
    gateway.metric(SWEEPS).await
}

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
    until("a bus", async || bus.health()).await;
    bus
}
