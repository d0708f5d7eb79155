//! Changes of a room and its members: the event, and what follows from it (D7).

use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use hobnob::commit::Changed;
use hobnob::domain::{
    Body, ChangeKind, ConversationId, Member, Refusal, Role, RoomName, Seq, UserId,
};
use hobnob::store::{CursorMove, all_memberships};

use super::scene::{ROOM_LIMIT, Scene, assert_dense};

fn add(user: UserId, role: Role) -> ChangeKind {
    ChangeKind::AddMember { user, role }
}

fn remove(user: UserId) -> ChangeKind {
    ChangeKind::RemoveMember { user }
}

fn rename(name: &str) -> ChangeKind {
    let name = RoomName::parse(name).unwrap();
    ChangeKind::Rename { name }
}

/// Asserts that the change is refused for this reason and leaves no event.
async fn refused(
    scene: &Scene,
    room: ConversationId,
    actor: UserId,
    kind: ChangeKind,
    why: Refusal,
) {
    let head = scene.head(room).await;
    assert_eq!(scene.change(room, actor, kind).await, Changed::Refused(why));
    assert_eq!(scene.head(room).await, head);
}

pub(crate) async fn a_member_who_is_added_begins_there(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let last = scene.say_all(room, scene.messages(owner, 3)).await;
    let user = scene.user().await;
    let change = scene.a_change(room, owner, add(user, Role::Admin));
    let Changed::Applied(event) = scene.make(&change).await else {
        panic!("not applied")
    };
    let role = Role::Admin;
    assert_eq!(event.body, Body::MemberAdded { user, role });
    assert_eq!((event.id, event.at), (change.id, change.at));
    assert_eq!((event.seq, event.sender), (last.next(), owner));
    assert_eq!(scene.event(room, event.seq).await, *event);
    let member = Member::joining(room, user, role, event.seq);
    assert_eq!(scene.member(room, user).await, Some(member));
}

pub(crate) async fn what_is_refused_leaves_no_event(scene: &Scene) {
    let users = scene.users(2).await;
    let (owner, member, outsider) = (users[0], users[1], scene.user().await);
    let room = scene.room_of(&users).await;
    let unknown = ConversationId::from(scene.room_id());
    let direct = scene.direct_of(owner, member).await;
    let adding = add(outsider, Role::Member);
    let cases = [
        (room, outsider, rename("x"), Refusal::NotAMember),
        (unknown, owner, rename("x"), Refusal::NotAMember),
        (room, member, adding.clone(), Refusal::NotAllowed),
        (room, member, ChangeKind::DeleteRoom, Refusal::NotAllowed),
        (room, owner, remove(outsider), Refusal::NoSuchMember),
        (
            room,
            owner,
            add(member, Role::Member),
            Refusal::AlreadyAMember,
        ),
        (direct, owner, adding, Refusal::DirectConversation),
        (direct, owner, remove(owner), Refusal::DirectConversation),
    ];
    for (conversation, actor, kind, why) in cases {
        refused(scene, conversation, actor, kind, why).await;
    }
    assert_eq!(scene.member(room, outsider).await, None);
}

pub(crate) async fn a_room_is_full_at_its_limit_whoever_races(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let users = scene.users(ROOM_LIMIT + 1).await;
    let adding = users
        .iter()
        .map(|user| scene.change(room, owner, add(*user, Role::Member)));
    let answers = join_all(adding).await;
    let full = Changed::Refused(Refusal::RoomFull);
    assert_eq!(answers.iter().filter(|answer| **answer == full).count(), 2);
    let members = scene.store.members(room, None, 100).await.unwrap();
    assert_eq!(members.len(), ROOM_LIMIT);
    // Who leaves makes room.
    let leaves = members.iter().find(|member| member.user != owner).unwrap();
    scene.apply(room, leaves.user, remove(leaves.user)).await;
    scene
        .apply(room, owner, add(leaves.user, Role::Member))
        .await;
    assert_dense(&scene.log(room).await);
}

pub(crate) async fn a_room_s_limit_may_change(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let users = scene.users(2).await;
    scene.room_limit.store(2, Ordering::Relaxed);
    scene.apply(room, owner, add(users[0], Role::Member)).await;
    let full = Changed::Refused(Refusal::RoomFull);
    let one_more = || scene.change(room, owner, add(users[1], Role::Member));
    assert_eq!(one_more().await, full);
    scene.room_limit.store(3, Ordering::Relaxed);
    assert_ne!(one_more().await, full);
}

