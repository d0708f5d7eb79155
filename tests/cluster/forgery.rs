//! Redis is not trusted (D49): what another deployment says on the same server, and what somebody forges or replays, is
//! neither shown nor stored, and makes nobody skip anything.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use hobnob::domain::{ConversationId, Entropy, GatewayId, Seq, Timestamp, UserId};
use hobnob::fanout::envelope::{self, Passing, PresenceChange};
use hobnob::fanout::offer::{Effect, Encoded, Offer};
use hobnob::wire::EventName;
use mongodb::bson::{Document, doc};
use serde_json::json;

use crate::support::fold::{dense, seqs};
use crate::support::gateway::{Cluster, Gateway, SECRET, metric_sum};
use crate::support::rest::{Person, text, unique};
use crate::support::servers::{RedisTap, shared_mongo};
use crate::support::until;
use crate::support::ws::Ws;

/// What a restore from a dump makes of a database: the same documents in other collections.
async fn restored(from: &str) -> String {
    let name = unique("restored");
    let client = mongodb::Client::with_uri_str(from).await.expect("a client");
    let database = client.default_database().expect("a name in the URI");
    let collections = database.list_collection_names().await.expect("names");
    for collection in collections {
        let out = doc! { "$out": { "db": &name, "coll": &collection } };
        let copying = database.collection::<Document>(&collection);
        let copied = copying.aggregate([out]).await.expect("a copy");
        let _: Vec<Document> = copied.try_collect().await.expect("a whole copy");
    }
    shared_mongo().await.uri(&name)
}

async fn a_copy_is_not_heard(copys_secret: &str) {
    let production = Cluster::start(1).await;
    let (here, redis) = (production.gateway(0), &production.redis);
    let (ann, bob) = Person::pair(here, here).await;
    let conversation = ann.direct_with(&bob);
    let (anns, bobs) = (Ws::join(here, &ann).await, Ws::join(here, &bob).await);
    for content in ["1", "2", "3"] {
        anns.write(&bob, content).await;
    }
    bobs.fold().wait_seq(&conversation, 3).await;

    let database = restored(&production.mongodb_uri).await;
    // Pub/sub knows no databases.
    let other_database = format!("{}/1", redis.url());
    let copy = Gateway::embedded_with(&[
        ("HOBNOB_MONGODB_URI", &database),
        ("HOBNOB_REDIS_URL", &other_database),
        ("HOBNOB_JWT_SECRET", copys_secret),
    ])
    .await;
    let tap = RedisTap::on(redis);
    let ann_there = Person::login(&copy, &ann.name).await;
    assert_eq!(ann_there.id, ann.id);
    let anns_there = Ws::join(&copy, &ann_there).await;
    let copied = anns_there.write(&bob, "in the copy").await;
    assert_eq!(copied["seq"], 4);
    until("the copy publishes", async || {
        let heard = tap.heard(&bob.id);
        let mut payloads = heard.iter().map(|(_, payload)| payload);
        payloads.any(|payload| contains(payload, "in the copy"))
    })
    .await;

    let next = anns.write(&bob, "in production").await;
    assert_eq!(next["seq"], 4, "the next place");
    let log = bobs.fold().wait_seq(&conversation, 4).await;
    assert_eq!(seqs(&log), dense(1, 4));
    let contents = log.iter().map(|message| text(&message["content"]));
    assert_eq!(
        contents.collect::<Vec<_>>(),
        ["1", "2", "3", "in production"]
    );
    assert_eq!(ann.direct_history(here, &bob).await.len(), 4);
}

