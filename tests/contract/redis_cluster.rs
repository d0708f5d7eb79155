//! The bus and presence over a Redis Cluster: sharded pub/sub on every node, and a slot that moves under a
//! subscription. Knows no more of the cluster than its slots.

use std::sync::Arc;

use hobnob::bus::{Doubt, RedisBus, Signal};
use hobnob::domain::{Entropy, UserId};
use hobnob::presence::{Presence, RedisPresence};
use hobnob::redis::RedisConfig;
use tokio_util::sync::CancellationToken;

use super::bus::{Gateway, gateway_id, seal, user};
use super::presence::TIMES;
use crate::support::servers::RedisCluster;
use crate::support::until;

/// The cluster, and the gateways that are put on it.
struct Cluster(RedisCluster);

impl Cluster {
    async fn start() -> Self {
        Self(RedisCluster::start(None).await)
    }

    fn config(&self) -> RedisConfig {
        let url = format!("redis-cluster://127.0.0.1:{}", self.0.nodes[0].port);
        RedisConfig::parse(&url).unwrap()
    }

    async fn gateway(&self, number: u64) -> Gateway {
        let entropy = Arc::new(Entropy::from_os());
        let bus = RedisBus::new(self.config(), seal(), gateway_id(number), entropy);
        bus.start();
        Gateway::on(Arc::new(bus)).await
    }

    /// Gives the slot of this key to the second node.
    fn move_slot(&self, key: &str) {
        let slot = self.0.nodes[0].ask(&["CLUSTER", "KEYSLOT", key]);
        let new_owner = self.0.nodes[1].ask(&["CLUSTER", "MYID"]);
        for node in self.0.nodes.iter().rev() {
            let moved = node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &new_owner]);
            assert_eq!(moved, "OK");
        }
    }

    fn is_on_the_first_node(&self, key: &str) -> bool {
        let slot = self.0.nodes[0].ask(&["CLUSTER", "KEYSLOT", key]);
        slot.parse::<u16>().expect("a slot") < 8_192
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_of_every_node_are_heard() {
    let cluster = Cluster::start().await;
    let (mut one, other) = (cluster.gateway(1).await, cluster.gateway(2).await);
    for byte in 0..100 {
        one.hear(&[user(byte)]).await;
        other.say(user(byte), vec![byte]);
    }
    let mut heard = Vec::new();
    for _ in 0..100 {
        heard.push(one.payload().await.1[0]);
    }
    heard.sort_unstable();
    assert_eq!(heard, (0..100).collect::<Vec<u8>>());
    one.bus.unsubscribe(&[user(1)]);
    one.healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_is_a_gap_and_heard_again() {
    let cluster = Cluster::start().await;
    let (mut one, other) = (cluster.gateway(1).await, cluster.gateway(2).await);
    let name = |byte: u8| format!("hobnob:user:{}", UserId::from_bytes([byte; 12]));
    let moving = (0..=255)
        .find(|byte| cluster.is_on_the_first_node(&name(*byte)))
        .expect("half of them are");
    one.hear(&[user(moving)]).await;
    cluster.move_slot(&name(moving));
    one.until(&Signal::Gap(Doubt::Reconnected)).await;
    other.healthy().await;
    other.say(user(moving), "on the other node");
    assert_eq!(one.payload().await.1, "on the other node");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_spans_the_nodes() {
    let cluster = Cluster::start().await;
    let entropy = Arc::new(Entropy::from_os());
    let presence = RedisPresence::new(cluster.config(), seal(), gateway_id(1), TIMES, entropy);
    let presence = Arc::new(presence);
    let (runner, stop) = (Arc::clone(&presence), CancellationToken::new());
    let stopped = stop.clone();
    let running = tokio::spawn(async move { runner.run(stopped).await });
    let users: Vec<UserId> = (0..100)
        .map(|byte| UserId::from_bytes([byte; 12]))
        .collect();
    for user in &users {
        // What fails before the connection stands is made good.
        let _transition = presence.enter(*user).await;
    }
    until("all are online", async || {
        let online = presence.online(&users).await;
        online.is_ok_and(|online| online.iter().all(|online| *online))
    })
    .await;
    let _transition = presence.exit(users[0]).await.unwrap();
    assert_eq!(presence.online(&users[..2]).await.unwrap(), [false, true]);
    stop.cancel();
    running.await.unwrap();
}
