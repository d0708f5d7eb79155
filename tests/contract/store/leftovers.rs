//! Writers that die, or freeze and wake, between the event of a change and what follows from it (D56): the log decides, and
//! nobody is shown anything else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hobnob::commit::Changed;
use hobnob::domain::{
    Body, ChangeKind, Content, ConversationId, Emoji, Event, Member, Refusal, Role, RoomName, Seq,
    UserId, projections,
};
use hobnob::store::{Projected, all_memberships};

use super::scene::{Scene, assert_dense, message_of, text_of};
use super::steps::Step;

fn react(target: Seq, emoji: &str, added: bool) -> ChangeKind {
    let emoji = Emoji::parse(emoji).unwrap();
    ChangeKind::React {
        target,
        emoji,
        added,
    }
}

fn edit(target: Seq, text: &str) -> ChangeKind {
    let content = Content::stored(text.to_owned());
    ChangeKind::Edit { target, content }
}

/// A writer stores the event of a change, and dies.
async fn store_and_die(
    scene: &Scene,
    room: ConversationId,
    actor: UserId,
    kind: ChangeKind,
) -> Seq {
    let change = scene.a_change(room, actor, kind);
    assert_eq!(scene.make_up_to(Step::Stored, &change).await, None);
    scene.head(room).await
}

pub(crate) async fn what_follows_from_an_event_is_written_before_it_is_shown(scene: &Scene) {
    let (room, owner) = scene.room().await;
    let target = scene.say(room, owner, "hello").await;
    let seq = store_and_die(scene, room, owner, edit(target, "hello!")).await;
    // A page of both, and a page of what was only said.
    let log = scene.log(room).await;
    assert_eq!(log.last().map(|event| event.seq), Some(seq));
    assert_eq!(text_of(&log[1]), Some("hello!"));
    store_and_die(scene, room, owner, react(target, "👍", true)).await;
    let shown = scene.event(room, seq.next()).await;
    assert!(matches!(shown.body, Body::Reacted { .. }));
    let message = scene.event(room, target).await;
    assert_eq!(message_of(&message).reactions.count(), 1);
}

pub(crate) async fn whoever_decides_next_knows_what_a_dead_writer_has_stored(scene: &Scene) {
    let users = scene.users(3).await;
    let room = scene.room_of(&users).await;
    let remove = |user| ChangeKind::RemoveMember { user };
    store_and_die(scene, room, users[0], remove(users[1])).await;
    let name = RoomName::parse("Mine").unwrap();
    let refused = Changed::Refused(Refusal::NotAMember);
    let rename = ChangeKind::Rename { name };
    assert_eq!(scene.change(room, users[1], rename).await, refused);
    let again = scene.change(room, users[0], remove(users[1])).await;
    assert_eq!(again, Changed::Refused(Refusal::NoSuchMember));
    // The only owner has left: the heir has the room.
    store_and_die(scene, room, users[0], remove(users[0])).await;
    scene.apply(room, users[2], ChangeKind::DeleteRoom).await;
    assert!(scene.store.members(room, None, 9).await.unwrap().is_empty());
}

pub(crate) async fn a_writer_that_wakes_undoes_nothing_that_came_later(scene: &Scene) {
    let users = scene.users(2).await;
    let room = scene.room_of(&users).await;
    let target = scene.say(room, users[0], "hello").await;
    let asleep = scene.a_change(room, users[0], react(target, "👍", true));
    let asked = std::slice::from_ref(&asleep);
    let facts = scene.store.facts(asked).await.unwrap().remove(0);
    let event = scene.happen(&asleep, asleep.kind.body().unwrap()).await;
    scene.apply(room, users[1], react(target, "👍", true)).await;
    scene.apply(room, users[0], edit(target, "hello!")).await;
    let projections = projections(&event, facts.message());
    let woken = [Projected { event, projections }];
    scene.store.project(&woken).await.unwrap();
    let message = scene.event(room, target).await;
    assert_eq!(message_of(&message).reactions.count(), 2);
    assert_eq!(text_of(&message), Some("hello!"));

    // The same of a membership: who adds sleeps until the user is removed.
    let (user, role) = (scene.user().await, Role::Member);
    let adding = scene.a_change(room, users[0], ChangeKind::AddMember { user, role });
    let event = scene.happen(&adding, adding.kind.body().unwrap()).await;
    let gone = scene
        .apply(room, users[0], ChangeKind::RemoveMember { user })
        .await;
    let projections = vec![hobnob::domain::Projection::Joined { user, role }];
    let woken = [Projected { event, projections }];
    scene.store.project(&woken).await.unwrap();
    let member = scene.member(room, user).await.unwrap();
    assert_eq!(member.left_seq, Some(gone.seq));
}

