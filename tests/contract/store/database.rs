//! Opens the MongoDB store for the suite, and what is true of its schema alone.

use std::sync::Arc;
use std::time::Duration;

use hobnob::domain::{Clock, Entropy, Seq, SystemClock};
use hobnob::store::mongo::{MongoConfig, MongoStore};
use hobnob::store::{CursorMove, Store};
use mongodb::Collection;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::error::{ErrorKind, WriteFailure};

use super::scene::{Scene, begins_with_what_is_said};
use crate::support::servers::{Mongo, shared_mongo};

/// Far more than any wait here takes; what does not end by then does not end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A migrated store in a database that all cases share. The limit is far from what a call takes: none may end by it.
pub(crate) async fn open() -> (Arc<dyn Store>, ()) {
    (migrated("contract").await.store, ())
}

/// The same in a database of this name.
async fn migrated(database: &str) -> Scene {
    let store = connect(shared_mongo().await, database, PATIENCE).await;
    store.migrate().await.unwrap();
    Scene::new(store)
}

pub(crate) async fn connect(mongo: &Mongo, database: &str, limit: Duration) -> Arc<MongoStore> {
    let mut config = MongoConfig::new(mongo.uri(database));
    config.operation_timeout = limit;
    let entropy = Arc::new(Entropy::from_os());
    Arc::new(MongoStore::connect(config, entropy).await.unwrap())
}

async fn raw(mongo: &Mongo, database: &str) -> mongodb::Database {
    let client = mongodb::Client::with_uri_str(mongo.uri(database));
    client.await.unwrap().database(database)
}

#[tokio::test]
async fn a_lock_that_a_crash_left_behind_does_not_block_a_migration() {
    let mongo = shared_mongo().await;
    let locks = raw(mongo, "locked").await.collection("migrations");
    let soon = SystemClock.now().after(Duration::from_secs(1));
    let until = DateTime::from_millis(soon.millis());
    let left_behind = doc! { "_id": "lock", "holder": "crashed", "until": until };
    locks.insert_one(left_behind).await.unwrap();
    let store = connect(mongo, "locked", PATIENCE).await;
    store.migrate().await.unwrap();
    let left: Option<Document> = locks.find_one(doc! { "_id": "lock" }).await.unwrap();
    assert_eq!(left, None, "the lock is given back");
    assert!(SystemClock.now() >= soon, "it was waited for");
}

#[tokio::test]
async fn after_a_restore_cursors_are_clamped_to_the_log() {
    let scene = migrated("restored").await;
    let users = scene.users(2).await;
    let room = scene.room_of(&users).await;
    // Up to seq 5.
    scene.say_all(room, scene.messages(users[0], 4)).await;
    let cursor = |user, seq| CursorMove {
        conversation: room,
        user,
        delivered: Seq::new(seq),
        read: Seq::new(seq - 1),
    };
    // What a dump that is older than the cursors looks like.
    let moves = [cursor(users[0], 9), cursor(users[1], 3)];
    scene.store.move_cursors(&moves).await.unwrap();
    scene.store.clamp_all_cursors().await.unwrap();
    let beyond = scene.member(room, users[0]).await.unwrap();
    let within = scene.member(room, users[1]).await.unwrap();
    assert_eq!(beyond.delivered_seq, Seq::new(5));
    assert_eq!(beyond.read_seq, Seq::new(5));
    assert_eq!(within.delivered_seq, Seq::new(3));
    assert_eq!(within.read_seq, Seq::new(2));
}

#[tokio::test]
async fn a_room_that_is_older_than_the_event_of_its_making_begins_with_what_is_said() {
    let scene = migrated("contract").await;
    let (room, owner) = scene.room().await;
    let database = raw(shared_mongo().await, "contract").await;
    let events = database.collection::<Document>("events");
    let all = events.delete_many(doc! { "conversation": room.to_string() });
    assert_eq!(all.await.unwrap().deleted_count, 1);
    begins_with_what_is_said(&scene, (room, owner)).await;
}

