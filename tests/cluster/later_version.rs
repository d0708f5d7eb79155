//! Beside gateways of a later version, as during an upgrade: an event of a kind that only they know has its place in the
//! log, shows nothing and ends nothing; and what they have widened in the database stays wide.

use bytes::{Bytes, BytesMut};
use hobnob::bus::{Bus, Channel};
use hobnob::domain::{ConversationId, GatewayId, RoomId, Seq};
use hobnob::fanout::envelope;
use hobnob::fanout::offer::{Effect, Offer};
use mongodb::Database;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, doc};
use serde_json::json;

use super::another_gateway;
use crate::support::fold::{FIRST, dense};
use crate::support::gateway::{Cluster, Gateway};
use crate::support::rest::Person;
use crate::support::ws::Ws;

/// The kind that is not there yet.
const LATER: &str = "pinned";
/// Where an event's payload has the number of its name.
const NAME_AT: usize = 2;

/// A room of ann's and bob's; bob is on the other gateway.
struct Scene {
    cluster: Cluster,
    database: Database,
    ann: Person,
    bob: Person,
    bobs: Ws,
    room: String,
}

impl Scene {
    async fn start() -> Self {
        let cluster = Cluster::start(2).await;
        let (one, two) = (cluster.gateway(0), cluster.gateway(1));
        let (ann, bob) = Person::pair(one, two).await;
        let bobs = Ws::join_with(two, &bob, json!({"ack": "auto"})).await;
        let room = ann.room(one, &[&bob]).await;
        ann.say(one, &room, "before").await;
        bobs.fold().wait_seq(&room, FIRST).await;
        let database = cluster.database().await;
        let scene = Self {
            cluster,
            database,
            ann,
            bob,
            bobs,
            room,
        };
        scene.widen().await;
        scene
    }

    fn two(&self) -> &Gateway {
        self.cluster.gateway(1)
    }

    async fn validator(&self) -> Document {
        let filter = doc! { "name": "events" };
        let mut found = self
            .database
            .list_collections()
            .filter(filter)
            .await
            .unwrap();
        assert!(found.advance().await.unwrap());
        let events = found.deserialize_current().unwrap();
        events.options.validator.expect("a validator")
    }

    /// What the migration of a later version does.
    async fn widen(&self) {
        let mut validator = self.validator().await;
        let properties = validator.get_document_mut("$jsonSchema").unwrap();
        let properties = properties.get_document_mut("properties").unwrap();
        let kinds = properties.get_document_mut("kind").unwrap();
        kinds.get_array_mut("enum").unwrap().push(LATER.into());
        let modify = doc! { "collMod": "events", "validator": validator };
        self.database.run_command(modify).await.unwrap();
        let migrations = self.database.collection::<Document>("migrations");
        let later = doc! { "$inc": { "version": 1_i64 } };
        let raised = migrations.update_one(doc! { "_id": "schema" }, later).await;
        assert_eq!(raised.unwrap().matched_count, 1, "versions are counted");
    }

    /// What a later version's pinning writes: of the first message, by ann.
    async fn pin(&self, seq: u64) {
        let sender: ObjectId = self.ann.id.parse().unwrap();
        let event = doc! {
            "_id": ObjectId::new(), "conversation": &self.room, "seq": i64::try_from(seq).unwrap(),
            "kind": LATER, "sender": sender, "at": DateTime::now(),
            "body": { "target": 1_i64, "until": "noon" },
        };
        let events = self.database.collection::<Document>("events");
        events.insert_one(event).await.unwrap();
    }

    async fn gaps_found(&self) -> f64 {
        self.two().metric("hobnob_gaps_found_total").await
    }

    /// A message behind the pinning reaches bob, on the connection he has had all the time.
    async fn goes_on(&self, pinned: u64) {
        let answer = self
            .ann
            .say(self.cluster.gateway(0), &self.room, "after")
            .await;
        assert_eq!(answer["seq"], pinned + 1);
        self.bobs.fold().wait_seq(&self.room, pinned + 1).await;
        let mut shown = dense(1, pinned + 1);
        shown.retain(|seq| *seq != pinned);
        assert_eq!(self.bobs.fold().seqs(&self.room), shown);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_kind_in_the_log_has_its_place_shows_nothing_and_ends_nothing() {
    let mut scene = Scene::start().await;
    let pinned = FIRST + 1;
    scene.pin(pinned).await;
    scene.goes_on(pinned).await;

    let contents = scene.bob.room_history(scene.two(), &scene.room).await;
    let contents: Vec<_> = contents.iter().map(|message| &message["content"]).collect();
    assert_eq!(contents, ["before", "after"]);
    scene
        .bob
        .wait_delivered(scene.two(), &scene.room, pinned + 1)
        .await;

    // In a backlog it is passed as well, in the middle and at the end.
    scene.bobs.close().await;
    let one = scene.cluster.gateway(0);
    scene.ann.say(one, &scene.room, "while he is away").await;
    let two = scene.cluster.gateway(1);
    scene.bobs = Ws::join_with(two, &scene.bob, json!({"ack": "auto"})).await;
    scene.bobs.fold().wait_seq(&scene.room, pinned + 2).await;
    assert_eq!(scene.bobs.fold().seqs(&scene.room), [pinned + 2]);
    scene.pin(pinned + 3).await;
    let all = json!({"since": {&scene.room: 0}});
    let again = Ws::join_with(scene.two(), &scene.bob, all).await;
    again.fold().wait_seq(&scene.room, pinned + 2).await;
    assert_eq!(
        again.fold().seqs(&scene.room),
        [1, FIRST, pinned + 1, pinned + 2]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_kind_on_the_bus_is_no_gap() {
    let scene = Scene::start().await;
    let pinned = FIRST + 1;
    let room: RoomId = scene.room.parse().unwrap();
    let offer = Offer {
        conversation: ConversationId::Room(room),
        seq: Seq::new(pinned),
        at: None,
        effect: Effect::None,
        id: None,
        writer: None,
        traced: None,
        encoded: None,
    };
    let mut payload = BytesMut::from(&envelope::encode_event(&offer, GatewayId::from_u64(77))[..]);
    payload[NAME_AT] = 200;
    payload.extend_from_slice(b"{\"pinned\":true}");
    let bus = another_gateway(&scene.cluster).await;
    let found = scene.gaps_found().await;
    // Told of at once: a log that a comparison finds ahead of what was told is a gap.
    scene.pin(pinned).await;
    // Redis has it, and hands it on before what is published next on another connection.
    let told = bus.publish_told(Channel::Room(room), 0, Bytes::from(payload));
    told.await.expect("Redis takes it");
    scene.goes_on(pinned).await;
    assert_eq!(scene.gaps_found().await, found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_gateway_that_starts_again_narrows_nothing() {
    let mut scene = Scene::start().await;
    let wide = scene.validator().await;
    scene.cluster.gateways[0].restart().await;
    assert_eq!(scene.validator().await, wide);
    scene.pin(FIRST + 1).await;
    scene.goes_on(FIRST + 1).await;
}
