//! Conversations, members and cursors.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use hobnob::domain::{
    Body, ChangeKind, Conversation, ConversationId, Member, Role, RoomName, Seq, UserId,
};
use hobnob::store::{CursorMove, End, all_memberships};

use super::scene::{Scene, whole};

fn first_member(conversation: ConversationId, user: UserId, role: Role) -> Member {
    Member::joining(conversation, user, role, Seq::new(1))
}

async fn all_members(scene: &Scene, conversation: ConversationId) -> Vec<Member> {
    let members = scene.store.members(conversation, None, 100).await;
    members.unwrap()
}

pub(crate) async fn a_direct_conversation_is_made_once(scene: &Scene) {
    let users = scene.users(2).await;
    let (id, at) = (ConversationId::direct(users[1], users[0]), scene.now());
    assert!(scene.store.ensure_direct(id, at).await.unwrap());
    assert!(!scene.store.ensure_direct(id, scene.now()).await.unwrap());
    let expected = Conversation {
        id,
        name: None,
        creator: None,
        created_at: at,
        deleted_seq: None,
    };
    let found = scene.store.conversations(&[id]).await.unwrap();
    assert_eq!(found, [expected]);
    let mut expected: Vec<Member> = id
        .direct_users()
        .map(|user| first_member(id, user, Role::Member))
        .collect();
    expected.sort_by_key(|member| member.user);
    assert_eq!(all_members(scene, id).await, expected);
}

pub(crate) async fn of_many_who_make_a_direct_conversation_one_does(scene: &Scene) {
    let users = scene.users(2).await;
    let id = ConversationId::direct(users[0], users[1]);
    let attempts = (0..8).map(async |_| {
        let made = scene.store.ensure_direct(id, scene.now()).await.unwrap();
        // Whoever made it: it is complete for everybody who was answered (D6).
        assert_eq!(all_members(scene, id).await.len(), 2);
        usize::from(made)
    });
    let made: usize = join_all(attempts).await.into_iter().sum();
    assert_eq!(made, 1);
}

pub(crate) async fn ensuring_again_does_not_reset_the_members(scene: &Scene) {
    let users = scene.users(2).await;
    let id = ConversationId::direct(users[0], users[1]);
    scene.store.ensure_direct(id, scene.now()).await.unwrap();
    scene.say(id, users[0], "hello").await;
    move_to(scene, id, users[1], 1, 1).await;
    scene.store.ensure_direct(id, scene.now()).await.unwrap();
    let member = scene.member(id, users[1]).await.unwrap();
    assert_eq!(member.delivered_seq, Seq::new(1));
}

pub(crate) async fn a_conversation_with_oneself_has_one_member(scene: &Scene) {
    let user = scene.user().await;
    let id = ConversationId::direct(user, user);
    assert!(scene.store.ensure_direct(id, scene.now()).await.unwrap());
    assert!(!scene.store.ensure_direct(id, scene.now()).await.unwrap());
    let expected = [first_member(id, user, Role::Member)];
    assert_eq!(all_members(scene, id).await, expected);
    let memberships = all_memberships(&*scene.store, user).await.unwrap();
    assert_eq!(memberships, expected);
    assert_eq!(scene.say(id, user, "a note").await, Seq::new(1));
}

pub(crate) async fn a_room_is_made_as_given(scene: &Scene) {
    let users = scene.users(3).await;
    let room = scene.new_room(&users);
    let id = room.conversation.id;
    scene.store.create_room(room.clone()).await.unwrap();
    let unknown = scene.room_id().into();
    let found = scene.store.conversations(&[unknown, id]).await.unwrap();
    assert_eq!(found, [room.conversation]);
    let by_user = |members: Vec<Member>| -> Vec<_> {
        let mut members: Vec<_> = members
            .iter()
            .map(|member| (member.user, *member))
            .collect();
        members.sort_by_key(|(user, _)| *user);
        members
    };
    let stored = all_members(scene, id).await;
    assert_eq!(by_user(stored), by_user(room.members));
    let owner = scene.member(id, users[0]).await;
    assert_eq!(owner, Some(first_member(id, users[0], Role::Owner)));
    assert_eq!(scene.member(id, scene.user_id()).await, None);
    assert_eq!(scene.member(unknown, users[0]).await, None);
    assert_eq!(scene.store.conversations(&[]).await.unwrap(), []);
}

