//! Appending: the log is dense, its prefix is committed, and its two unique keys decide (D1, D2, D3).

use futures_util::future::join_all;
use hobnob::domain::{
    Body, ClientMessageId, Content, ConversationId, Event, Message, Reactions, Seq,
};
use hobnob::store::{NewMessage, Run, Stop};

use super::scene::{FIRST, Scene, all, assert_dense, run, stopped, text_of, texts};

/// The event that a message must become.
fn stored_as(new: &NewMessage, conversation: ConversationId, seq: u64) -> Event {
    Event {
        id: new.id,
        conversation,
        seq: Seq::new(seq),
        sender: new.sender,
        at: new.at,
        body: Body::Message(Message {
            content: Some(new.content.clone()),
            client_message_id: new.client_message_id.clone(),
            fingerprint: new.fingerprint,
            original: None,
            edited_at: None,
            deleted_at: None,
            reactions: Reactions::default(),
        }),
    }
}

pub(crate) async fn a_run_is_stored_as_it_was_sent(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let texts = [
        "plain",
        "žluťoučký kůň 🐎 \u{202E}",
        "nul \0 \" ' \\ $ . {}",
        " ",
    ];
    let messages: Vec<NewMessage> = texts
        .iter()
        .map(|text| scene.message(owner, text))
        .collect();
    let outcome = scene.append(room, FIRST, messages.clone()).await;
    assert_eq!(outcome, all(4));
    let expected: Vec<Event> = (FIRST..)
        .zip(&messages)
        .map(|(seq, new)| stored_as(new, room, seq))
        .collect();
    assert_eq!(scene.said(room).await, expected);
}

pub(crate) async fn a_taken_seq_stops_a_run_and_stores_nothing(scene: &Scene) {
    let (room, owner) = scene.room().await;
    assert_eq!(
        scene.append(room, FIRST, scene.messages(owner, 2)).await,
        all(2)
    );
    for guess in [1, FIRST, FIRST + 1] {
        let outcome = scene.append(room, guess, scene.messages(owner, 3)).await;
        assert_eq!(outcome, stopped(0, Stop::SeqTaken), "at {guess}");
    }
    let said = scene.said(room).await;
    assert_eq!(texts(&said), ["message 0", "message 1"]);
}

pub(crate) async fn a_client_message_id_is_taken_once_per_sender_and_conversation(scene: &Scene) {
    let users = scene.users(2).await;
    let (room, other) = (scene.room_of(&users).await, scene.room_of(&users).await);
    let first = scene.message(users[0], "first");
    let with_its_id = |sender, text| NewMessage {
        client_message_id: first.client_message_id.clone(),
        ..scene.message(sender, text)
    };
    assert_eq!(scene.append(room, FIRST, vec![first.clone()]).await, all(1));
    let again = vec![
        with_its_id(users[0], "again"),
        scene.message(users[0], "after"),
    ];
    let outcome = scene.append(room, FIRST + 1, again).await;
    assert_eq!(outcome, stopped(0, Stop::IdTaken));
    let of_another = vec![with_its_id(users[1], "of another")];
    assert_eq!(scene.append(room, FIRST + 1, of_another).await, all(1));
    let elsewhere = vec![with_its_id(users[0], "elsewhere")];
    assert_eq!(scene.append(other, FIRST, elsewhere).await, all(1));
    let said = scene.said(room).await;
    assert_eq!(texts(&said), ["first", "of another"]);
}

pub(crate) async fn the_prefix_before_a_duplicate_is_committed(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let mut run = scene.messages(owner, 4);
    let taken = run[2].clone();
    assert_eq!(scene.append(room, FIRST, vec![taken]).await, all(1));
    let outcome = scene.append(room, FIRST + 1, run.clone()).await;
    assert_eq!(outcome, stopped(2, Stop::IdTaken));
    // The same id twice in one run is a duplicate as well.
    let twice = vec![run.remove(3), scene.message(owner, "x")];
    let twice = [twice.clone(), twice].concat();
    let outcome = scene.append(room, FIRST + 3, twice).await;
    assert_eq!(outcome, stopped(2, Stop::IdTaken));
    let log = scene.log(room).await;
    assert_dense(&log);
    let expected = ["message 2", "message 0", "message 1", "message 3", "x"];
    assert_eq!(texts(&log[1..]), expected);
}

pub(crate) async fn when_both_keys_are_taken_either_is_named(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let message = scene.message(owner, "once");
    assert_eq!(
        scene.append(room, FIRST, vec![message.clone()]).await,
        all(1)
    );
    let outcome = scene.append(room, FIRST, vec![message]).await;
    let either = [Stop::SeqTaken, Stop::IdTaken].map(|stop| stopped(0, stop));
    assert!(either.contains(&outcome), "{outcome:?}");
    assert_eq!(scene.said(room).await.len(), 1);
}

