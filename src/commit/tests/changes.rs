//! Changes: decided behind the head, stored once, told only when what follows from them is written.

use std::time::Duration;

use futures_util::future::join_all;

use super::*;
use crate::commit::tests::double::unknown;
use crate::domain::{Body, Change, ChangeKind, Emoji, Refusal, Seq};

fn change(number: u8, kind: ChangeKind) -> Change {
    Change {
        id: EventId::from_bytes([number; 12]),
        conversation: ROOM,
        actor: ALICE,
        at: Timestamp::from_millis(0),
        kind,
    }
}

fn react(number: u8, emoji: &str, added: bool) -> Change {
    change(
        number,
        ChangeKind::React {
            target: Seq::new(1),
            emoji: Emoji::parse(emoji).unwrap(),
            added,
        },
    )
}

fn edit(number: u8, text: &str) -> Change {
    let content = message(1, text).content;
    let target = Seq::new(1);
    change(number, ChangeKind::Edit { target, content })
}

/// With a message at seq 1.
async fn with_a_message() -> Scene {
    let scene = Scene::new();
    assert_eq!(scene.send(message(1, "a")).await, Ok(1));
    scene.told.committed.lock().clear();
    scene
}

fn seq_of(changed: Result<Changed, CommitError>) -> u64 {
    match changed {
        Ok(Changed::Applied(event)) => event.seq.get(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn changes_of_messages_that_wait_together_are_one_insert_and_see_each_other() {
    let scene = with_a_message().await;
    let asked = [
        react(21, "👍", true),
        // So already, by the one before.
        react(22, "👍", true),
        react(23, "👍", false),
        edit(24, "b"),
    ];
    let asked = asked.map(|change| scene.committer.change(change));
    let answers = join_all(asked).await;
    let nothing = answers
        .iter()
        .position(|answer| *answer == Ok(Changed::Nothing));
    assert_eq!(nothing, Some(1));
    assert_eq!(scene.state().runs[1..], [(ROOM, 3)]);
    assert_eq!(scene.state().projected, [2, 3, 4]);
    let told = [2, 3, 4].map(|seq| (seq, None));
    assert_eq!(scene.committed(), told);
}

#[tokio::test(start_paused = true)]
async fn d56_nobody_is_told_of_a_change_before_what_follows_from_it_is_written() {
    let scene = with_a_message().await;
    scene.state().unwritten = 5;
    let asked = scene.committer.change(edit(21, "b"));
    let mut asked = std::pin::pin!(asked);
    let soon = Duration::from_millis(3);
    assert!(tokio::time::timeout(soon, &mut asked).await.is_err());
    assert_eq!(scene.state().logs[&ROOM].len(), 2, "it is stored");
    assert_eq!(scene.committed(), []);
    assert_eq!(seq_of(asked.await), 2);
    assert_eq!(scene.committed(), [(2, None)]);
    assert_eq!(scene.state().projected, [2]);
}

#[tokio::test(start_paused = true)]
async fn d56_what_others_have_left_is_written_before_anything_is_decided() {
    let scene = Scene::new();
    scene.state().intrude(ROOM);
    let refused = scene.committer.change(edit(21, "b")).await;
    let refused = refused.unwrap();
    assert_eq!(refused, Changed::Refused(Refusal::NotAllowed));
    assert_eq!(scene.state().leftovers, [ROOM]);
    // What is known since is not asked again.
    let _ = scene.committer.change(edit(22, "c")).await;
    assert_eq!(scene.state().leftovers, [ROOM]);
}

#[tokio::test(start_paused = true)]
async fn d5_a_change_that_was_stored_in_spite_of_its_unknown_outcome_is_made_once() {
    let scene = with_a_message().await;
    scene.step(|state, run| {
        state.append(run);
        unknown()
    });
    let made = scene.committer.change(edit(21, "b")).await;
    assert_eq!(seq_of(made), 2);
    assert_eq!(scene.state().logs[&ROOM].len(), 2);
    assert_eq!(scene.committed(), [(2, None)]);
    assert!(
        scene.state().leftovers.contains(&ROOM),
        "its end is written"
    );
}

#[tokio::test(start_paused = true)]
async fn d5_a_change_that_was_not_stored_is_stored_once() {
    let scene = with_a_message().await;
    scene.step(|_, _| unknown());
    let made = scene.committer.change(edit(21, "b")).await;
    assert_eq!(seq_of(made), 2);
    assert_eq!(scene.state().logs[&ROOM].len(), 2);
}

#[tokio::test(start_paused = true)]
async fn d2_a_change_that_meets_a_removal_is_refused() {
    let scene = with_a_message().await;
    scene.step(|state, run| {
        state.remove(ROOM, ALICE);
        state.append(run)
    });
    let refused = scene.committer.change(edit(21, "b")).await;
    let refused = refused.unwrap();
    assert_eq!(refused, Changed::Refused(Refusal::NotAMember));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_meets_others_messages_goes_behind_them() {
    let scene = with_a_message().await;
    scene.step(|state, run| {
        state.intrude(ROOM);
        state.append(run)
    });
    assert_eq!(seq_of(scene.committer.change(edit(21, "b")).await), 3);
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_a_room_s_members_may_change() {
    let scene = Scene::bounded(CommitterConfig {
        room_members: 0,
        ..CommitterConfig::default()
    });
    scene.state().owners.insert(ALICE);
    let user = UserId::from_bytes([42; 12]);
    let role = crate::domain::Role::Member;
    let add = |number| change(number, ChangeKind::AddMember { user, role });
    let full = scene.committer.change(add(21)).await;
    assert_eq!(full.unwrap(), Changed::Refused(Refusal::RoomFull));
    scene.committer.set_room_limit(1);
    let added = scene.committer.change(add(22)).await.unwrap();
    let Changed::Applied(event) = added else {
        panic!("{added:?}")
    };
    assert_eq!(event.body, Body::MemberAdded { user, role });
}
