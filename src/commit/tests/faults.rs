//! Faults: of one message, of the store, and of the committer itself. None of them may keep anybody waiting for ever.

use std::time::Duration;

use futures_util::future::join_all;

use super::*;
use crate::commit::tests::double::{stopped, unknown};
use crate::domain::Seq;
use crate::store::Stop;

#[tokio::test(start_paused = true)]
async fn a_message_the_store_refuses_for_its_own_sake_is_a_fault_and_the_others_are_stored() {
    let scene = Scene::new();
    scene.step(|state, run| {
        let mut prefix = run.clone();
        prefix.events.truncate(1);
        state.append(&prefix);
        stopped(1, Stop::Broken("told so".to_owned()))
    });
    let tickets = ["a", "b", "c"].map(|text| scene.submit(message(1, text)).event());
    let answers = join_all(tickets).await;
    let seqs: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.map(|event| event.seq.get()))
        .collect();
    assert_eq!(seqs, [Ok(1), Err(CommitError::Internal), Ok(2)]);
    assert_eq!(scene.stored(), ["a", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_store_is_the_answer_to_what_was_never_tried() {
    let scene = Scene::new();
    scene.state().broken = true;
    assert_eq!(
        scene.send(message(1, "a")).await,
        Err(CommitError::Internal)
    );
    scene.committer.idle().await;
    scene.state().broken = false;
    assert_eq!(scene.send(message(1, "b")).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn d5_a_fault_of_the_store_does_not_end_an_unknown_outcome() {
    let scene = Scene::new();
    let frontier = Arc::clone(scene.committer.frontier());
    scene.step(move |state, run| {
        state.append(run);
        state.remove(ROOM, BOB);
        // The hub has read of a changed membership, so that the next attempt has to read it, and cannot.
        frontier.note_read(ROOM, Seq::new(2), true);
        state.broken = true;
        unknown()
    });
    let ticket = scene.submit(message(1, "a"));
    let mend = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(std::mem::take(&mut scene.state().broken));
    };
    let (answer, ()) = tokio::join!(ticket.event(), mend);
    assert_eq!(answer.unwrap().seq.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_its_own_portion_and_not_the_lane() {
    let scene = Scene::new();
    *scene.told.panics.lock() = true;
    assert_eq!(
        scene.send(message(1, "a")).await,
        Err(CommitError::Unavailable)
    );
    assert_eq!(scene.send(message(1, "b")).await, Ok(2));
    scene.committer.idle().await;
    assert_eq!(scene.committer.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_batch_leaves_its_outcome_unknown_and_its_slot_free() {
    let scene = Scene::new();
    for number in 1..=3 {
        scene.step(|_, _| panic!("told so"));
        assert_eq!(
            scene.send(message(1, &format!("m{number}"))).await,
            Ok(number)
        );
    }
}
