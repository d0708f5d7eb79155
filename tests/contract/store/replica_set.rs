//! Opens the MongoDB store for the suite, and what is true of it alone: its schema, and servers that freeze, die, lose
//! their majority and are elected. Each case that breaks a server has its own.

use std::sync::Arc;
use std::time::Duration;

use hobnob::domain::{Clock, ConversationId, Entropy, Seq, SystemClock, UserId};
use hobnob::store::mongo::{MongoConfig, MongoStore};
use hobnob::store::{CursorMove, NewMessage, Stop, Store, StoreError};
use mongodb::Collection;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::error::{ErrorKind, WriteFailure};

use super::scene::{Scene, assert_dense, begins_with_what_is_said, texts};
use crate::support::servers::{Mongo, shared_mongo};
use crate::support::until;

/// Far more than any wait here takes; what does not end by then does not end.
const PATIENCE: Duration = Duration::from_secs(60);

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

async fn connect(mongo: &Mongo, database: &str, limit: Duration) -> Arc<MongoStore> {
    let mut config = MongoConfig::new(mongo.uri(database));
    config.operation_timeout = limit;
    let entropy = Arc::new(Entropy::from_os());
    Arc::new(MongoStore::connect(config, entropy).await.unwrap())
}

/// Two stores over servers that are going to be broken: a patient one for what must work, before and after, however
/// busy the machine is; and one with the limit of time of an impatient operator, for what is asked meanwhile.
struct Faulty {
    patient: Scene,
    hasty: Scene,
    store: Arc<MongoStore>,
}

impl Faulty {
    async fn over(mongo: &Mongo) -> Self {
        let patient = connect(mongo, "faults", PATIENCE).await;
        patient.migrate().await.unwrap();
        let store = connect(mongo, "faults", Duration::from_secs(2)).await;
        // It has a connection by then, as a gateway has: what it sends reaches the server, however broken.
        until("it has a connection", async || store.ping().await).await;
        Self {
            patient: Scene::new(patient),
            hasty: Scene::new(store.clone()),
            store,
        }
    }
}

async fn raw(mongo: &Mongo, database: &str) -> mongodb::Database {
    let client = mongodb::Client::with_uri_str(mongo.uri(database));
    client.await.unwrap().database(database)
}

/// Sends until the outcome is known, as the committer does, and says where the message is.
async fn send(scene: &Scene, room: ConversationId, message: &NewMessage) -> Seq {
    let sent = async || {
        let heads = scene.store.heads(&[room]).await.ok()?;
        let next = heads.get(&room).map_or(Seq::new(1), |head| head.next());
        let outcome = scene.append(room, next.get(), vec![message.clone()]).await;
        let (sender, own_id) = (message.sender, &message.client_message_id);
        match outcome.stopped {
            None => Some(next),
            Some(Stop::IdTaken) => {
                let stored = scene.store.message_by_client_id(room, sender, own_id);
                stored.await.ok()?.map(|event| event.seq)
            }
            Some(Stop::SeqTaken | Stop::Unknown(_)) => None,
            Some(Stop::Broken(cause)) => panic!("{cause}"),
        }
    };
    until("the outcome is known", sent).await
}

async fn until_primary_changed(store: &MongoStore, before: u64) {
    let changes = store.primary_changes();
    until("a new primary is noticed", async || {
        *changes.borrow() > before
    })
    .await;
}

async fn assert_unknown(scene: &Scene, room: ConversationId, at: Seq, message: &NewMessage) {
    let attempt = scene.append(room, at.get(), vec![message.clone()]);
    let outcome = tokio::time::timeout(PATIENCE, attempt).await.unwrap();
    assert!(
        matches!(outcome.stopped, Some(Stop::Unknown(_))),
        "{outcome:?}"
    );
    assert_eq!(outcome.committed, 0);
}