pub(crate) async fn a_member_who_leaves_keeps_their_past(scene: &Scene) {
    let users = scene.users(2).await;
    let room = scene.room_of(&users).await;
    let before = scene.member(room, users[1]).await.unwrap();
    let event = scene.apply(room, users[1], remove(users[1])).await;
    let (user, heir) = (users[1], None);
    assert_eq!(event.body, Body::MemberRemoved { user, heir });
    let left_seq = Some(event.seq);
    let after = scene.member(room, user).await;
    assert_eq!(after, Some(Member { left_seq, ..before }));
    scene.say(room, users[0], "without them").await;
    refused(scene, room, user, rename("x"), Refusal::NotAMember).await;
    refused(scene, room, users[0], remove(user), Refusal::NoSuchMember).await;
}

pub(crate) async fn a_member_who_is_added_again_begins_anew(scene: &Scene) {
    let users = scene.users(2).await;
    let (owner, user) = (users[0], users[1]);
    let room = scene.room_of(&users).await;
    scene.apply(room, owner, remove(user)).await;
    scene.say_all(room, scene.messages(owner, 5)).await;
    let event = scene.apply(room, owner, add(user, Role::Admin)).await;
    let member = Member::joining(room, user, Role::Admin, event.seq);
    assert_eq!(scene.member(room, user).await, Some(member));
    assert_eq!(member.delivered_seq, event.seq.previous());
    // A move from before the removal that arrives late.
    let late = CursorMove {
        conversation: room,
        user,
        delivered: Seq::new(1),
        read: Seq::new(1),
    };
    scene.store.move_cursors(&[late]).await.unwrap();
    assert_eq!(scene.member(room, user).await, Some(member));
    let memberships = all_memberships(&*scene.store, user).await.unwrap();
    assert_eq!(memberships, [member]);
}

pub(crate) async fn a_role_is_changed_and_the_cursors_stay(scene: &Scene) {
    let users = scene.users(2).await;
    let (owner, user) = (users[0], users[1]);
    let room = scene.room_of(&users).await;
    scene.say(room, owner, "hello").await;
    let read = CursorMove {
        conversation: room,
        user,
        delivered: Seq::new(1),
        read: Seq::new(1),
    };
    scene.store.move_cursors(&[read]).await.unwrap();
    let role = Role::Admin;
    let change = ChangeKind::ChangeRole { user, role };
    let event = scene.apply(room, owner, change.clone()).await;
    assert_eq!(event.body, Body::RoleChanged { user, role });
    let member = scene.member(room, user).await.unwrap();
    assert_eq!((member.role, member.read_seq), (role, Seq::new(1)));
    let again = scene.change(room, owner, change).await;
    assert_eq!(again, Changed::Nothing);
    assert_eq!(scene.head(room).await, event.seq);
}

pub(crate) async fn a_room_is_renamed(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let event = scene.apply(room, owner, rename("Kaffee ☕")).await;
    let name = RoomName::parse("Kaffee ☕").unwrap();
    assert_eq!(event.body, Body::Renamed { name: name.clone() });
    assert_eq!(scene.event(room, event.seq).await, event);
    let found = scene.store.conversations(&[room]).await.unwrap();
    assert_eq!(found[0].name, Some(name));
    let again = scene.change(room, owner, rename("Kaffee ☕")).await;
    assert_eq!(again, Changed::Nothing);
}

pub(crate) async fn a_deleted_room_is_a_tombstone_for_every_member(scene: &Scene) {
    let users = scene.users(3).await;
    let (owner, former) = (users[0], users[2]);
    let room = scene.room_of(&users).await;
    let left = scene.apply(room, owner, remove(former)).await;
    let event = scene.apply(room, owner, ChangeKind::DeleteRoom).await;
    assert_eq!(event.body, Body::RoomDeleted);
    assert_eq!(scene.event(room, event.seq).await, event);
    let ends = [event.seq, event.seq, left.seq];
    for (user, end) in users.iter().zip(ends) {
        let member = scene.member(room, *user).await.unwrap();
        assert_eq!(member.left_seq, Some(end));
    }
    let found = scene.store.conversations(&[room]).await.unwrap();
    assert_eq!(found[0].deleted_seq, Some(event.seq));
    assert_eq!(scene.store.members(room, None, 9).await.unwrap(), []);
    assert_eq!(scene.said(room).await.len(), 2);
    refused(scene, room, owner, rename("x"), Refusal::NotAMember).await;
}

