//! Edits, deletions and reactions: the event and its projection on the message, in one transaction (D8).

use std::collections::HashMap;

use futures_util::future::join_all;
use hobnob::commit::Changed;
use hobnob::domain::{
    Body, ChangeKind, Content, ConversationId, Emoji, Event, Fingerprint, Message, Refusal, Role,
    Seq, UserId, projections,
};
use hobnob::store::Projected;

use super::scene::{Scene, assert_dense, message_of, text_of};

fn content(text: &str) -> Content {
    Content::stored(text.to_owned())
}

fn edit(target: Seq, text: &str) -> ChangeKind {
    let content = content(text);
    ChangeKind::Edit { target, content }
}

fn react(target: Seq, emoji: &str, added: bool) -> ChangeKind {
    ChangeKind::React {
        target,
        emoji: Emoji::parse(emoji).unwrap(),
        added,
    }
}

/// What the edit in an event says; none once it was cleared.
fn edited_to(event: &Event) -> Option<&str> {
    match &event.body {
        Body::Edited { content, .. } => content.as_ref().map(Content::as_str),
        other => panic!("not an edit: {other:?}"),
    }
}

pub(crate) async fn an_edit_is_an_event_and_shows_on_the_message(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let target = scene.say(room, owner, "teh cat").await;
    let before = scene.event(room, target).await;
    let event = scene.apply(room, owner, edit(target, "the cat 🐈")).await;
    assert_eq!(event.seq, target.next());
    assert_eq!(edited_to(&event), Some("the cat 🐈"));
    assert_eq!(scene.event(room, event.seq).await, event);
    let after = scene.event(room, target).await;
    let (old, new) = (message_of(&before), message_of(&after));
    assert_eq!(text_of(&after), Some("the cat 🐈"));
    assert_eq!(new.edited_at, Some(event.at));
    assert_eq!(new.fingerprint, old.fingerprint);
    assert_eq!(new.client_message_id, old.client_message_id);
    assert_eq!((after.id, after.at), (before.id, before.at));
    let again = scene.change(room, owner, edit(target, "the cat 🐈")).await;
    assert_eq!(again, Changed::Nothing);
}

pub(crate) async fn a_deletion_clears_the_message_and_its_edits(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let kept = scene.say(room, owner, "kept").await;
    let target = scene.say(room, owner, "secret").await;
    let edits = [
        scene.apply(room, owner, edit(target, "secret 2")).await,
        scene.apply(room, owner, edit(kept, "kept 2")).await,
        scene.apply(room, owner, edit(target, "secret 3")).await,
    ];
    scene.apply(room, owner, react(target, "👍", true)).await;
    let delete = ChangeKind::Delete { target };
    let event = scene.apply(room, owner, delete.clone()).await;
    assert_eq!(event.body, Body::Deleted { target });
    assert_eq!(scene.event(room, event.seq).await, event);
    let gone = scene.event(room, target).await;
    assert_eq!(text_of(&gone), None);
    assert_eq!(message_of(&gone).deleted_at, Some(event.at));
    for (edit, left) in edits.iter().zip([None, Some("kept 2"), None]) {
        let replayed = scene.event(room, edit.seq).await;
        assert_eq!(edited_to(&replayed), left);
    }
    assert_eq!(text_of(&scene.event(room, kept).await), Some("kept 2"));
    assert!(!format!("{:?}", scene.log(room).await).contains("secret"));
    let again = scene.change(room, owner, delete).await;
    assert_eq!(again, Changed::Nothing);
}

pub(crate) async fn what_was_said_first_is_kept_for_former_members(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let target = scene.say(room, owner, "first").await;
    let untouched = scene.event(room, target).await;
    scene.apply(room, owner, edit(target, "second")).await;
    scene.apply(room, owner, edit(target, "third")).await;
    scene.apply(room, owner, react(target, "👍", true)).await;
    let now = scene.event(room, target).await;
    assert_eq!(text_of(&now), Some("third"));
    assert_eq!(now.into_sent(), untouched);
    scene
        .apply(room, owner, ChangeKind::Delete { target })
        .await;
    let gone = scene.event(room, target).await.into_sent();
    assert_eq!(text_of(&gone), None);
    assert!(!gone.is_touched());
}