fn contains(payload: &[u8], text: &str) -> bool {
    payload
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d49_a_restored_copy_with_another_secret_on_another_database_of_the_same_redis() {
    a_copy_is_not_heard("the secret of a copy for trying things out").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d49_a_restored_copy_with_the_same_secret() {
    a_copy_is_not_heard(SECRET).await;
}

/// What somebody may want gateways to believe, about this conversation.
fn forgeries(conversation: ConversationId, victim: UserId) -> Vec<Bytes> {
    let json = r#"{"_id":"000000000000000000000000","content":"forged","seq":6}"#;
    let encoded = |name| Encoded::new(name, Bytes::from_static(json.as_bytes()));
    let at = Timestamp::from_millis(0);
    let event = |seq: u64, effect| {
        let offer = Offer {
            conversation,
            seq: Seq::new(seq),
            at: None,
            effect,
            id: None,
            writer: None,
            traced: None,
            encoded: Some(encoded(EventName::ReceiveMessage)),
        };
        envelope::encode_event(&offer, GatewayId::from_u64(9))
    };
    let mut forged: Vec<Bytes> = [6, 7, 40, Seq::MAX.get()]
        .into_iter()
        .map(|seq| event(seq, Effect::None))
        .collect();
    forged.push(event(6, Effect::Removed(victim)));
    forged.push(event(6, Effect::Closed));
    for online in [false, true] {
        let change = PresenceChange {
            user: victim,
            online,
            at,
        };
        forged.push(envelope::encode_presence(change));
    }
    forged.push(envelope::encode_passing(&Passing {
        conversation,
        from: None,
        encoded: encoded(EventName::Typing),
    }));
    forged.push(envelope::encode_head(conversation, Seq::MAX));
    forged.push(envelope::encode_joined(conversation));
    forged.push(envelope::encode_gap());
    let request = envelope::encode_request(1, GatewayId::from_u64(9), conversation, &[]);
    forged.push(request);
    forged
}

/// A payload with some bytes changed, or too short, or too long.
fn mangled(payload: &[u8], entropy: &Entropy) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    let pick = |most: usize| usize::try_from(entropy.next_u64()).unwrap() % most.max(1);
    for _ in 0..=pick(4) {
        match (pick(4), pick(bytes.len())) {
            (0, place) => bytes.truncate(place),
            (1, _) => bytes.push(entropy.next_u64().to_be_bytes()[0]),
            (_, place) if !bytes.is_empty() => bytes[place] ^= 1 << pick(8),
            _ => {}
        }
    }
    bytes
}

fn frames(client: &Ws) -> usize {
    let kinds = ["receive_message", "typing", "presence", "message_delivered"];
    kinds.iter().map(|kind| client.frames(kind).len()).sum()
}

async fn refused(gateway: &Gateway) -> f64 {
    metric_sum(&gateway.metrics().await, "hobnob_bus_refused_total")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d49_forged_and_replayed_payloads_show_store_and_hide_nothing() {
    const ROUNDS: usize = 20;
    let cluster = Cluster::start(2).await;
    let (one, two) = (cluster.gateway(0), cluster.gateway(1));
    let tap = RedisTap::on(&cluster.redis);
    let (ann, bob) = Person::pair(one, two).await;
    let conversation = ann.direct_with(&bob);
    let bobs = Ws::join(two, &bob).await;
    bobs.watch(&ann).await;
    let anns = Ws::join(one, &ann).await;
    bobs.frame("presence", |frame| {
        frame["online"] == true && frame["type"] == "presence"
    })
    .await;
    for number in 1..=5 {
        assert_eq!(anns.write(&bob, "genuine").await["seq"], number);
    }
    anns.ask("typing", json!({"receiverId": bob.id, "typing": true}))
        .await;
    bobs.told("typing").await;
    bobs.fold().wait_seq(&conversation, 5).await;

    // Where bob's gateway listens, and what was said there.
    let heard = tap.heard("");
    let mut channels: Vec<String> = heard.iter().map(|(channel, _)| channel.clone()).collect();
    channels.sort_unstable();
    channels.dedup();
    channels.retain(|channel| {
        let by_bobs = channel.contains(&bob.id) || channel.contains(":watch:");
        by_bobs || channel.contains(":inbox:")
    });
    let said = heard
        .iter()
        .filter(|(channel, _)| channels.contains(channel));
    let said: Vec<&(String, Vec<u8>)> = said.collect();
    assert!(said.len() >= 6, "{} payloads on {channels:?}", said.len());
    let ids = conversation.split_once('-').expect("two ids");
    let (low, high): (UserId, UserId) = (ids.0.parse().unwrap(), ids.1.parse().unwrap());
    let forged = forgeries(ConversationId::direct(low, high), ann.id.parse().unwrap());
    let entropy = Arc::new(Entropy::seeded(10));
    let (shown, before) = (frames(&bobs), refused(two).await);
    let mut published = 0.0;
    for _ in 0..ROUNDS {
        for (channel, payload) in &said {
            // As it was; on another channel; changed.
            let mut takers = tap.publish(channel, payload) - 1;
            takers += tap.publish(&channels[0], payload) - 1;
            takers += tap.publish(channel, &mangled(payload, &entropy)) - 1;
            published += takers as f64;
        }
        for channel in &channels {
            for payload in &forged {
                published += (tap.publish(channel, payload) - 1) as f64;
                let mangled = mangled(payload, &entropy);
                published += (tap.publish(channel, &mangled) - 1) as f64;
            }
        }
    }
    assert!(published > 500.0, "{published}");
    until("everything was heard, and refused", async || {
        // Of the sum over both gateways each has its part.
        refused(one).await + refused(two).await >= before + published
    })
    .await;
    assert_eq!(frames(&bobs), shown, "nothing is shown");
    assert_eq!(anns.write(&bob, "the next").await["seq"], 6);
    let log = bobs.fold().wait_seq(&conversation, 6).await;
    assert_eq!(seqs(&log), dense(1, 6));
    let mut contents = log.iter().map(|message| text(&message["content"]));
    assert!(contents.clone().all(|content| content != "forged"));
    assert_eq!(contents.next_back().as_deref(), Some("the next"));
    assert_eq!(ann.direct_history(one, &bob).await.len(), 6);
}