pub(crate) async fn runs_have_their_outcomes_in_order(scene: &Scene) {
    let owner = scene.user().await;
    let mut rooms = Vec::new();
    for _ in 0..4 {
        rooms.push(scene.room_of(&[owner]).await);
    }
    let old = scene.message(owner, "old");
    for room in &rooms[1..3] {
        let id = scene.event_id();
        let message = NewMessage { id, ..old.clone() };
        assert_eq!(scene.append(*room, FIRST, vec![message]).await, all(1));
    }
    let runs = vec![
        run(rooms[0], FIRST, &scene.messages(owner, 3)),
        run(rooms[1], FIRST, &scene.messages(owner, 3)),
        run(rooms[2], FIRST + 1, &[scene.message(owner, "new"), old]),
        run(rooms[3], FIRST, &scene.messages(owner, 1)),
    ];
    let expected = [
        all(3),
        stopped(0, Stop::SeqTaken),
        stopped(1, Stop::IdTaken),
        all(1),
    ];
    assert_eq!(scene.store.append(runs).await, expected);
    assert_eq!(scene.store.append(Vec::new()).await, []);
    for (room, length) in rooms.into_iter().zip([4, 2, 3, 2]) {
        assert_dense(&scene.log(room).await);
        assert_eq!(scene.head(room).await, Seq::new(length));
    }
}

pub(crate) async fn a_run_may_be_as_long_as_its_limit(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let long = "ä".repeat(Content::DEFAULT_LIMIT / 2);
    let messages: Vec<NewMessage> = (0..Run::LIMIT)
        .map(|_| scene.message(owner, &long))
        .collect();
    assert_eq!(scene.append(room, FIRST, messages).await, all(Run::LIMIT));
    assert_dense(&scene.log(room).await);
    let said = scene.said(room).await;
    assert_eq!(said.len(), Run::LIMIT);
    assert!(said.iter().all(|event| text_of(event) == Some(&long)));
}

pub(crate) async fn of_runs_for_one_place_one_is_stored(scene: &Scene) {
    let users = scene.users(6).await;
    let room = scene.room_of(&users).await;
    let attempts = users
        .iter()
        .map(|user| scene.append(room, FIRST, scene.messages(*user, 5)));
    let outcomes = join_all(attempts).await;
    let stored = outcomes.iter().filter(|outcome| **outcome == all(5));
    assert_eq!(stored.count(), 1, "{outcomes:?}");
    let refused = stopped(0, Stop::SeqTaken);
    assert_eq!(
        outcomes.iter().filter(|other| **other == refused).count(),
        5
    );
    assert_dense(&scene.log(room).await);
    let said = scene.said(room).await;
    assert!(said.len() == 5 && said.iter().all(|event| event.sender == said[0].sender));
}

pub(crate) async fn racing_writers_make_one_dense_log_in_each_sender_s_order(scene: &Scene) {
    let users = scene.users(4).await;
    let room = scene.room_of(&users).await;
    let writing = users.iter().map(async |user| {
        let messages = scene.messages(*user, 30);
        // Pieces of several sizes, so that runs of one and runs of many race.
        for piece in [
            &messages[..1],
            &messages[1..8],
            &messages[8..10],
            &messages[10..],
        ] {
            scene.say_all(room, piece.to_vec()).await;
        }
    });
    join_all(writing).await;
    assert_dense(&scene.log(room).await);
    let said = scene.said(room).await;
    assert_eq!(said.len(), 120);
    let expected: Vec<String> = (0..30).map(|index| format!("message {index}")).collect();
    for user in users {
        let theirs: Vec<&str> = said
            .iter()
            .filter(|event| event.sender == user)
            .filter_map(text_of)
            .collect();
        assert_eq!(theirs, expected);
    }
}

pub(crate) async fn of_racing_retries_one_is_stored(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let id = scene.message(owner, "once").client_message_id;
    let attempts = (0..6).map(async |_| {
        let message = NewMessage {
            client_message_id: id.clone(),
            ..scene.message(owner, "once")
        };
        loop {
            let place = scene.head(room).await.next().get();
            let outcome = scene.append(room, place, vec![message.clone()]).await;
            match outcome.stopped {
                Some(Stop::SeqTaken) => {}
                Some(Stop::IdTaken) => return 0,
                None => return 1,
                other => panic!("{other:?}"),
            }
        }
    });
    let stored: usize = join_all(attempts).await.into_iter().sum();
    let said = scene.said(room).await;
    assert_eq!((stored, said.len()), (1, 1));
    let found = scene.store.message_by_client_id(room, owner, &id).await;
    assert_eq!(found.unwrap().as_ref(), said.first());
}

pub(crate) async fn a_message_is_found_by_its_sender_s_id(scene: &Scene) {
    let users = scene.users(2).await;
    let (room, other) = (scene.room_of(&users).await, scene.room_of(&users).await);
    let id = ClientMessageId::parse("!\"$.%_~{}'").unwrap();
    let message = NewMessage {
        client_message_id: id.clone(),
        ..scene.message(users[0], "hello")
    };
    assert_eq!(
        scene.append(room, FIRST, vec![message.clone()]).await,
        all(1)
    );
    let find = async |room, user, id| {
        let found = scene.store.message_by_client_id(room, user, id).await;
        found.unwrap()
    };
    assert_eq!(
        find(room, users[0], &id).await,
        Some(stored_as(&message, room, FIRST))
    );
    let unknown = ClientMessageId::parse("unknown").unwrap();
    assert_eq!(find(room, users[0], &unknown).await, None);
    assert_eq!(find(room, users[1], &id).await, None);
    assert_eq!(find(other, users[0], &id).await, None);
}