/// Makes a room of these roles, joined in this order, lets the owner leave, and says who inherits.
async fn heir_among(scene: &Scene, roles: &[Role]) -> (Vec<UserId>, Option<UserId>) {
    let (room, owner) = scene.room().await;
    let users = scene.users(roles.len()).await;
    for (user, role) in users.iter().zip(roles) {
        scene.apply(room, owner, add(*user, *role)).await;
    }
    let event = scene.apply(room, owner, remove(owner)).await;
    let Body::MemberRemoved { heir, .. } = event.body else {
        panic!("{event:?}")
    };
    if let Some(heir) = heir {
        let member = scene.member(room, heir).await.unwrap();
        assert_eq!((member.role, member.left_seq), (Role::Owner, None));
    }
    assert_eq!(scene.event(room, event.seq).await, event);
    (users, heir)
}

pub(crate) async fn an_only_owner_who_leaves_has_an_heir(scene: &Scene) {
    use Role::{Admin, Member, Owner};
    let (users, heir) = heir_among(scene, &[Member, Admin, Admin]).await;
    assert_eq!(heir, Some(users[1]), "an admin before a member");
    let (users, heir) = heir_among(scene, &[Member, Member]).await;
    assert_eq!(heir, Some(users[0]), "the longest there first");
    let (_, heir) = heir_among(scene, &[Member, Owner]).await;
    assert_eq!(heir, None, "there is another owner");
    let (_, heir) = heir_among(scene, &[]).await;
    assert_eq!(heir, None, "alone");
}

pub(crate) async fn of_equal_heirs_the_lowest_id_inherits(scene: &Scene) {
    let users = scene.users(4).await;
    let room = scene.room_of(&users).await;
    let lowest = users[1..].iter().min().copied();
    scene.apply(room, users[0], remove(users[0])).await;
    let members = scene.store.members(room, None, 9).await.unwrap();
    let owners = members.iter().filter(|member| member.role == Role::Owner);
    let owners: Vec<UserId> = owners.map(|member| member.user).collect();
    assert_eq!(owners.first().copied(), lowest);
    assert_eq!(owners.len(), 1);
}

pub(crate) async fn a_former_member_does_not_inherit(scene: &Scene) {
    let users = scene.users(3).await;
    let room = scene.room_of(&users).await;
    let lowest = users[1].min(users[2]);
    let other = users[1].max(users[2]);
    scene.apply(room, users[0], remove(lowest)).await;
    let event = scene.apply(room, users[0], remove(users[0])).await;
    let (user, heir) = (users[0], Some(other));
    assert_eq!(event.body, Body::MemberRemoved { user, heir });
}

pub(crate) async fn a_change_that_is_repeated_is_made_once(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let change = scene.a_change(room, owner, rename("Once"));
    let first = scene.make(&change).await;
    scene.apply(room, owner, rename("Later")).await;
    let again = scene.make(&change).await;
    assert!(matches!(first, Changed::Applied(_)));
    assert_eq!(again, first);
    assert_eq!(scene.said(room).await.len(), 2);
    let found = scene.store.conversations(&[room]).await.unwrap();
    assert_eq!(found[0].name, RoomName::parse("Later").ok());
}

pub(crate) async fn a_leaving_that_is_repeated_is_not_refused(scene: &Scene) {
    let users = scene.users(2).await;
    let room = scene.room_of(&users).await;
    let change = scene.a_change(room, users[1], remove(users[1]));
    let first = scene.make(&change).await;
    assert!(matches!(first, Changed::Applied(_)));
    assert_eq!(scene.make(&change).await, first);
}

pub(crate) async fn racing_repetitions_make_one_event(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let change = scene.a_change(room, owner, rename("Once"));
    let answers = join_all((0..5).map(|_| scene.make(&change))).await;
    let said = scene.said(room).await;
    assert_eq!(said.len(), 1);
    let expected = Changed::Applied(said[0].clone().into());
    for answer in answers {
        assert_eq!(answer, expected);
    }
}

pub(crate) async fn changes_race_with_messages_and_the_log_stays_dense(scene: &Scene) {
    let users = scene.users(3).await;
    let room = scene.room_of(&users).await;
    let writing = users[1..].iter().map(async |user| {
        for message in scene.messages(*user, 15) {
            scene.say_all(room, vec![message]).await;
        }
    });
    let renaming = async {
        for index in 0..10 {
            let kind = rename(&format!("Name {index}"));
            scene.apply(room, users[0], kind).await;
        }
    };
    tokio::join!(join_all(writing), renaming);
    let log = scene.log(room).await;
    assert_dense(&log);
    assert_eq!(log.len(), 1 + 40);
    let names = log.iter().filter_map(|event| match &event.body {
        Body::Renamed { name } => Some(name.as_str().to_owned()),
        _ => None,
    });
    let expected = (0..10).map(|index| format!("Name {index}"));
    assert!(names.eq(expected));
}