pub(crate) async fn a_room_s_log_begins_with_its_making(scene: &Scene) {
    let users = scene.users(2).await;
    let room = scene.new_room(&users);
    let id = room.conversation.id;
    scene.store.create_room(room.clone()).await.unwrap();
    assert_eq!(scene.log(id).await, [(*room.created).clone()]);
    let made = &room.created;
    let name = RoomName::parse("A room").unwrap();
    assert_eq!((made.seq, made.sender), (Seq::new(1), users[0]));
    assert_eq!(made.at, room.conversation.created_at);
    assert_eq!(made.body, Body::Created { name });
    // It is in the log of each of the first members, and still to be delivered to them.
    for user in users {
        let member = scene.member(id, user).await.unwrap();
        assert_eq!(
            (member.joined_seq, member.resume_after()),
            (made.seq, Seq::ZERO)
        );
    }
    // What is no message is not in the history.
    let history = scene.store.messages(whole(id), End::Newest, 9).await;
    assert_eq!(history.unwrap(), []);
}

pub(crate) async fn racing_makings_of_a_room_make_one_event(scene: &Scene) {
    let users = scene.users(2).await;
    let room = scene.new_room(&users);
    let makings = (0..5).map(|_| scene.store.create_room(room.clone()));
    for made in join_all(makings).await {
        made.unwrap();
    }
    assert_eq!(
        scene.log(room.conversation.id).await,
        [(*room.created).clone()]
    );
}

pub(crate) async fn a_room_is_made_all_or_nothing(scene: &Scene) {
    let users = scene.users(6).await;
    let room = scene.new_room(&users);
    let id = room.conversation.id;
    // Looks as often as it can, and not by `until`: what may not be seen would be there for a moment only.
    let watch = async {
        loop {
            let members = all_members(scene, id).await.len();
            let found = scene.store.conversations(&[id]).await.unwrap().len();
            let log = scene.log(id).await.len();
            match (members, found, log) {
                // It may have been made between the reads.
                (0, ..) => tokio::task::yield_now().await,
                seen => return seen,
            }
        }
    };
    let (made, seen) = tokio::join!(scene.store.create_room(room), watch);
    made.unwrap();
    assert_eq!(seen, (6, 1, 1));
}

pub(crate) async fn repeating_the_making_of_a_room_changes_nothing(scene: &Scene) {
    let users = scene.users(2).await;
    let room = scene.new_room(&users);
    let id = room.conversation.id;
    let made = room.created.clone();
    scene.store.create_room(room.clone()).await.unwrap();
    let name = RoomName::parse("Renamed").unwrap();
    let rename = ChangeKind::Rename { name: name.clone() };
    scene.apply(id, users[0], rename).await;
    let leave = ChangeKind::RemoveMember { user: users[1] };
    let left = scene.apply(id, users[1], leave).await;
    scene.store.create_room(room).await.unwrap();
    let found = scene.store.conversations(&[id]).await.unwrap();
    assert_eq!(found[0].name.as_ref(), Some(&name));
    let member = scene.member(id, users[1]).await.unwrap();
    assert_eq!(member.left_seq, Some(left.seq));
    // The room's making, the renaming, the leaving.
    let log = scene.log(id).await;
    assert_eq!((log.len(), &log[0]), (3, &*made));
}

