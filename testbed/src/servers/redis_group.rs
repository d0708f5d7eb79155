//! Several Redis servers that belong together: a cluster of two masters, and a primary with a replica under Sentinels.
//! Knows how they find each other, not what is kept in them.

use super::redis_node::RedisNode;
use crate::certificates::Certificates;
use crate::leash::free_port;
use crate::until;

/// Nothing is kept over a restart.
const NOTHING_KEPT: &str = "save \"\"\nappendonly no";

/// Two masters, each with half of the slots.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters.
    pub nodes: Vec<RedisNode>,
}

impl RedisCluster {
    /// Starts all of them, and returns when they have found each other.
    pub async fn start(tls: Option<&Certificates>) -> Self {
        let node = || {
            let port = free_port();
            let configuration = format!("{NOTHING_KEPT}\ncluster-enabled yes\ncluster-port {port}");
            RedisNode::start(tls, &configuration, &[])
        };
        let nodes = vec![node(), node()];
        for node in &nodes {
            until("a node answers", async || node.answers()).await;
        }
        nodes[0].ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]);
        nodes[1].ask(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]);
        let bus_port = nodes[1].ask(&["CONFIG", "GET", "cluster-port"]);
        let bus_port = bus_port.lines().last().expect("a port").to_owned();
        let port = nodes[1].port.to_string();
        nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus_port]);
        for node in &nodes {
            let number = |of: &str| {
                let info = node.ask(&["CLUSTER", "INFO"]);
                let line = info.lines().find_map(|line| line.strip_prefix(of));
                line.unwrap_or_default().trim().to_owned()
            };
            until("the cluster is whole", async || {
                number("cluster_state:") == "ok"
                    && number("cluster_slots_ok:") == "16384"
                    && number("cluster_known_nodes:") == "2"
            })
            .await;
        }
        Self { nodes }
    }
}

/// A primary, a replica, and three Sentinels that call them `main`.
#[derive(Debug)]
pub struct RedisSentinels {
    /// Who is copied at first.
    pub primary: RedisNode,
    /// Who copies.
    pub replica: RedisNode,
    /// Who decides.
    pub sentinels: Vec<RedisNode>,
}

impl RedisSentinels {
    /// Starts all of them, and returns when they have found each other.
    pub async fn start(tls: Option<&Certificates>) -> Self {
        let primary = RedisNode::start(tls, NOTHING_KEPT, &[]);
        let follow = format!("{NOTHING_KEPT}\nreplicaof 127.0.0.1 {}", primary.port);
        let replica = RedisNode::start(tls, &follow, &[]);
        until("the replica follows", async || {
            replica
                .ask(&["INFO", "replication"])
                .contains("master_link_status:up")
        })
        .await;
        let watch = format!(
            "sentinel monitor main 127.0.0.1 {} 2\nsentinel down-after-milliseconds main 1000\n\
             sentinel failover-timeout main 5000",
            primary.port
        );
        let sentinel = || RedisNode::start(tls, &watch, &["--sentinel"]);
        let sentinels = vec![sentinel(), sentinel(), sentinel()];
        for sentinel in &sentinels {
            until(
                "the Sentinels know each other and the replica",
                async || {
                    let known = sentinel.ask(&["SENTINEL", "MASTER", "main"]);
                    let fields: Vec<&str> = known.lines().collect();
                    let is = |name, value| fields.windows(2).any(|pair| pair == [name, value]);
                    is("num-other-sentinels", "2") && is("num-slaves", "1")
                },
            )
            .await;
        }
        Self {
            primary,
            replica,
            sentinels,
        }
    }
}