pub(crate) async fn a_deleted_message_still_recognises_its_retry(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let message = scene.message(owner, "secret");
    let target = scene.say_all(room, vec![message.clone()]).await;
    let delete = ChangeKind::Delete { target };
    scene.apply(room, owner, delete).await;
    let id = &message.client_message_id;
    let found = scene.store.message_by_client_id(room, owner, id).await;
    let found = found.unwrap().unwrap();
    let fingerprint = Fingerprint::of(&content("secret"));
    assert_eq!((found.seq, text_of(&found)), (target, None));
    assert_eq!(message_of(&found).fingerprint, fingerprint);
}

pub(crate) async fn reactions_are_put_on_and_taken_off(scene: &Scene) {
    let users = scene.users(2).await;
    let room = scene.room_of(&users).await;
    let target = scene.say(room, users[0], "hello").await;
    let odd = "\"'\\%👩‍👩‍👧";
    for (user, emoji) in [(1, "👍"), (0, "👍"), (0, odd)] {
        let event = scene
            .apply(room, users[user], react(target, emoji, true))
            .await;
        assert_eq!(scene.event(room, event.seq).await, event);
    }
    let reactions = async || {
        let event = scene.event(room, target).await;
        message_of(&event).reactions.0.clone()
    };
    let [thumb, odd] = ["👍", odd].map(|emoji| Emoji::parse(emoji).unwrap());
    let expected = [
        (thumb.clone(), vec![users[1], users[0]]),
        (odd.clone(), vec![users[0]]),
    ];
    assert_eq!(reactions().await, expected.into_iter().collect());
    let off = react(target, odd.as_str(), false);
    let event = scene.apply(room, users[0], off.clone()).await;
    let (emoji, added) = (odd, false);
    let body = Body::Reacted {
        target,
        emoji,
        added,
    };
    assert_eq!(scene.event(room, event.seq).await.body, body);
    scene
        .apply(room, users[1], react(target, "👍", false))
        .await;
    let expected = [(thumb, vec![users[0]])];
    assert_eq!(reactions().await, expected.into_iter().collect());
    assert_eq!(scene.change(room, users[0], off).await, Changed::Nothing);
}

pub(crate) async fn racing_reactions_all_stay(scene: &Scene) {
    let users = scene.users(5).await;
    let room = scene.room_of(&users).await;
    let target = scene.say(room, users[0], "hello").await;
    let reacting = users
        .iter()
        .map(|user| scene.apply(room, *user, react(target, "👍", true)));
    join_all(reacting).await;
    assert_dense(&scene.log(room).await);
    let event = scene.event(room, target).await;
    let reactions = &message_of(&event).reactions;
    let thumb = Emoji::parse("👍").unwrap();
    assert!(users.iter().all(|user| reactions.has(&thumb, *user)));
    assert_eq!(reactions.count(), 5);
}

/// As the committer does it: each is decided as of the one before, and what follows is written for all of them at once.
pub(crate) async fn what_follows_from_several_changes_is_written_together(scene: &Scene) {
    let users = scene.users(2).await;
    let room = scene.room_of(&users).await;
    let said = [
        scene.say(room, users[0], "teh cat").await,
        scene.say(room, users[0], "and the dog").await,
    ];
    let changes = [
        (users[0], react(said[0], "👍", true)),
        (users[1], react(said[1], "👍", true)),
        (users[0], edit(said[0], "the cat")),
        (users[1], react(said[0], "👍", true)),
        (users[0], react(said[0], "👍", false)),
    ];
    let mut messages = HashMap::new();
    for seq in said {
        messages.insert(seq, message_of(&scene.event(room, seq).await).clone());
    }
    let mut together = Vec::new();
    for (actor, kind) in changes {
        let change = scene.a_change(room, actor, kind);
        let message = messages.get_mut(&change.kind.target().unwrap()).unwrap();
        let body = match &change.kind {
            ChangeKind::React {
                target,
                emoji,
                added,
            } => Body::Reacted {
                target: *target,
                emoji: emoji.clone(),
                added: *added,
            },
            ChangeKind::Edit { target, content } => Body::Edited {
                target: *target,
                content: Some(content.clone()),
            },
            other => panic!("{other:?}"),
        };
        let event = scene.happen(&change, body).await;
        let projections = projections(&event, Some(message));
        *message = projections.iter().fold(message.clone(), Message::with);
        together.push(Projected { event, projections });
    }
    scene.store.project(&together).await.unwrap();
    scene.store.project(&together).await.unwrap();
    for seq in said {
        assert_eq!(message_of(&scene.event(room, seq).await), &messages[&seq]);
    }
}

