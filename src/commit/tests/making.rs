//! Conversations whose making has an unknown outcome: their members are told once they are there (D46).

use std::time::Duration;

use super::*;
use crate::domain::RoomName;
use crate::store::{NewConversation, NewRoom};

const NOW: Timestamp = Timestamp::from_millis(0);

fn new_room() -> NewConversation {
    let name = RoomName::parse("a room").unwrap();
    let ids = (RoomId::from_bytes([1; 12]), EventId::from_bytes([2; 12]));
    let room = NewRoom::new(ids, name, ALICE, &[BOB], NOW);
    NewConversation::Room(room)
}

fn new_direct() -> NewConversation {
    NewConversation::Direct(ConversationId::direct(ALICE, BOB), NOW)
}

fn announced(scene: &Scene) -> Vec<(ConversationId, Vec<UserId>)> {
    scene.told.joined.lock().clone()
}

#[tokio::test(start_paused = true)]
async fn d46_the_members_of_what_may_have_been_made_are_told_once_it_is_known() {
    for (new, begun_with) in [(new_room(), vec![(1, None)]), (new_direct(), vec![])] {
        let scene = Scene::new();
        scene.state().unsure = 3;
        assert_eq!(scene.committer.make(new.clone()).await, Ok(()));
        assert_eq!(announced(&scene), [(new.id(), vec![ALICE, BOB])]);
        assert_eq!(scene.committed(), begun_with);
    }
}

#[tokio::test(start_paused = true)]
async fn d46_they_are_told_although_whoever_made_it_was_told_unavailable() {
    let scene = Scene::new();
    scene.state().unsure = usize::MAX;
    let answer = scene.committer.make(new_room()).await;
    assert_eq!(answer, Err(CommitError::Unavailable));
    assert_eq!((announced(&scene), scene.committed()), (vec![], vec![]));
    scene.state().unsure = 1;
    scene.committer.idle().await;
    assert_eq!(announced(&scene), [(ROOM, vec![ALICE, BOB])]);
    assert_eq!(scene.committed(), [(1, None)]);
}

#[tokio::test(start_paused = true)]
async fn d46_they_are_told_although_whoever_made_it_has_gone() {
    let scene = Scene::new();
    scene.state().unsure = 10;
    let making = scene.committer.make(new_room());
    assert!(
        tokio::time::timeout(Duration::from_millis(1), making)
            .await
            .is_err()
    );
    scene.committer.idle().await;
    assert_eq!(announced(&scene), [(ROOM, vec![ALICE, BOB])]);
}

#[tokio::test(start_paused = true)]
async fn a_direct_conversation_that_was_there_is_announced_to_nobody() {
    let scene = Scene::new();
    for _ in 0..2 {
        assert_eq!(scene.committer.make(new_direct()).await, Ok(()));
    }
    assert_eq!(announced(&scene).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn d53_the_first_message_of_a_room_comes_behind_its_creation() {
    let scene = Scene::new();
    assert_eq!(scene.committer.make(new_room()).await, Ok(()));
    scene.send(message(1, "m")).await.unwrap();
    assert_eq!(scene.committed(), [(1, None), (2, Some(SESSION))]);
    assert_eq!(scene.state().firsts, [2].map(crate::domain::Seq::new));
}
