//! What is lost between gateways and Redis, and found again without another event that would reveal it: after a crash
//! between acknowledgement and publish, while one gateway is cut off, and what presence did not say.

use std::time::Duration;

use serde_json::json;

use crate::support::fold::{DEADLINE, dense};
use crate::support::gateway::{Cluster, Gateway};
use crate::support::rest::Person;
use crate::support::ws::Ws;

/// Leases that end soon, so that a crash is noticed in seconds.
const SHORT: [(&str, &str); 3] = [
    ("HOBNOB_LEASE_TTL", "3s"),
    ("HOBNOB_LEASE_HEARTBEAT", "1s"),
    ("HOBNOB_OFFLINE_GRACE", "1s"),
];

/// Well before all topics are compared with the log anyway, which is a minute after a gateway's start.
async fn before_the_sweep<T>(awaited: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(30), awaited);
    waited.await.expect("in time")
}

async fn readiness(gateway: &Gateway, ready: bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while gateway.is_ready().await != ready {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("ready: {ready}"));
}

/// Waits until a gateway has resynced once.
async fn resynced(gateway: &Gateway) {
    let done = async {
        loop {
            let answer = reqwest::get(gateway.admin_url("/metrics")).await.unwrap();
            let metrics = answer.text().await.unwrap();
            let count = metrics
                .lines()
                .find_map(|line| line.strip_prefix("hobnob_resync_seconds_count "));
            if count.is_some_and(|count| count != "0") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    before_the_sweep(done).await;
}

#[tokio::test]
async fn what_a_gateway_stored_and_did_not_publish_before_it_died_is_delivered() {
    let mut cluster = Cluster::start_with(2, &SHORT).await;
    let ann = Person::register(cluster.gateway(0), "ann").await;
    let bob = Person::register(cluster.gateway(1), "bob").await;
    let direct = ann.direct_with(&bob);
    let there = Ws::join(cluster.gateway(1), &bob).await;
    let here = Ws::join(cluster.gateway(0), &ann).await;
    let body = |content: &str| json!({"receiverId": bob.id, "content": content});
    here.ask("send_message", body("heard")).await;
    there.fold().wait_seq(&direct, 1).await;
    // A gateway's first sight of its primary is a doubt, too: that resync must not find what this test is about.
    resynced(cluster.gateway(1)).await;
    cluster.refuse_publishing(0);
    let answer = here
        .ask("send_message", body("stored, never published"))
        .await;
    assert_eq!(answer["message"]["seq"], 2, "{answer}");
    cluster.gateways[0].kill9();
    before_the_sweep(there.fold().wait_seq(&direct, 2)).await;
    assert_eq!(there.fold().seqs(&direct), dense(1, 2));
}

/// The others' subscriptions were never in doubt: nobody but the publisher knows that there is something to look for.
#[tokio::test]
async fn what_could_not_be_published_is_announced_again_d10() {
    let cluster = Cluster::start_with(2, &SHORT).await;
    let ann = Person::register(cluster.gateway(0), "ann").await;
    let bob = Person::register(cluster.gateway(1), "bob").await;
    let direct = ann.direct_with(&bob);
    let there = Ws::join(cluster.gateway(1), &bob).await;
    let here = Ws::join(cluster.gateway(0), &ann).await;
    let body = |content: &str| json!({"receiverId": bob.id, "content": content});
    here.ask("send_message", body("heard")).await;
    there.fold().wait_seq(&direct, 1).await;
    resynced(cluster.gateway(1)).await;
    cluster.refuse_publishing(0);
    here.ask("send_message", body("stored, never published"))
        .await;
    cluster.let_back_to_redis(0);
    before_the_sweep(there.fold().wait_seq(&direct, 2)).await;
    assert_eq!(there.fold().seqs(&direct), dense(1, 2));
}

#[tokio::test]
async fn a_gateway_that_is_cut_off_asks_the_log_and_is_unready_alone_d26() {
    let cluster = Cluster::start_with(2, &SHORT).await;
    let ann = Person::register(cluster.gateway(0), "ann").await;
    let bob = Person::register(cluster.gateway(1), "bob").await;
    let direct = ann.direct_with(&bob);
    let cut_off = Ws::join(cluster.gateway(0), &ann).await;
    let there = Ws::join(cluster.gateway(1), &bob).await;
    let body = |content: &str| json!({"receiverId": ann.id, "content": content});
    there.ask("send_message", body("heard")).await;
    cut_off.fold().wait_seq(&direct, 1).await;

    cluster.cut_from_redis(0);
    there.ask("send_message", body("not heard")).await;
    before_the_sweep(cut_off.fold().wait_seq(&direct, 2)).await;
    // A conversation that is new to the session is no topic yet that could be compared.
    let carl = Person::register(cluster.gateway(1), "carl").await;
    let stranger = Ws::join(cluster.gateway(1), &carl).await;
    stranger.ask("send_message", body("a stranger's")).await;
    let first = ann.direct_with(&carl);
    before_the_sweep(cut_off.fold().wait_seq(&first, 1)).await;
    readiness(cluster.gateway(0), false).await;
    assert!(cluster.gateway(1).is_ready().await);

    cluster.let_back_to_redis(0);
    readiness(cluster.gateway(0), true).await;
    there.ask("send_message", body("heard again")).await;
    cut_off.fold().wait_seq(&direct, 3).await;
    assert_eq!(cut_off.fold().seqs(&direct), dense(1, 3));
}

#[tokio::test]
async fn gateways_that_are_all_cut_off_stay_ready_d26() {
    let cluster = Cluster::start_with(2, &SHORT).await;
    for number in 0..2 {
        cluster.cut_from_redis(number);
    }
    for number in 0..2 {
        cluster.gateway(number).until_degraded("bus").await;
    }
    // Longer than a gateway that is deaf alone takes to find out: NOTICE and what others wrote last.
    let watched = tokio::time::Instant::now() + Duration::from_secs(14);
    while tokio::time::Instant::now() < watched {
        for number in 0..2 {
            assert!(cluster.gateway(number).is_ready().await, "{number}");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn presence_that_changed_unheard_is_shown_after_the_gap_d23() {
    let cluster = Cluster::start_with(2, &SHORT).await;
    let ann = Person::register(cluster.gateway(0), "ann").await;
    let bob = Person::register(cluster.gateway(1), "bob").await;
    let watching = Ws::join(cluster.gateway(0), &ann).await;
    let there = Ws::join(cluster.gateway(1), &bob).await;
    let shown = async |online: bool| {
        watching
            .frame("presence", |frame| {
                frame["type"] == "presence" && frame["online"] == online
            })
            .await
    };
    let answer = watching
        .ask("watch_presence", json!({"userIds": [bob.id]}))
        .await;
    assert_eq!(answer["presence"][&bob.id]["online"], true, "{answer}");

    cluster.cut_from_redis(0);
    cluster.gateway(0).until_degraded("bus").await;
    there.close().await;
    let gone = tokio::time::timeout(DEADLINE, async {
        let path = format!("/presence?ids={}", bob.id);
        while ann.get(cluster.gateway(1), &path).await.expect(200)[&bob.id]["online"] != false {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    gone.await.expect("bob is offline, for those who can hear");
    assert!(watching.frames("presence").is_empty());
    cluster.let_back_to_redis(0);
    let offline = shown(false).await;
    assert_eq!(offline["userId"], bob.id.as_str(), "{offline}");
}