pub(crate) async fn racing_edits_leave_the_last_one_in_the_log(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let target = scene.say(room, owner, "0").await;
    let texts = ["1", "2", "3", "4", "5"];
    let editing = texts.map(|text| scene.apply(room, owner, edit(target, text)));
    join_all(editing).await;
    let log = scene.log(room).await;
    assert_dense(&log);
    let last = log.last().unwrap();
    let said = scene.event(room, target).await;
    assert_eq!((log.len(), text_of(&said)), (7, edited_to(last)));
    assert_eq!(message_of(&said).edited_at, Some(last.at));
}

async fn refusal(
    scene: &Scene,
    room: ConversationId,
    actor: UserId,
    kind: ChangeKind,
) -> Option<Refusal> {
    let head = scene.head(room).await;
    let answer = scene.change(room, actor, kind).await;
    assert_eq!(scene.head(room).await, head);
    match answer {
        Changed::Refused(why) => Some(why),
        Changed::Nothing | Changed::Applied(_) => None,
    }
}

pub(crate) async fn what_is_no_message_of_theirs_cannot_be_changed(scene: &Scene) {
    let users = scene.users(2).await;
    let (owner, other) = (users[0], users[1]);
    let room = scene.room_of(&users).await;
    let target = scene.say(room, owner, "mine").await;
    let reaction = scene.apply(room, owner, react(target, "👍", true)).await;
    let theirs = edit(target, "theirs");
    let why = refusal(scene, room, other, theirs).await;
    assert_eq!(why, Some(Refusal::NotAllowed));
    // The event that made the room is none, either.
    let made = Seq::new(1);
    for nothing in [reaction.seq, reaction.seq.next(), Seq::ZERO, made] {
        let why = refusal(scene, room, owner, edit(nothing, "x")).await;
        assert_eq!(why, Some(Refusal::NoSuchMessage), "at {nothing}");
    }
    let late = scene.user().await;
    let (user, role) = (late, Role::Member);
    let join = ChangeKind::AddMember { user, role };
    scene.apply(room, owner, join).await;
    let why = refusal(scene, room, late, react(target, "👍", true)).await;
    assert_eq!(why, Some(Refusal::NoSuchMessage), "before their joining");
    let delete = ChangeKind::Delete { target };
    scene.apply(room, owner, delete).await;
    let why = refusal(scene, room, owner, edit(target, "x")).await;
    assert_eq!(why, Some(Refusal::MessageDeleted));
}

pub(crate) async fn messages_of_a_direct_conversation_change_likewise(scene: &Scene) {
    let users = scene.users(2).await;
    let id = scene.direct_of(users[0], users[1]).await;
    let target = scene.say(id, users[0], "hello").await;
    scene.apply(id, users[1], react(target, "👍", true)).await;
    scene.apply(id, users[0], edit(target, "hello!")).await;
    let event = scene.event(id, target).await;
    assert_eq!(text_of(&event), Some("hello!"));
    assert_eq!(message_of(&event).reactions.count(), 1);
    let delete = ChangeKind::Delete { target };
    let why = refusal(scene, id, users[1], delete).await;
    assert_eq!(why, Some(Refusal::NotAllowed));
}

pub(crate) async fn an_edit_that_is_repeated_after_the_deletion_shows_nothing(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let target = scene.say(room, owner, "secret").await;
    let change = scene.a_change(room, owner, edit(target, "secret 2"));
    let first = scene.make(&change).await;
    assert!(matches!(first, Changed::Applied(_)));
    scene
        .apply(room, owner, ChangeKind::Delete { target })
        .await;
    let Changed::Applied(stored) = scene.make(&change).await else {
        panic!("not recognised")
    };
    assert_eq!((stored.id, edited_to(&stored)), (change.id, None));
    assert_eq!(scene.head(room).await, target.plus(2));
}
