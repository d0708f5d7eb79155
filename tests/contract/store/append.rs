//! Appending: the log is dense, its prefix is committed, and its two unique keys decide (D1, D2, D3).

use hobnob::domain::{Body, Event, Message, Reactions, Seq};
use hobnob::store::{NewMessage, Stop};

use super::scene::{Scene, all, stopped, texts};

/// The event that a message must become.
fn stored_as(new: &NewMessage, conversation: hobnob::domain::ConversationId, seq: u64) -> Event {
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
            edited_at: None,
            deleted_at: None,
            reactions: Reactions::default(),
        }),
    }
}

pub async fn a_run_is_stored_as_it_was_sent(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let texts = ["plain", "žluťoučký kůň 🐎 \u{202E}", "nul \0 \" ' \\ $ . {}", " "];
    let messages: Vec<NewMessage> = texts
        .iter()
        .map(|text| scene.message(owner, text))
        .collect();
    let outcome = scene.append(room, 1, messages.clone()).await;
    assert_eq!(outcome, all(4));
    let expected: Vec<Event> = (1..)
        .zip(&messages)
        .map(|(seq, new)| stored_as(new, room, seq))
        .collect();
    assert_eq!(scene.log(room).await, expected);
}

pub async fn a_taken_seq_stops_a_run_and_stores_nothing(scene: &Scene) {
    let (room, owner) = scene.room().await;
    assert_eq!(scene.append(room, 1, scene.messages(owner, 2)).await, all(2));
    for guess in [1, 2] {
        let outcome = scene.append(room, guess, scene.messages(owner, 3)).await;
        assert_eq!(outcome, stopped(0, Stop::SeqTaken), "at {guess}");
    }
    assert_eq!(texts(&scene.log(room).await), ["message 0", "message 1"]);
}