async fn assert_unavailable(scene: &Scene, room: ConversationId, user: UserId) {
    let rooms = [room];
    let (heads, member, ping, moved) = tokio::time::timeout(PATIENCE, async {
        let cursor = CursorMove {
            conversation: room,
            user,
            delivered: Seq::new(1),
            read: Seq::ZERO,
        };
        tokio::join!(
            scene.store.heads(&rooms),
            scene.store.member(room, user),
            scene.store.ping(),
            scene.store.move_cursors(std::slice::from_ref(&cursor)),
        )
    })
    .await
    .expect("every call is bounded");
    for failure in [heads.err(), member.err(), ping.err(), moved.err()] {
        let is_unavailable = matches!(failure, Some(StoreError::Unavailable(_)));
        assert!(is_unavailable, "{failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_makes_outcomes_unknown_and_the_retry_finds_what_was_stored() {
    let mongo = Mongo::start_replica_set(1).await;
    let Faulty { patient, hasty, .. } = Faulty::over(&mongo).await;
    let (room, owner) = patient.room().await;
    let place = patient.say(room, owner, "before").await.next();
    let message = patient.message(owner, "meanwhile");
    mongo.stop(0);
    assert_unknown(&hasty, room, place, &message).await;
    assert_unavailable(&hasty, room, owner).await;
    mongo.cont(0);
    assert_eq!(send(&hasty, room, &message).await, place);
    assert_eq!(send(&hasty, room, &message).await, place);
    assert_eq!(texts(&patient.said(room).await), ["before", "meanwhile"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d53_a_room_whose_making_has_an_unknown_outcome_is_made_once_with_its_event() {
    let mongo = Mongo::start_replica_set(1).await;
    let Faulty { patient, hasty, .. } = Faulty::over(&mongo).await;
    let users = patient.users(2).await;
    let room = patient.new_room(&users);
    mongo.stop(0);
    let unknown = hasty.store.create_room(room.clone()).await;
    assert!(
        matches!(unknown, Err(StoreError::Unavailable(_))),
        "{unknown:?}"
    );
    mongo.cont(0);
    // As the committer does, until it is known; and once more.
    until("the outcome is known", async || {
        hasty.store.create_room(room.clone()).await
    })
    .await;
    patient.store.create_room(room.clone()).await.unwrap();
    assert_eq!(
        patient.log(room.conversation.id).await,
        [(*room.created).clone()]
    );
    let members = patient.store.members(room.conversation.id, None, 9).await;
    assert_eq!(members.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_keeps_what_was_acknowledged() {
    let mut mongo = Mongo::start_replica_set(1).await;
    let faulty = Faulty::over(&mongo).await;
    let (patient, hasty, store) = (faulty.patient, faulty.hasty, faulty.store);
    let (room, owner) = patient.room().await;
    let place = patient
        .say_all(room, patient.messages(owner, 50))
        .await
        .next();
    let before = *store.primary_changes().borrow();
    mongo.kill9(0);
    let message = patient.message(owner, "after");
    assert_unknown(&hasty, room, place, &message).await;
    assert_unavailable(&hasty, room, owner).await;
    mongo.restart(0).await;
    assert_eq!(send(&hasty, room, &message).await, place);
    assert_dense(&patient.log(room).await);
    until_primary_changed(&store, before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_nothing_is_committed_or_seen() {
    let mongo = Mongo::start_with_election_timeout(3, Duration::from_secs(30)).await;
    let Faulty { patient, hasty, .. } = Faulty::over(&mongo).await;
    let (room, owner) = patient.room().await;
    let before = patient.say(room, owner, "before").await;
    let primary = mongo.wait_for_primary().await;
    let others = (0..mongo.member_count()).filter(|member| *member != primary);
    let others: Vec<usize> = others.collect();
    others.iter().for_each(|member| mongo.stop(*member));
    let message = patient.message(owner, "meanwhile");
    assert_unknown(&hasty, room, before.next(), &message).await;
    // It is stored on the primary, but an election may take it back: no read shows it (D1).
    assert_eq!(patient.head(room).await, before);
    let own_id = &message.client_message_id;
    let found = patient
        .store
        .message_by_client_id(room, owner, own_id)
        .await;
    assert_eq!(found.unwrap(), None);
    others.iter().for_each(|member| mongo.cont(*member));
    assert_eq!(send(&hasty, room, &message).await, before.next());
    assert_eq!(texts(&patient.said(room).await), ["before", "meanwhile"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_election_loses_nothing_and_is_noticed() {
    let mongo = Mongo::start_replica_set(3).await;
    let faulty = Faulty::over(&mongo).await;
    let (patient, hasty, store) = (faulty.patient, faulty.hasty, faulty.store);
    let (room, owner) = patient.room().await;
    let first = patient.say(room, owner, "first").await;
    let before = *store.primary_changes().borrow();
    let messages = patient.messages(owner, 40);
    let sending = async {
        let mut places = Vec::new();
        for message in &messages {
            places.push(send(&hasty, room, message).await);
        }
        places
    };
    let (places, _deposed) = tokio::join!(sending, mongo.step_down(10));
    let expected: Vec<Seq> = (1..)
        .map(|place| first.plus(place))
        .take(messages.len())
        .collect();
    assert_eq!(places, expected);
    let log = patient.log(room).await;
    assert_dense(&log);
    assert_eq!(log.last().map(|event| event.seq), places.last().copied());
    until_primary_changed(&store, before).await;
    patient.store.ping().await.unwrap();
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