pub(crate) async fn what_is_left_in_any_log_is_written(scene: &Scene) {
    let (user, role) = (scene.user().await, Role::Member);
    let mut rooms = Vec::new();
    for _ in 0..3 {
        let (room, owner) = scene.room().await;
        store_and_die(scene, room, owner, ChangeKind::AddMember { user, role }).await;
        rooms.push(room);
    }
    scene.store.project_leftovers(None).await.unwrap();
    let found = all_memberships(&*scene.store, user).await.unwrap();
    let mut found: Vec<_> = found.iter().map(|member| member.conversation).collect();
    found.sort_unstable();
    rooms.sort_unstable();
    assert_eq!(found, rooms);
}

/// Any changes, of which each may end at any moment, and be begun again or not: what is stored is what the log says.
pub(crate) async fn a_writer_may_die_at_any_moment(scene: &Scene) {
    for _ in 0..3 {
        let users = scene.users(4).await;
        let room = scene.room_of(&users[..2]).await;
        let said = scene.say_all(room, scene.messages(users[0], 2)).await;
        let targets = [said.previous(), said];
        let mut asleep = Vec::new();
        for _ in 0..40 {
            let actor = users[pick(scene, 3)];
            let kind = any_kind(scene, &users, &targets);
            let change = scene.a_change(room, actor, kind);
            match pick(scene, 4) {
                0 => {
                    scene.make(&change).await;
                }
                1 => {
                    scene.make_up_to(Step::Read, &change).await;
                }
                2 => {
                    scene.make_up_to(Step::Stored, &change).await;
                }
                // Between any two round trips; then it is made again, or others go on.
                _ => {
                    let soon = Duration::from_micros(scene.number() % 6000);
                    let _ = tokio::time::timeout(soon, scene.make(&change)).await;
                    if pick(scene, 2) == 0 {
                        asleep.push(change);
                    }
                }
            }
            if pick(scene, 5) == 0
                && let Some(change) = asleep.pop()
            {
                scene.make(&change).await;
            }
        }
        scene.store.project_leftovers(None).await.unwrap();
        assert_is_what_the_log_says(scene, room, &users).await;
    }
}

/// A room whose making ends at any moment is there as a whole or not at all, once somebody looks.
pub(crate) async fn the_making_of_a_room_may_end_at_any_moment(scene: &Scene) {
    let users = scene.users(4).await;
    for _ in 0..20 {
        let room = scene.new_room(&users);
        let id = room.conversation.id;
        let soon = Duration::from_micros(scene.number() % 6000);
        let _ = tokio::time::timeout(soon, scene.store.create_room(room.clone())).await;
        // What is on its way to the disk is there after this.
        scene.store.ping().await.unwrap();
        scene.store.project_leftovers(None).await.unwrap();
        let log = scene.log(id).await;
        let members = scene.store.members(id, None, 9).await.unwrap().len();
        let found = scene.store.conversations(&[id]).await.unwrap().len();
        let seen = (log.len(), members, found);
        assert!(seen == (0, 0, 0) || seen == (1, 4, 1), "{seen:?}");
        scene.store.create_room(room.clone()).await.unwrap();
        assert_eq!(scene.log(id).await, [(*room.created).clone()]);
    }
}

fn pick(scene: &Scene, of: usize) -> usize {
    usize::try_from(scene.number() % of as u64).unwrap()
}

fn any_kind(scene: &Scene, users: &[UserId], targets: &[Seq; 2]) -> ChangeKind {
    let (user, target) = (users[pick(scene, 4)], targets[pick(scene, 2)]);
    let role = [Role::Member, Role::Admin][pick(scene, 2)];
    match pick(scene, 12) {
        0 | 1 => ChangeKind::AddMember { user, role },
        2 => ChangeKind::RemoveMember { user },
        3 => ChangeKind::ChangeRole { user, role },
        4 => ChangeKind::Rename {
            name: RoomName::parse(&format!("Room {}", pick(scene, 3))).unwrap(),
        },
        5 | 6 => edit(target, &format!("text {}", pick(scene, 9))),
        // Rarely: nothing can be done to the message afterwards.
        7 if pick(scene, 4) == 0 => ChangeKind::Delete { target },
        _ => react(target, ["👍", "🎉"][pick(scene, 2)], pick(scene, 3) > 0),
    }
}

/// What everybody who reads a log from its beginning ends with.
#[derive(Debug, Default, PartialEq, Eq)]
struct Folded {
    texts: BTreeMap<Seq, Option<String>>,
    reactions: BTreeMap<Seq, Vec<(String, UserId)>>,
    roles: BTreeMap<UserId, &'static str>,
    name: Option<String>,
}

