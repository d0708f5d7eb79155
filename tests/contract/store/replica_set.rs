//! What is true of the MongoDB store when its servers freeze, die, lose their majority and are elected. Each case has its
//! own.

use std::sync::Arc;
use std::time::Duration;

use hobnob::domain::{ConversationId, Seq, UserId};
use hobnob::store::mongo::MongoStore;
use hobnob::store::{CursorMove, NewMessage, Stop, Store, StoreError};

use super::database::{PATIENCE, connect};
use super::scene::{Scene, assert_dense, texts};
use crate::support::servers::Mongo;
use crate::support::until;

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