pub(crate) async fn members_are_paged_by_user_id(scene: &Scene) {
    let users = scene.users(5).await;
    let room = scene.room_of(&users).await;
    let leave = ChangeKind::RemoveMember { user: users[3] };
    scene.apply(room, users[3], leave).await;
    let mut expected: Vec<UserId> = users.clone();
    expected.remove(3);
    expected.sort_unstable();
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = scene.store.members(room, after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2);
        after = Some(last.user);
        paged.extend(page.iter().map(|member| member.user));
    }
    assert_eq!(paged, expected);
    assert_eq!(scene.store.members(room, None, 0).await.unwrap(), []);
}

pub(crate) async fn memberships_include_former_ones(scene: &Scene) {
    let users = scene.users(2).await;
    let room = scene.room_of(&users).await;
    let left = scene.room_of(&users).await;
    let direct = scene.direct_of(users[0], users[1]).await;
    let leave = ChangeKind::RemoveMember { user: users[1] };
    let event = scene.apply(left, users[1], leave).await;
    let memberships = all_memberships(&*scene.store, users[1]).await.unwrap();
    let seen: BTreeSet<_> = memberships
        .iter()
        .map(|member| (member.conversation, member.user, member.left_seq))
        .collect();
    let expected = [
        (room, users[1], None),
        (left, users[1], Some(event.seq)),
        (direct, users[1], None),
    ];
    assert_eq!(seen, expected.into_iter().collect());
    assert_eq!(memberships.len(), 3);
    let nobody = all_memberships(&*scene.store, scene.user_id()).await;
    assert_eq!(nobody.unwrap(), []);
}

async fn move_to(
    scene: &Scene,
    conversation: ConversationId,
    user: UserId,
    delivered: u64,
    read: u64,
) {
    let cursor = CursorMove {
        conversation,
        user,
        delivered: Seq::new(delivered),
        read: Seq::new(read),
    };
    scene.store.move_cursors(&[cursor]).await.unwrap();
}

pub(crate) async fn cursors_never_move_back(scene: &Scene) {
    let (room, owner) = scene.room().await;
    scene.say_all(room, scene.messages(owner, 9)).await;
    let moves = [
        ((5, 0), (5, 0)),
        ((3, 3), (5, 3)),
        ((7, 2), (7, 3)),
        ((7, 7), (7, 7)),
        ((1, 0), (7, 7)),
        ((0, 8), (7, 8)),
    ];
    for ((delivered, read), expected) in moves {
        move_to(scene, room, owner, delivered, read).await;
        let member = scene.member(room, owner).await.unwrap();
        let cursors = (member.delivered_seq.get(), member.read_seq.get());
        assert_eq!(cursors, expected);
    }
}

pub(crate) async fn many_cursors_move_at_once_and_unknown_ones_are_ignored(scene: &Scene) {
    let users = scene.users(3).await;
    let room = scene.room_of(&users).await;
    scene.say_all(room, scene.messages(users[0], 3)).await;
    let unknown = ConversationId::from(scene.room_id());
    let stranger = scene.user_id();
    let places = [
        (room, users[0], 1),
        (unknown, users[0], 1),
        (room, stranger, 1),
        (room, users[1], 2),
        (room, users[2], 3),
    ];
    let moves = places.map(|(conversation, user, seq)| CursorMove {
        conversation,
        user,
        delivered: Seq::new(seq),
        read: Seq::ZERO,
    });
    scene.store.move_cursors(&moves).await.unwrap();
    scene.store.move_cursors(&[]).await.unwrap();
    for (user, seq) in users.iter().zip(1..) {
        let member = scene.member(room, *user).await.unwrap();
        assert_eq!(member.delivered_seq, Seq::new(seq));
    }
    assert_eq!(scene.member(room, stranger).await, None);
    assert_eq!(scene.member(unknown, users[0]).await, None);
}

pub(crate) async fn racing_cursors_end_at_the_furthest(scene: &Scene) {
    let (room, owner) = scene.room().await;
    scene.say_all(room, scene.messages(owner, 20)).await;
    let order = [4, 20, 1, 7, 12, 3, 19, 2];
    join_all(order.map(|seq| move_to(scene, room, owner, seq, seq / 2))).await;
    let member = scene.member(room, owner).await.unwrap();
    let cursors = (member.delivered_seq.get(), member.read_seq.get());
    assert_eq!(cursors, (20, 10));
}

