//! What is lost between gateways and Redis, and found again without another event that would reveal it: after a crash
//! between acknowledgement and publish, while one gateway is cut off, and what presence did not say.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{SWEEPS, sweeps, without_a_sweep};
use crate::support::fold::dense;
use crate::support::gateway::Cluster;
use crate::support::rest::Person;
use crate::support::until;
use crate::support::ws::Ws;

/// Leases that end soon, so that a crash is noticed in seconds.
const SHORT: [(&str, &str); 3] = [
    ("HOBNOB_LEASE_TTL", "3s"),
    ("HOBNOB_LEASE_HEARTBEAT", "1s"),
    ("HOBNOB_OFFLINE_GRACE", "1s"),
];

/// Ann and bob, each on a gateway of theirs, who have heard of each other.
struct Scene {
    cluster: Cluster,
    bob: Person,
    anns: Ws,
    bobs: Ws,
    direct: String,
}

impl Scene {
    async fn start() -> Self {
        let cluster = Cluster::start_with(2, &SHORT).await;
        let (ann, bob) = Person::pair(cluster.gateway(0), cluster.gateway(1)).await;
        let bobs = Ws::join(cluster.gateway(1), &bob).await;
        let anns = Ws::join(cluster.gateway(0), &ann).await;
        let direct = ann.direct_with(&bob);
        anns.write(&bob, "heard").await;
        bobs.fold().wait_seq(&direct, 1).await;
        Self {
            cluster,
            bob,
            anns,
            bobs,
            direct,
        }
    }

    /// Has something stored that is not published; how often bob's gateway had swept by then.
    async fn store_unpublished(&self) -> f64 {
        let [one, two] = [0, 1].map(|number| self.cluster.gateway(number));
        // A gateway's first sight of its primary is a doubt, too: that resync must not find what this test is about.
        two.until_metric("hobnob_resync_seconds_count", 1.0).await;
        let (before, doubts) = (sweeps(two).await, "hobnob_bus_publish_doubts_total");
        let doubted = one.metric(doubts).await;
        self.cluster.refuse_publishing(0);
        let stored = self.anns.write(&self.bob, "stored, never published").await;
        assert_eq!(stored["seq"], 2, "{stored}");
        // It is acknowledged before it is published.
        one.until_metric(doubts, doubted + 1.0).await;
        before
    }

    /// Bob gets it; whether his gateway had not swept by then.
    async fn finds_it(&self, sweeps_before: f64) -> bool {
        self.bobs.fold().wait_seq(&self.direct, 2).await;
        assert_eq!(self.bobs.fold().seqs(&self.direct), dense(1, 2));
        sweeps(self.cluster.gateway(1)).await == sweeps_before
    }
}

#[tokio::test]
async fn what_a_gateway_stored_and_did_not_publish_before_it_died_is_delivered() {
    without_a_sweep(async || {
        let mut scene = Scene::start().await;
        let before = scene.store_unpublished().await;
        scene.cluster.gateways[0].kill9();
        scene.finds_it(before).await
    })
    .await;
}

/// The others' subscriptions were never in doubt: nobody but the publisher knows that there is something to look for.
#[tokio::test]
async fn what_could_not_be_published_is_announced_again_d10() {
    without_a_sweep(async || {
        let scene = Scene::start().await;
        let before = scene.store_unpublished().await;
        scene.cluster.let_back_to_redis(0);
        scene.finds_it(before).await
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_is_cut_off_asks_the_log_and_is_unready_alone_d26() {
    let scene = Scene::start().await;
    let [one, two] = [0, 1].map(|number| scene.cluster.gateway(number));
    let cut_off = scene.bobs.fold();
    let before = sweeps(two).await;

    scene.cluster.cut_from_redis(1);
    scene.anns.write(&scene.bob, "not heard").await;
    cut_off.wait_seq(&scene.direct, 2).await;
    // A conversation that is new to the session is no topic yet that could be compared.
    let carl = Person::register(one, "carl").await;
    let stranger = Ws::join(one, &carl).await;
    stranger.write(&scene.bob, "a stranger's").await;
    cut_off.wait_seq(&scene.bob.direct_with(&carl), 1).await;
    // It asks every few seconds: twice in less than the minute between two sweeps.
    two.until_metric(SWEEPS, before + 2.0).await;
    two.until_ready(false).await;
    assert!(one.is_ready().await);

    scene.cluster.let_back_to_redis(1);
    two.until_ready(true).await;
    scene.anns.write(&scene.bob, "heard again").await;
    cut_off.wait_seq(&scene.direct, 3).await;
    assert_eq!(cut_off.seqs(&scene.direct), dense(1, 3));
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
    // A time in which nothing may happen: however much is done within it, neither may turn unready.
    let watched = Instant::now() + Duration::from_secs(14);
    while Instant::now() < watched {
        for number in 0..2 {
            assert!(cluster.gateway(number).is_ready().await, "{number}");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn presence_that_changed_unheard_is_shown_after_the_gap_d23() {
    let cluster = Cluster::start_with(2, &SHORT).await;
    let (ann, bob) = Person::pair(cluster.gateway(0), cluster.gateway(1)).await;
    let watching = Ws::join(cluster.gateway(0), &ann).await;
    let there = Ws::join(cluster.gateway(1), &bob).await;
    let answer = watching.watch(&bob).await;
    assert_eq!(answer["online"], true, "{answer}");

    cluster.cut_from_redis(0);
    cluster.gateway(0).until_degraded("bus").await;
    there.close().await;
    let path = format!("/presence?ids={}", bob.id);
    until("bob is offline, for those who can hear", async || {
        ann.get(cluster.gateway(1), &path).await.expect(200)[&bob.id]["online"] == false
    })
    .await;
    assert!(watching.frames("presence").is_empty());
    cluster.let_back_to_redis(0);
    let shown = watching.told("presence").await;
    let expected = (&json!(bob.id), &json!(false));
    assert_eq!((&shown["userId"], &shown["online"]), expected, "{shown}");
}
