//! A user's list of conversations: its order, its pages, and the counts of what is unread.

use std::collections::BTreeSet;

use hobnob::domain::{ChangeKind, ConversationId, Emoji, Role, Seq, Timestamp, UserId};
use hobnob::store::{CursorMove, NewMessage, Overview, Run};

use super::scene::{Scene, text_of};

async fn list(scene: &Scene, user: UserId) -> Vec<Overview> {
    scene.store.overviews(user, None, 100).await.unwrap()
}

fn ids(overviews: &[Overview]) -> Vec<ConversationId> {
    overviews.iter().map(|one| one.conversation.id).collect()
}

async fn only(scene: &Scene, user: UserId) -> Overview {
    let mut overviews = list(scene, user).await;
    assert_eq!(overviews.len(), 1);
    overviews.remove(0)
}

async fn say_at(scene: &Scene, room: ConversationId, sender: UserId, at: Timestamp) {
    let message = NewMessage {
        at,
        ..scene.message(sender, "hello")
    };
    scene.say_all(room, vec![message]).await;
}

async fn rooms(scene: &Scene, owner: UserId, count: usize) -> Vec<ConversationId> {
    let mut rooms = Vec::new();
    for _ in 0..count {
        rooms.push(scene.room_of(&[owner]).await);
    }
    rooms
}

async fn read_up_to(scene: &Scene, conversation: ConversationId, user: UserId, seq: Seq) {
    let cursor = CursorMove {
        conversation,
        user,
        delivered: seq,
        read: seq,
    };
    scene.store.move_cursors(&[cursor]).await.unwrap();
}

pub(crate) async fn an_overview_shows_the_newest_message_and_the_head(scene: &Scene) {
    let users = scene.users(2).await;
    let room = scene.room_of(&users).await;
    let fresh = only(scene, users[1]).await;
    assert_eq!((fresh.head, fresh.unread), (Seq::new(1), 0));
    // That the room was made is an event, and no message.
    assert_eq!(fresh.last_message, None);
    scene.say(room, users[0], "first").await;
    let target = scene.say(room, users[0], "last").await;
    let reaction = ChangeKind::React {
        target,
        emoji: Emoji::parse("👍").unwrap(),
        added: true,
    };
    let event = scene.apply(room, users[1], reaction).await;
    let overview = only(scene, users[1]).await;
    assert_eq!(overview.head, event.seq);
    assert_eq!(overview.last_message, Some(scene.event(room, target).await));
    assert_eq!(Some(overview.member), scene.member(room, users[1]).await);
    let found = scene.store.conversations(&[room]).await.unwrap();
    assert_eq!(found, [overview.conversation]);
    assert!(list(scene, scene.user_id()).await.is_empty());
}

pub(crate) async fn the_newest_message_comes_first_and_silence_counts_by_creation(scene: &Scene) {
    let owner = scene.user().await;
    let early = rooms(scene, owner, 3).await;
    scene.say(early[1], owner, "old").await;
    let silent = scene.room_of(&[owner]).await;
    scene.say(early[0], owner, "new").await;
    let direct = scene.direct_of(owner, owner).await;
    let expected = [direct, early[0], silent, early[1], early[2]];
    assert_eq!(ids(&list(scene, owner).await), expected);
    // Another kind of event does not move a conversation.
    let name = hobnob::domain::RoomName::parse("Renamed").unwrap();
    scene
        .apply(early[2], owner, ChangeKind::Rename { name })
        .await;
    assert_eq!(ids(&list(scene, owner).await), expected);
    // Nor does a clock that is behind: the newest message is the one with the highest seq.
    let past = Timestamp::from_millis(scene.now().millis() - 3_600_000);
    say_at(scene, early[0], owner, past).await;
    let expected = [direct, silent, early[1], early[2], early[0]];
    assert_eq!(ids(&list(scene, owner).await), expected);
}

pub(crate) async fn pages_join_even_where_times_are_equal(scene: &Scene) {
    let owner = scene.user().await;
    let rooms = rooms(scene, owner, 7).await;
    let at = scene.now();
    for room in &rooms[1..5] {
        say_at(scene, *room, owner, at).await;
    }
    let everything = ids(&list(scene, owner).await);
    for size in [1, 2, 3, 7] {
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = scene.store.overviews(owner, after, size).await.unwrap();
            let Some(last) = page.last() else { break };
            assert!(page.len() <= size);
            after = Some(last.conversation.id);
            paged.extend(ids(&page));
        }
        assert_eq!(paged, everything, "pages of {size}");
    }
    let all: BTreeSet<_> = everything.iter().copied().collect();
    assert_eq!(all, rooms.into_iter().collect());
}