impl Folded {
    /// As a client does it, knowing nothing of what the store keeps beside the log.
    fn of(log: &[Event], others: &[UserId]) -> Self {
        let mut folded = Self::default();
        for event in log {
            match &event.body {
                Body::Created { name } => {
                    folded.name = Some(name.as_str().to_owned());
                    folded.roles.insert(event.sender, "owner");
                    folded
                        .roles
                        .extend(others.iter().map(|user| (*user, "member")));
                }
                Body::Message(message) => {
                    let said = message.original.as_ref().or(message.content.as_ref());
                    let said = said.map(|text| text.as_str().to_owned());
                    folded.texts.insert(event.seq, said);
                    folded.reactions.insert(event.seq, Vec::new());
                }
                Body::Edited { target, content } => {
                    let text = content.as_ref().map(|text| text.as_str().to_owned());
                    folded.texts.insert(*target, text);
                }
                Body::Deleted { target } => {
                    folded.texts.insert(*target, None);
                }
                Body::Reacted {
                    target,
                    emoji,
                    added,
                } => {
                    let reaction = (emoji.as_str().to_owned(), event.sender);
                    let all = folded.reactions.entry(*target).or_default();
                    all.retain(|other| *other != reaction);
                    if *added {
                        all.push(reaction);
                    }
                }
                Body::MemberAdded { user, role } | Body::RoleChanged { user, role } => {
                    folded.roles.insert(*user, role.as_str());
                }
                Body::MemberRemoved { user, heir } => {
                    folded.roles.remove(user);
                    folded.roles.extend(heir.map(|heir| (heir, "owner")));
                }
                Body::Renamed { name } => folded.name = Some(name.as_str().to_owned()),
                Body::RoomDeleted | Body::Unknown => unreachable!("{event:?}"),
            }
        }
        folded.sorted()
    }

    /// As the store shows it.
    async fn stored(scene: &Scene, room: ConversationId, log: &[Event]) -> Self {
        let members = scene.store.members(room, None, 9).await.unwrap();
        let found = scene.store.conversations(&[room]).await.unwrap();
        let mut folded = Self {
            roles: members
                .iter()
                .map(|member| (member.user, member.role.as_str()))
                .collect(),
            name: found[0].name.as_ref().map(|name| name.as_str().to_owned()),
            ..Self::default()
        };
        for event in log {
            let Body::Message(message) = &event.body else {
                continue;
            };
            let text = text_of(event).map(str::to_owned);
            folded.texts.insert(event.seq, text);
            let reactions = message.reactions.0.iter().flat_map(|(emoji, users)| {
                users.iter().map(|user| (emoji.as_str().to_owned(), *user))
            });
            folded.reactions.insert(event.seq, reactions.collect());
        }
        folded.sorted()
    }

    fn sorted(mut self) -> Self {
        self.reactions.values_mut().for_each(|all| all.sort());
        self
    }
}

async fn assert_is_what_the_log_says(scene: &Scene, room: ConversationId, users: &[UserId]) {
    let log = scene.log(room).await;
    assert_dense(&log);
    let stored = Folded::stored(scene, room, &log).await;
    assert_eq!(stored, Folded::of(&log, &users[1..2]), "{log:#?}");
    for user in users {
        let (joined, left) = stay_of(&log, *user, users);
        let member: Option<Member> = scene.member(room, *user).await;
        let stored = member.map(|member| (member.joined_seq, member.left_seq));
        assert_eq!(stored, joined.map(|joined| (joined, left)), "{log:#?}");
    }
    let ids: std::collections::BTreeSet<_> = log.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), log.len(), "an event is there twice");
    let events: Vec<Arc<Event>> = log.into_iter().map(Arc::new).collect();
    for event in events.iter().filter(|event| event.body.is_projected()) {
        let stored = scene.store.change_by_id(room, event.id).await.unwrap();
        assert_eq!(stored.as_ref(), Some(&**event));
    }
}

/// Where a user's last stay began and ended.
fn stay_of(log: &[Event], user: UserId, users: &[UserId]) -> (Option<Seq>, Option<Seq>) {
    let is_first = users[..2].contains(&user);
    let (mut joined, mut left) = (is_first.then_some(Seq::new(1)), None);
    for event in log {
        match event.body {
            Body::MemberAdded { user: added, .. } if added == user => {
                (joined, left) = (Some(event.seq), None);
            }
            Body::MemberRemoved { user: gone, .. } if gone == user => left = Some(event.seq),
            _ => {}
        }
    }
    (joined, left)
}
