//! Presence after something was lost: watchers, `GET /presence` and the truth agree again soon (D51, D52).

use bytes::Bytes;
use hobnob::bus::{Bus, Channel};
use hobnob::domain::{Timestamp, UserId};
use hobnob::fanout::envelope::{self, PresenceChange};

use super::another_gateway;
use crate::support::gateway::{Cluster, Gateway};
use crate::support::rest::Person;
use crate::support::servers::Reply;
use crate::support::until;
use crate::support::ws::Ws;

/// Ann, who watches bob from one gateway, while he is on the other.
struct Scene {
    cluster: Cluster,
    ann: Person,
    bob: Person,
    anns: Ws,
    bobs: Ws,
}

impl Scene {
    async fn start() -> Self {
        let cluster = Cluster::start_with(2, &[("HOBNOB_OFFLINE_GRACE", "1s")]).await;
        let (one, two) = (cluster.gateway(0), cluster.gateway(1));
        let (ann, bob) = Person::pair(one, two).await;
        let anns = Ws::join(one, &ann).await;
        let answer = anns.watch(&bob).await;
        assert_eq!(answer["online"], false, "{answer}");
        let bobs = Ws::join(two, &bob).await;
        let scene = Self {
            cluster,
            ann,
            bob,
            anns,
            bobs,
        };
        scene.until_all_show(true).await;
        scene
    }

    /// What ann is shown now.
    fn shown(&self) -> bool {
        let frames = self.anns.frames("presence");
        frames.last().is_some_and(|frame| frame["online"] == true)
    }

    async fn asked(&self, gateway: &Gateway) -> bool {
        let path = format!("/presence?ids={}", self.bob.id);
        let answer = self.ann.get(gateway, &path).await;
        answer.body[&self.bob.id]["online"] == true
    }

    async fn until_all_show(&self, online: bool) {
        let [one, two] = [0, 1].map(|number| self.cluster.gateway(number));
        until(
            &format!("all show whether bob is online: {online}"),
            async || {
                let seen = [self.asked(one).await, self.asked(two).await, self.shown()];
                (seen == [online; 3]).then_some(()).ok_or(seen)
            },
        )
        .await;
    }

    fn key_of_bob(&self) -> String {
        let pattern = format!("hobnob:*presence:{}", self.bob.id);
        let keys = self.cluster.redis.command(&["KEYS", &pattern]);
        let Reply::Array(found) = &keys else {
            panic!("{keys:?}")
        };
        let [Reply::Text(key)] = &found[..] else {
            panic!("{keys:?}")
        };
        key.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d52_a_user_whose_entry_a_failover_lost_is_shown_online_again() {
    let scene = Scene::start().await;
    let redis = &scene.cluster.redis;
    redis.command(&["DEL", &scene.key_of_bob()]);
    assert!(!scene.asked(scene.cluster.gateway(0)).await, "it is lost");
    for kind in ["normal", "pubsub"] {
        redis.command(&["CLIENT", "KILL", "TYPE", kind]);
    }
    scene.until_all_show(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d51_an_announcement_that_could_not_be_published_is_made_good() {
    let mut scene = Scene::start().await;
    scene.cluster.refuse_publishing(1);
    let nobody = Ws::open(scene.cluster.gateway(1).port()).await;
    std::mem::replace(&mut scene.bobs, nobody).close().await;
    until("the grace ends", async || {
        !scene.asked(scene.cluster.gateway(1)).await
    })
    .await;
    scene.cluster.let_back_to_redis(1);
    scene.until_all_show(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d51_a_late_offline_of_another_gateway_is_not_believed() {
    let scene = Scene::start().await;
    let bus = another_gateway(&scene.cluster).await;
    let user: UserId = scene.bob.id.parse().unwrap();
    let late = PresenceChange {
        user,
        online: false,
        at: Timestamp::from_millis(0),
    };
    // And on the same lane something that is shown when it is heard.
    let taken = bus.publish_told(Channel::Watch(user), 0, envelope::encode_presence(late));
    taken.await.expect("published");
    let ann: UserId = scene.ann.id.parse().unwrap();
    let typing = Bytes::from_static(br#"{"typing":true}"#);
    let conversation = hobnob::domain::ConversationId::direct(user, ann);
    scene.bobs.write(&scene.ann, "here I am").await;
    let direct = scene.ann.direct_with(&scene.bob);
    scene.anns.fold().wait_seq(&direct, 1).await;
    let passing = envelope::Passing {
        conversation,
        from: None,
        encoded: hobnob::fanout::offer::Encoded::new(hobnob::wire::EventName::Typing, typing),
    };
    bus.publish(Channel::User(ann), 0, envelope::encode_passing(&passing));
    scene
        .anns
        .frame("typing", |frame| {
            frame["type"] == "typing" || frame["typing"] == true
        })
        .await;
    let shown = scene.anns.frames("presence");
    assert!(
        shown.iter().all(|frame| frame["online"] == true),
        "{shown:?}"
    );
    scene.until_all_show(true).await;
    bus.close().await;
}