pub(crate) async fn a_page_goes_on_after_a_conversation_that_was_left(scene: &Scene) {
    let owner = scene.user().await;
    let rooms = rooms(scene, owner, 3).await;
    for room in &rooms {
        scene.say(*room, owner, "hello").await;
    }
    let leave = ChangeKind::RemoveMember { user: owner };
    scene.apply(rooms[1], owner, leave).await;
    let page = scene.store.overviews(owner, Some(rooms[1]), 5).await;
    assert_eq!(ids(&page.unwrap()), [rooms[0]]);
}

pub(crate) async fn former_and_deleted_rooms_are_not_listed(scene: &Scene) {
    let users = scene.users(2).await;
    let kept = scene.room_of(&users).await;
    let left = scene.room_of(&users).await;
    let deleted = scene.room_of(&users).await;
    let leave = ChangeKind::RemoveMember { user: users[1] };
    scene.apply(left, users[1], leave).await;
    scene.apply(deleted, users[0], ChangeKind::DeleteRoom).await;
    assert_eq!(ids(&list(scene, users[1]).await), [kept]);
    assert_eq!(ids(&list(scene, users[0]).await), [left, kept]);
}

pub(crate) async fn unread_are_the_messages_of_others_after_the_read_cursor(scene: &Scene) {
    let users = scene.users(2).await;
    let (me, other) = (users[0], users[1]);
    let room = scene.room_of(&users).await;
    let unread = async || only(scene, me).await.unread;
    let oldest = scene.head(room).await.next();
    let newest = scene.say_all(room, scene.messages(other, 4)).await;
    scene.say(room, me, "mine").await;
    let reaction = ChangeKind::React {
        target: newest,
        emoji: Emoji::parse("👍").unwrap(),
        added: true,
    };
    scene.apply(room, other, reaction).await;
    assert_eq!(unread().await, 4);
    let target = newest.previous();
    scene
        .apply(room, other, ChangeKind::Delete { target })
        .await;
    assert_eq!(unread().await, 3, "a deleted message is not to be read");
    read_up_to(scene, room, me, oldest).await;
    assert_eq!(unread().await, 2);
    read_up_to(scene, room, me, newest).await;
    assert_eq!(unread().await, 0);
    scene.say(room, other, "more").await;
    assert_eq!(unread().await, 1);
    assert_eq!(only(scene, other).await.unread, 1);
}

pub(crate) async fn a_late_member_sees_their_own_part_only(scene: &Scene) {
    let (room, owner) = scene.room().await;
    scene.say_all(room, scene.messages(owner, 5)).await;
    let user = scene.user().await;
    let role = Role::Member;
    let join = ChangeKind::AddMember { user, role };
    let event = scene.apply(room, owner, join).await;
    let overview = only(scene, user).await;
    assert_eq!((overview.head, overview.unread), (event.seq, 0));
    assert_eq!(overview.last_message, None);
    scene.say(room, owner, "welcome").await;
    let overview = only(scene, user).await;
    let last = overview.last_message.unwrap();
    assert_eq!((text_of(&last), overview.unread), (Some("welcome"), 1));
}

pub(crate) async fn messages_before_one_s_joining_do_not_move_a_conversation(scene: &Scene) {
    let (user, owner) = (scene.user().await, scene.user().await);
    let late = scene.room_of(&[owner]).await;
    let own = scene.room_of(&[user]).await;
    scene.say(late, owner, "before them").await;
    let role = Role::Member;
    let join = ChangeKind::AddMember { user, role };
    scene.apply(late, owner, join).await;
    assert_eq!(ids(&list(scene, user).await), [own, late]);
    scene.say(late, owner, "welcome").await;
    assert_eq!(ids(&list(scene, user).await), [late, own]);
}

pub(crate) async fn a_deleted_message_stays_the_last_one(scene: &Scene) {
    let (room, owner) = scene.room().await;
    scene.say(room, owner, "first").await;
    let target = scene.say(room, owner, "secret").await;
    scene
        .apply(room, owner, ChangeKind::Delete { target })
        .await;
    let last = only(scene, owner).await.last_message.unwrap();
    assert_eq!((last.seq, text_of(&last)), (target, None));
}

pub(crate) async fn unread_is_counted_up_to_its_limit(scene: &Scene) {
    let users = scene.users(2).await;
    let room = scene.room_of(&users).await;
    for _ in 0..=Overview::UNREAD_LIMIT / Run::LIMIT as u64 {
        scene
            .say_all(room, scene.messages(users[1], Run::LIMIT))
            .await;
    }
    let overview = only(scene, users[0]).await;
    assert!(overview.head.get() > Overview::UNREAD_LIMIT);
    assert_eq!(overview.unread, Overview::UNREAD_LIMIT);
    let nearly = Seq::new(overview.head.get() - 3);
    read_up_to(scene, room, users[0], nearly).await;
    assert_eq!(only(scene, users[0]).await.unread, 3);
    // What is one's own does not count towards the limit.
    scene.say(room, users[0], "mine").await;
    assert_eq!(only(scene, users[1]).await.unread, 1);
}