pub(crate) async fn pages_of_memberships_and_rooms_join(scene: &Scene) {
    let users = scene.users(6).await;
    let (mut rooms, mut all) = (Vec::new(), Vec::new());
    for other in &users[1..] {
        let direct = ConversationId::direct(users[0], *other);
        let made = scene.store.ensure_direct(direct, scene.now()).await;
        assert!(made.unwrap());
        rooms.push(scene.room_of(&[*other, users[0]]).await);
        all.extend([direct, *rooms.last().unwrap()]);
    }
    let left = rooms.remove(2);
    let leave = ChangeKind::RemoveMember { user: users[0] };
    scene.apply(left, users[0], leave).await;
    all.sort_by_key(ToString::to_string);
    rooms.sort_unstable();
    for size in [1, 3, 4, 100] {
        let (mut seen, mut last) = (Vec::new(), None);
        loop {
            let page = scene.store.memberships(users[0], last, size).await.unwrap();
            seen.extend(page.iter().map(|member| member.conversation));
            last = seen.last().copied();
            if page.len() < size {
                break;
            }
        }
        assert_eq!(seen, all);
        let (mut seen, mut last) = (Vec::new(), None);
        loop {
            let page = scene.store.rooms(users[0], last, size).await.unwrap();
            assert!(page.iter().all(Member::is_active));
            seen.extend(page.iter().map(|member| member.conversation));
            last = seen.last().map(|id| id.to_string().parse().unwrap());
            if page.len() < size {
                break;
            }
        }
        assert_eq!(seen, rooms);
    }
    assert_eq!(scene.store.rooms(users[0], None, 0).await.unwrap(), []);
}

pub(crate) async fn a_cursor_beyond_the_head_is_brought_back(scene: &Scene) {
    let users = scene.users(2).await;
    let (room, other) = (scene.room_of(&users).await, scene.room_of(&users).await);
    for conversation in [room, other] {
        // Up to seq 3.
        scene
            .say_all(conversation, scene.messages(users[0], 2))
            .await;
        move_to(scene, conversation, users[0], 9, 2).await;
        move_to(scene, conversation, users[1], 2, 8).await;
    }
    scene.store.clamp_cursors(room).await.unwrap();
    let cursors = async |room, user| {
        let member = scene.member(room, user).await.unwrap();
        (member.delivered_seq.get(), member.read_seq.get())
    };
    assert_eq!(cursors(room, users[0]).await, (3, 2));
    assert_eq!(cursors(room, users[1]).await, (2, 3));
    assert_eq!(cursors(other, users[0]).await, (9, 2));
}

pub(crate) async fn clamping_brings_cursors_back_to_the_head(scene: &Scene) {
    let users = scene.users(2).await;
    let room = scene.room_of(&users).await;
    let silent = scene.direct_of(users[0], users[1]).await;
    // Up to seq 3.
    scene.say_all(room, scene.messages(users[0], 2)).await;
    // As after a restore of a log that is older than its cursors (D37).
    move_to(scene, room, users[0], 9, 2).await;
    move_to(scene, room, users[1], 7, 8).await;
    move_to(scene, silent, users[0], 1, 1).await;
    scene.store.clamp_all_cursors().await.unwrap();
    let cursors = async |room, user| {
        let member = scene.member(room, user).await.unwrap();
        (member.delivered_seq.get(), member.read_seq.get())
    };
    assert_eq!(cursors(room, users[0]).await, (3, 2));
    assert_eq!(cursors(room, users[1]).await, (3, 3));
    assert_eq!(cursors(silent, users[0]).await, (0, 0));
    assert_eq!(cursors(silent, users[1]).await, (0, 0));
}
