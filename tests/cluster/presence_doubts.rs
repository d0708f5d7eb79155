//! Presence after something was lost: watchers, `GET /presence` and the truth agree again soon (D51, D52).

use std::time::Duration;

use bytes::Bytes;
use hobnob::bus::{Bus, Channel};
use hobnob::domain::{Timestamp, UserId};
use hobnob::fanout::envelope::{self, PresenceChange};
use serde_json::json;
use tokio::time::timeout;

use super::another_gateway;
use crate::support::fold::DEADLINE;
use crate::support::gateway::{Cluster, Gateway};
use crate::support::rest::Person;
use crate::support::servers::Reply;
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
        let (ann, bob) = (
            Person::register(one, "ann").await,
            Person::register(two, "bob").await,
        );
        let anns = Ws::join(one, &ann).await;
        let watch = json!({"userIds": [bob.id]});
        let answer = anns.ask("watch_presence", watch).await;
        assert_eq!(answer["presence"][&bob.id]["online"], false, "{answer}");
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
        let agreed = timeout(DEADLINE, async {
            loop {
                let asked = [
                    self.asked(self.cluster.gateway(0)).await,
                    self.asked(self.cluster.gateway(1)).await,
                ];
                if asked == [online; 2] && self.shown() == online {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let what = if online { "online" } else { "offline" };
        agreed
            .await
            .unwrap_or_else(|_| panic!("not all show that bob is {what}"));
    }

    fn key_of_bob(&self) -> String {
        let pattern = format!("hobnob:*presence:{}", self.bob.id);
        match self.cluster.redis.command(&["KEYS", &pattern]) {
            Reply::Array(keys) => match keys.as_slice() {
                [Reply::Text(key)] => key.clone(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
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
    let scene = Scene::start().await;
    scene.cluster.refuse_publishing(1);
    let Scene {
        cluster,
        ann,
        bob,
        anns,
        bobs,
    } = scene;
    bobs.close().await;
    let still = Ws::open(cluster.gateway(1).port()).await;
    let scene = Scene {
        cluster,
        ann,
        bob,
        anns,
        bobs: still,
    };
    let gone = timeout(DEADLINE, async {
        while scene.asked(scene.cluster.gateway(1)).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    gone.await.expect("the grace ends");
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
    let request = json!({"receiverId": scene.ann.id, "content": "here I am"});
    assert_eq!(scene.bobs.ask("send_message", request).await["ok"], true);
    scene
        .anns
        .fold()
        .wait_seq(&scene.ann.direct_with(&scene.bob), 1)
        .await;
    let passing = envelope::Passing {
        conversation,
        from: None,
        encoded: hobnob::fanout::offer::Encoded::new("typing", typing),
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