#[tokio::test]
async fn the_database_itself_refuses_what_is_no_event() {
    let scene = migrated("contract").await;
    let (room, owner) = scene.room().await;
    scene.say(room, owner, "hello").await;
    let database = raw(shared_mongo().await, "contract").await;
    let events = database.collection::<Document>("events");
    let this = doc! { "conversation": room.to_string() };
    let mut event = events.find_one(this).await.unwrap().unwrap();
    event.remove("_id");
    event.insert("_id", mongodb::bson::oid::ObjectId::new());
    event.insert("seq", "two");
    let refused = events.insert_one(event).await.unwrap_err();
    let code = match &*refused.kind {
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code,
        other => panic!("{other}"),
    };
    assert_eq!(code, 121, "DocumentValidationFailure");
}

/// What a database of the shared server is asked meanwhile.
struct Profile(mongodb::Database);

impl Profile {
    async fn begin(database: &str) -> Self {
        let database = raw(shared_mongo().await, database).await;
        database.run_command(doc! { "profile": 2 }).await.unwrap();
        Self(database)
    }

    async fn end(self) -> Collection<Document> {
        self.0.run_command(doc! { "profile": 0 }).await.unwrap();
        self.0.collection("system.profile")
    }
}

#[tokio::test]
async fn a_start_reads_no_membership_and_no_event() {
    let scene = migrated("started").await;
    let users = scene.users(2).await;
    for _ in 0..50 {
        let room = scene.room_of(&users).await;
        scene.say(room, users[0], "hello").await;
    }
    let profile = Profile::begin("started").await;
    scene.store.migrate().await.unwrap();
    let profile = profile.end().await;
    let read = doc! { "ns": { "$ne": "started.system.profile" }, "docsExamined": { "$gt": 1 } };
    assert_eq!(profile.find_one(read).await.unwrap(), None);
    assert!(profile.estimated_document_count().await.unwrap() > 0);
}

#[tokio::test]
async fn a_page_of_rooms_reads_a_page_of_the_index() {
    let scene = migrated("paged").await;
    let users = scene.users(2).await;
    let mut rooms = Vec::new();
    for _ in 0..60 {
        rooms.push(scene.room_of(&users).await);
    }
    rooms.sort_unstable();
    let after = rooms[19].to_string().parse().unwrap();
    let profile = Profile::begin("paged").await;
    let page = scene.store.rooms(users[1], Some(after), 5).await.unwrap();
    let page: Vec<_> = page.iter().map(|member| member.conversation).collect();
    assert_eq!(page, rooms[20..25]);
    let this = doc! { "command.find": "members", "command.hint": "user_conversation" };
    let read = profile.end().await.find_one(this).await.unwrap().unwrap();
    assert!(read.get_i32("keysExamined").unwrap() <= 6, "{read}");
    assert!(read.get_i32("docsExamined").unwrap() <= 6, "{read}");
    assert!(!read.contains_key("hasSortStage"), "{read}");
}

#[tokio::test]
async fn looking_for_what_writers_have_left_reads_nothing_else() {
    let scene = migrated("left").await;
    let (room, owner) = scene.room().await;
    scene.say_all(room, scene.messages(owner, 100)).await;
    let profile = Profile::begin("left").await;
    scene.store.project_leftovers(None).await.unwrap();
    scene.store.project_leftovers(Some(room)).await.unwrap();
    let profile = profile.end().await;
    for of in ["command.distinct", "command.find"] {
        let read = profile.find_one(doc! { of: "events" }).await.unwrap();
        let read = read.unwrap();
        assert_eq!(read.get_i32("docsExamined").unwrap(), 0, "{read}");
        assert!(read.get_i32("keysExamined").unwrap() <= 1, "{read}");
    }
}

#[tokio::test]
async fn heads_skip_from_log_to_log() {
    let scene = migrated("profiled").await;
    let (room, owner) = scene.room().await;
    let last = scene.say_all(room, scene.messages(owner, 100)).await;
    let profile = Profile::begin("profiled").await;
    assert_eq!(scene.head(room).await, last);
    let this = doc! { "command.pipeline.0.$match.conversation.$in": room.to_string() };
    let read = profile.end().await.find_one(this).await.unwrap().unwrap();
    assert!(read.get_i32("keysExamined").unwrap() <= 3, "{read}");
    assert_eq!(read.get_i32("docsExamined").unwrap(), 0);
}
