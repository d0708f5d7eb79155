//! Retries and unknown outcomes: stored once, answered truthfully, and shown to everybody.

use futures_util::future::join_all;

use super::*;
use crate::commit::tests::double::unknown;
use crate::domain::Seq;

#[tokio::test(start_paused = true)]
async fn d3_a_retry_is_answered_once_a_read_shows_the_original_and_that_is_announced() {
    let scene = Scene::new();
    let original = message(1, "a");
    scene.state().append(&crate::store::Run {
        conversation: ROOM,
        first: Seq::new(1),
        events: vec![Arc::new(original.event(ROOM, Seq::new(1)))],
    });
    // The first attempt's insert is not committed yet: three reads do not see it.
    scene.state().hidden = 3;
    let event = scene.submit(message(1, "a")).event().await.unwrap();
    assert_eq!((event.seq.get(), event.id), (1, original.id));
    assert!(scene.state().firsts.len() >= 4, "inserted again meanwhile");
    assert_eq!(scene.committed(), [(1, Some(SESSION))]);
    assert_eq!(scene.stored(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn p3_the_same_id_with_another_content_is_an_error() {
    let scene = Scene::new();
    assert_eq!(scene.send(message(1, "a")).await, Ok(1));
    let mut other = message(1, "b");
    other.client_message_id = message(1, "a").client_message_id;
    assert_eq!(
        scene.send(other).await,
        Err(CommitError::ClientMessageIdReused)
    );
}

#[tokio::test(start_paused = true)]
async fn d4_a_removed_members_retry_returns_the_stored_event() {
    let scene = Scene::new();
    assert_eq!(scene.send(message(2, "a")).await, Ok(1));
    scene.state().remove(ROOM, BOB);
    let frontier = scene.committer.frontier();
    frontier.hear(ROOM, Seq::new(2), None);
    assert_eq!(scene.send(message(2, "a")).await, Ok(1));
    assert_eq!(scene.send(message(2, "b")).await, Err(refused()));
    assert_eq!(scene.stored(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn d2_a_refusal_is_not_remembered_when_nobody_tells_of_the_return() {
    let scene = Scene::new();
    scene.state().removed.insert(BOB);
    assert_eq!(scene.send(message(2, "a")).await, Err(refused()));
    scene.state().removed.clear();
    assert_eq!(scene.send(message(2, "b")).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn d5_an_insert_that_was_stored_in_spite_of_its_unknown_outcome_is_found() {
    let scene = Scene::new();
    scene.step(|state, run| {
        state.append(run);
        unknown()
    });
    assert_eq!(scene.send(message(1, "a")).await, Ok(1));
    assert_eq!(scene.stored(), ["a"]);
    assert_eq!(scene.committed(), [(1, Some(SESSION))]);
}

#[tokio::test(start_paused = true)]
async fn d5_an_insert_that_was_not_stored_is_stored_once() {
    let scene = Scene::new();
    for _ in 0..3 {
        scene.step(|_, _| unknown());
    }
    assert_eq!(scene.send(message(1, "a")).await, Ok(1));
    assert_eq!(scene.state().firsts.len(), 4);
    assert_eq!(scene.stored(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn d5_a_message_whose_run_stopped_at_its_senders_removal_is_refused() {
    let scene = Scene::new();
    // The run 1, 2, 3 has an unknown outcome; in truth the removal of the third one's sender took its first place.
    scene.step(|state, _| {
        state.remove(ROOM, BOB);
        unknown()
    });
    let run = [message(2, "a"), message(2, "b"), message(2, "c")];
    let tickets = run.map(|message| scene.submit(message).event());
    let answers = join_all(tickets).await;
    assert!(answers.into_iter().all(|answer| answer == Err(refused())));
    assert_eq!(scene.stored(), [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn d5_a_message_stored_before_its_senders_removal_is_not_refused() {
    let scene = Scene::new();
    let frontier = Arc::clone(scene.committer.frontier());
    scene.step(move |state, run| {
        state.append(run);
        state.remove(ROOM, BOB);
        // The hub has read of the removal at once, so that the next attempt knows the head and comes to refuse.
        frontier.note_read(ROOM, Seq::new(3), true);
        unknown()
    });
    let tickets = [scene.submit(message(1, "a")), scene.submit(message(2, "b"))];
    let answers = join_all(tickets.map(Ticket::event)).await;
    let seqs: Vec<u64> = answers
        .into_iter()
        .map(|answer| answer.unwrap().seq.get())
        .collect();
    assert_eq!(seqs, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn d29_who_was_told_unavailable_is_offered_the_event_like_everybody_else() {
    let scene = Scene::new();
    scene.state().outage = true;
    assert_eq!(
        scene.send(message(1, "a")).await,
        Err(CommitError::Unavailable)
    );
    assert_eq!(
        scene.committer.waiting(),
        1,
        "kept until its outcome is known"
    );
    scene.state().outage = false;
    scene.committer.idle().await;
    assert_eq!(scene.stored(), ["a"]);
    assert_eq!(scene.committed(), [(1, None)]);
    assert_eq!(scene.send(message(1, "b")).await, Ok(2));
    assert_eq!(scene.committed(), [(1, None), (2, Some(SESSION))]);
}

#[tokio::test(start_paused = true)]
async fn d29_who_has_gone_without_an_answer_is_offered_the_event_as_well() {
    let scene = Scene::new();
    drop(scene.submit(message(1, "a")));
    scene.committer.idle().await;
    assert_eq!(scene.committed(), [(1, None)]);
}

#[tokio::test(start_paused = true)]
async fn p3_fifty_at_once_with_the_same_id_are_stored_once() {
    let scene = Scene::new();
    let tickets: Vec<_> = (0..50).map(|_| scene.submit(message(1, "a"))).collect();
    let answers = join_all(tickets.into_iter().map(Ticket::event)).await;
    assert!(
        answers
            .into_iter()
            .all(|answer| answer.unwrap().seq.get() == 1)
    );
    assert_eq!(scene.stored(), ["a"]);
}
