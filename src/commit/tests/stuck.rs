//! A conversation that is stuck is no other one's trouble (D47).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::*;

const OTHER: ConversationId = room(2);
/// As many as one connection may have under way.
const UNDER_WAY: usize = 256;
const SENDERS: u8 = 13;

/// Keeps many sends to the stuck room under way, until stopped; counts those that were given up.
async fn keep_sending(committer: Committer, sender: u8, given_up: Arc<AtomicUsize>) {
    let mut under_way = JoinSet::new();
    for number in 0_usize.. {
        let text = format!("s{sender}m{number}");
        let committer = committer.clone();
        under_way.spawn(async move { committer.send(ROOM, message(sender, &text), None).await });
        if under_way.len() == UNDER_WAY {
            match under_way.join_next().await.unwrap().unwrap() {
                Err(CommitError::Unavailable) => {
                    given_up.fetch_add(1, Ordering::Relaxed);
                }
                // Told to come back later.
                answer => {
                    assert_eq!(answer, Err(CommitError::Busy));
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn send_to_other(scene: &Scene, text: &str) -> Result<Arc<Event>, CommitError> {
    scene.committer.send(OTHER, message(1, text), None).await
}

/// The room's inserts hang from now on.
async fn get_stuck(scene: &Scene) {
    scene.state().blocked.insert(ROOM);
    drop(scene.submit(message(1, "stuck")));
    scene
        .store
        .until(|state| state.hanging.contains(&ROOM))
        .await;
}

#[tokio::test(start_paused = true)]
async fn d47_thirteen_busy_senders_to_a_stuck_room_keep_nobody_else_from_sending() {
    let scene = Scene::new();
    get_stuck(&scene).await;
    let given_up = Arc::new(AtomicUsize::new(0));
    let mut senders = JoinSet::new();
    for sender in 1..=SENDERS {
        let committer = scene.committer.clone();
        senders.spawn(keep_sending(committer, sender, Arc::clone(&given_up)));
    }
    for second in 0..120 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let answer = send_to_other(&scene, &format!("m{second}")).await;
        assert_eq!(answer.map(|event| event.seq.get()), Ok(second + 1));
    }
    assert!(given_up.load(Ordering::Relaxed) > 20_000);
    // What waits is what somebody waits for, and the run that is being inserted.
    let most = usize::from(SENDERS) * UNDER_WAY + crate::store::Run::LIMIT;
    assert!(scene.committer.waiting() <= most);
}

#[tokio::test(start_paused = true)]
async fn d47_a_conversation_holds_no_more_than_it_leaves_free() {
    let scene = Scene::bounded(CommitterConfig {
        waiting: 100,
        waiting_bytes: 1000,
        ..CommitterConfig::default()
    });
    get_stuck(&scene).await;
    let submit = |conversation, number: usize| {
        let text = format!("m{number}");
        let submitted = scene
            .committer
            .submit(conversation, message(1, &text), None, None);
        submitted.ok()
    };
    let to_stuck: Vec<_> = (0..100).map_while(|number| submit(ROOM, number)).collect();
    assert_eq!(to_stuck.len(), 49, "with the one that hangs: half");
    let to_other: Vec<_> = (0..100).map_while(|number| submit(OTHER, number)).collect();
    assert_eq!(to_other.len(), 25, "half of the rest");
    assert!(submit(room(3), 0).is_some());
    let submit = |id, bytes: usize| {
        let mut long = message(1, "long");
        long.content = Content::parse(&"x".repeat(bytes), bytes).unwrap();
        scene.committer.submit(id, long, None, None)
    };
    assert!(submit(room(4), 600).is_ok());
    assert!(
        matches!(submit(room(4), 100), Err(CommitError::Busy)),
        "its bytes count"
    );
    assert!(submit(room(5), 100).is_ok());
}

#[tokio::test(start_paused = true)]
async fn d47_what_was_not_begun_is_given_up_although_its_sender_has_gone() {
    let scene = Scene::new();
    get_stuck(&scene).await;
    drop(scene.submit(message(1, "gone")));
    tokio::time::sleep(Duration::from_secs(11)).await;
    drop(scene.submit(message(1, "late")));
    scene.state().blocked.clear();
    scene.store.moved.notify_waiters();
    scene.committer.idle().await;
    assert_eq!(scene.stored(), ["stuck", "late"]);
}
