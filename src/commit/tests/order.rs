//! One order: conflicts with other gateways, bounds, and conversations that hold up nobody but themselves.

use futures_util::future::join_all;

use super::*;
use crate::commit::tests::double::unknown;
use crate::domain::{Change, ChangeKind, GatewayId, Seq};
use crate::store::Run;

#[tokio::test(start_paused = true)]
async fn d2_after_a_conflict_a_removed_members_message_is_refused_and_the_others_are_stored() {
    let scene = Scene::new();
    scene.step(|state, run| {
        state.remove(ROOM, BOB);
        state.append(run)
    });
    let (alice, bob) = (message(1, "a"), message(2, "b"));
    let (alice, bob) = (scene.submit(alice), scene.submit(bob));
    let (alice, bob) = tokio::join!(alice.event(), bob.event());
    assert_eq!(alice.unwrap().seq, Seq::new(2));
    assert_eq!(bob.unwrap_err(), refused());
    assert_eq!(scene.stored(), ["a"]);
    assert_eq!(*scene.told.found.lock(), [1]);
}

#[tokio::test(start_paused = true)]
async fn d2_each_senders_order_is_kept_under_conflicts() {
    let scene = Scene::new();
    for number in 0..6 {
        scene.step(move |state: &mut State, run: &Run| {
            if number % 2 == 0 {
                state.intrude(run.conversation);
            }
            state.append(run)
        });
    }
    let sent: Vec<String> = (0..40).map(|number| format!("m{number}")).collect();
    let tickets: Vec<_> = sent
        .iter()
        .map(|text| scene.submit(message(1, text)))
        .collect();
    let answers = join_all(tickets.into_iter().map(Ticket::event)).await;
    assert!(answers.iter().all(Result::is_ok));
    let mut stored = scene.stored();
    stored.retain(|text| !text.starts_with("other"));
    assert_eq!(stored, sent);
    let told: Vec<u64> = scene.committed().iter().map(|(seq, _)| *seq).collect();
    assert!(told.is_sorted() && told.len() == 40, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn d50_a_hint_that_is_not_true_makes_no_hole_and_ends_no_conversation() {
    for heard in [3, 40, (1 << 53) - 1] {
        let scene = Scene::new();
        assert_eq!(scene.send(message(1, "a")).await, Ok(1));
        let forged = Some(GatewayId::from_u64(9));
        scene
            .committer
            .frontier()
            .hear(ROOM, Seq::new(heard), forged);
        assert_eq!(scene.send(message(1, "b")).await, Ok(2), "heard {heard}");
        assert_eq!(scene.state().firsts, [Seq::new(1), Seq::new(2)]);
    }
}

#[tokio::test(start_paused = true)]
async fn d50_a_hint_that_says_message_does_not_hide_a_removal() {
    let scene = Scene::new();
    assert_eq!(scene.send(message(2, "a")).await, Ok(1));
    scene.state().remove(ROOM, BOB);
    scene.committer.frontier().hear(ROOM, Seq::new(2), None);
    assert_eq!(scene.send(message(2, "b")).await, Err(refused()));
    assert_eq!(scene.stored(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn d2_who_loses_again_and_again_steps_aside_for_a_moment() {
    let scene = Scene::new();
    for _ in 0..20 {
        scene.step(|state, run| {
            state.intrude(run.conversation);
            state.append(run)
        });
    }
    let begun = tokio::time::Instant::now();
    assert_eq!(scene.send(message(1, "a")).await, Ok(21));
    // The clock is paused: it has moved by the waits alone.
    let waited = begun.elapsed().as_millis();
    assert!((5..=60).contains(&waited), "{waited} ms");
    let begun = tokio::time::Instant::now();
    scene.step(|state, run| {
        state.intrude(run.conversation);
        state.append(run)
    });
    assert_eq!(scene.send(message(1, "b")).await, Ok(23));
    assert!(
        begun.elapsed().is_zero(),
        "the first conflict costs no wait"
    );
}

#[tokio::test(start_paused = true)]
async fn at_the_bounds_a_message_is_refused_as_busy_and_nothing_of_it_is_stored() {
    let config = CommitterConfig {
        // A conversation holds at most half of it (D47).
        waiting: 4,
        waiting_bytes: 100,
        ..CommitterConfig::default()
    };
    let scene = Scene::bounded(config);
    let first = scene.submit(message(1, "a"));
    let large = scene
        .committer
        .submit(ROOM, message(1, &"x".repeat(100)), None, None);
    assert!(matches!(large, Err(CommitError::Busy)));
    let second = scene.submit(message(1, "b"));
    let third = scene.committer.submit(ROOM, message(1, "c"), None, None);
    assert!(matches!(third, Err(CommitError::Busy)));
    let (first, second) = tokio::join!(first.event(), second.event());
    assert!(first.is_ok() && second.is_ok());
    scene.committer.idle().await;
    assert_eq!(scene.send(message(1, "d")).await, Ok(3));
    assert_eq!(scene.stored(), ["a", "b", "d"]);
}

fn edit(text: &str) -> Change {
    let content = message(1, text).content;
    Change {
        id: EventId::from_bytes([3; 12]),
        conversation: ROOM,
        actor: ALICE,
        at: Timestamp::from_millis(0),
        kind: ChangeKind::Edit {
            target: Seq::new(1),
            content,
        },
    }
}

#[tokio::test(start_paused = true)]
async fn an_edits_content_counts_for_the_bound() {
    let config = CommitterConfig {
        waiting_bytes: 10,
        ..CommitterConfig::default()
    };
    let scene = Scene::bounded(config);
    let large = scene.committer.change(edit("eleven byte")).await;
    assert_eq!(large.unwrap_err(), CommitError::Busy);
    assert!(scene.committer.change(edit("ten bytes.")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_change_given_up_before_its_turn_is_not_made_later() {
    let scene = Scene::new();
    scene.state().outage = true;
    let message = scene.submit(message(1, "a"));
    let (message, change) = tokio::join!(message.event(), scene.committer.change(edit("b")));
    assert_eq!(message.unwrap_err(), CommitError::Unavailable);
    assert_eq!(change.unwrap_err(), CommitError::Unavailable);
    scene.state().outage = false;
    scene.committer.idle().await;
    assert_eq!(scene.state().changes, 0);
    assert_eq!(scene.stored(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn conversations_whose_inserts_hang_hold_up_nobody_else() {
    let scene = Scene::new();
    let stuck = [room(11), room(12), room(13)];
    let mut tickets = Vec::new();
    for (number, conversation) in (1..).zip(stuck) {
        scene.step(move |state, run| {
            state.blocked.insert(run.conversation);
            unknown()
        });
        let submitted = scene
            .committer
            .submit(conversation, message(1, "a"), None, None)
            .unwrap();
        tickets.push(submitted);
        // One after the other, so that each hangs in a batch of its own.
        let hangs = |state: &State| state.hanging.len() == number;
        let hanging =
            tokio::time::timeout(std::time::Duration::from_secs(5), scene.store.until(hangs));
        assert!(hanging.await.is_ok(), "{conversation:?} has to wait");
    }
    assert_eq!(scene.send(message(1, "b")).await, Ok(1));
    scene.state().blocked.clear();
    scene.store.moved.notify_waiters();
    let answers = join_all(tickets.into_iter().map(Ticket::event)).await;
    assert!(answers.iter().all(Result::is_ok));
}
