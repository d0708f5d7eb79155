//! Every form of a Redis address that the documentation shows, taken by `check-config` and connected to real servers by
//! the program; and that Sentinels lead it to a new primary. What is refused is in `bad_configuration.rs`.

use super::program::{Gateway, Program};
use crate::support::certificates::Certificates;
use crate::support::leash::free_port;
use crate::support::servers::{Redis, RedisCluster, RedisNode, RedisSentinels, shared_mongo};
use crate::support::until;

/// A gateway with this Redis, once it hears the bus.
struct Heard {
    _program: Program,
    _gateway: Gateway,
}

async fn hears(url: &str, certificates: Option<&Certificates>) -> Heard {
    let database = format!("redis_addresses_{}", free_port());
    let mut program = Program::new()
        .with("HOBNOB_REDIS_URL", url)
        .with("HOBNOB_MONGODB_URI", &shared_mongo().await.uri(&database))
        .with("HOBNOB_JWT_SECRET", "0123456789abcdef0123456789abcdef");
    if let Some(certificates) = certificates {
        program = program.with("SSL_CERT_FILE", certificates.ca().to_str().unwrap());
    }
    let checked = program.run(&["check-config"]).await;
    assert_eq!(checked.status, Some(0), "{url}: {}", checked.stderr);
    let gateway = program.serve().await;
    let metrics = format!("http://{}/metrics", gateway.admin);
    until(&format!("{url}: the bus is heard"), async || {
        let text = reqwest::get(&metrics).await.unwrap().text().await.unwrap();
        text.contains(r#"hobnob_dependency_up{dependency="bus"} 1"#)
    })
    .await;
    Heard {
        _program: program,
        _gateway: gateway,
    }
}

#[tokio::test]
async fn one_redis() {
    let redis = Redis::start();
    redis.grant("hobnob");
    hears(&redis.url(), None).await;
    hears(&format!("{}/3", redis.url_of("hobnob")), None).await;
    hears(&format!("redis://localhost:{}/0", redis.port()), None).await;
}

#[tokio::test]
async fn one_redis_with_tls() {
    let certificates = Certificates::make();
    let redis = RedisNode::start(Some(&certificates), "save \"\"", &[]);
    until("it answers", async || redis.answers()).await;
    hears(
        &format!("rediss://localhost:{}", redis.port),
        Some(&certificates),
    )
    .await;
    hears(
        &format!("rediss://127.0.0.1:{}/1", redis.port),
        Some(&certificates),
    )
    .await;
}

#[tokio::test]
async fn a_cluster_of_which_one_named_node_is_gone() {
    for certificates in [None, Some(Certificates::make())] {
        let cluster = RedisCluster::start(certificates.as_ref()).await;
        let scheme = certificates.as_ref().map_or("redis", |_| "rediss");
        let [one, other] = [cluster.nodes[0].port, cluster.nodes[1].port];
        let gone = free_port();
        let url = format!("{scheme}-cluster://127.0.0.1:{gone},127.0.0.1:{one},127.0.0.1:{other}");
        hears(&url, certificates.as_ref()).await;
    }
}

/// The gateway is given a Sentinel that is gone, too; and when the primary dies, it hears the bus at the one they choose.
#[tokio::test]
async fn sentinels_lead_to_the_primary_and_to_the_next() {
    for certificates in [None, Some(Certificates::make())] {
        let mut group = RedisSentinels::start(certificates.as_ref()).await;
        let scheme = certificates.as_ref().map_or("redis", |_| "rediss");
        let gone = format!("127.0.0.1:{}", free_port());
        let sentinels = group
            .sentinels
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port));
        let hosts: Vec<String> = std::iter::once(gone).chain(sentinels).collect();
        let url = format!(
            "{scheme}-sentinel://{}/0?sentinelServiceName=main",
            hosts.join(",")
        );
        let _heard = hears(&url, certificates.as_ref()).await;
        assert!(group.primary.has_gateways() && !group.replica.has_gateways());
        group.primary.kill9();
        until("the gateway subscribes at the new primary", async || {
            group.replica.has_gateways()
        })
        .await;
        assert!(group.replica.ask(&["ROLE"]).starts_with("master"));
    }
}
