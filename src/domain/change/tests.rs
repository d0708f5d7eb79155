//! What each change does, and who is refused.

use super::*;
use crate::domain::{ClientMessageId, Fingerprint, Reactions, RoomId};

const ROOM: ConversationId = ConversationId::Room(RoomId::from_bytes([9; 12]));
const NOW: Timestamp = Timestamp::from_millis(1);

fn user(byte: u8) -> UserId {
    UserId::from_bytes([byte; 12])
}

fn member(byte: u8, role: Role) -> Member {
    Member::joining(ROOM, user(byte), role, Seq::new(1))
}

/// Of a room of one.
fn facts() -> Facts {
    Facts {
        active_members: 1,
        ..Facts::default()
    }
}

fn about(event: Event) -> Facts {
    Facts {
        target: Some(event),
        ..facts()
    }
}

fn message(sender: u8, text: Option<&str>) -> Event {
    let content = text.map(|text| Content::stored(text.to_owned()));
    let body = Body::Message(Message {
        fingerprint: Fingerprint::of(&Content::stored("x".to_owned())),
        content,
        client_message_id: ClientMessageId::parse("a").unwrap(),
        original: None,
        edited_at: None,
        deleted_at: None,
        reactions: Reactions::default(),
    });
    Event {
        id: EventId::from_bytes([1; 12]),
        conversation: ROOM,
        seq: Seq::new(3),
        sender: user(sender),
        at: NOW,
        body,
    }
}

/// What the first user is told who wants this in this role.
fn ask(role: Role, kind: ChangeKind, facts: &Facts) -> Result<Option<Body>, Refusal> {
    ask_as(Some(member(1, role)), kind, facts)
}

fn ask_as(actor: Option<Member>, kind: ChangeKind, facts: &Facts) -> Result<Option<Body>, Refusal> {
    decide(&change(kind), actor.as_ref(), facts, 3)
}

fn change(kind: ChangeKind) -> Change {
    Change {
        id: EventId::from_bytes([7; 12]),
        conversation: ROOM,
        actor: user(1),
        at: NOW,
        kind,
    }
}

/// What follows from the event that this becomes.
fn projected(kind: ChangeKind, facts: &Facts) -> Vec<Projection> {
    let body = kind.body().unwrap();
    projections(&change(kind).event(Seq::new(8), body), facts.message())
}

#[test]
fn a_new_member_s_log_begins_with_the_event_that_added_them() {
    let (user, role) = (user(2), Role::Member);
    let add = || ChangeKind::AddMember { user, role };
    let added = Body::MemberAdded { user, role };
    assert_eq!(ask(Role::Admin, add(), &facts()), Ok(Some(added)));
    assert_eq!(
        projected(add(), &facts()),
        [Projection::Joined { user, role }]
    );
}

#[test]
fn nobody_hands_out_more_than_they_have() {
    let add = |role| ChangeKind::AddMember {
        user: user(2),
        role,
    };
    let refused = Err(Refusal::NotAllowed);
    assert_eq!(ask(Role::Member, add(Role::Member), &facts()), refused);
    assert_eq!(ask(Role::Admin, add(Role::Owner), &facts()), refused);
    let full = Facts {
        active_members: 3,
        ..facts()
    };
    assert_eq!(
        ask(Role::Owner, add(Role::Member), &full),
        Err(Refusal::RoomFull)
    );
}

#[test]
fn adding_with_a_role_is_promoting_and_owners_do_not_act_on_each_other() {
    let add = ChangeKind::AddMember {
        user: user(2),
        role: Role::Admin,
    };
    assert_eq!(
        ask(Role::Admin, add.clone(), &facts()),
        Err(Refusal::NotAllowed)
    );
    assert!(ask(Role::Owner, add, &facts()).is_ok());
    let equals = Facts {
        subject: Some(member(2, Role::Owner)),
        ..facts()
    };
    let demote = ChangeKind::ChangeRole {
        user: user(2),
        role: Role::Member,
    };
    assert_eq!(ask(Role::Owner, demote, &equals), Err(Refusal::NotAllowed));
}

#[test]
fn an_admin_does_not_delete_what_their_equal_said() {
    let theirs = |role| Facts {
        subject: Some(member(2, role)),
        ..about(message(2, Some("hi")))
    };
    let delete = || ChangeKind::Delete {
        target: Seq::new(3),
    };
    assert_eq!(
        ask(Role::Admin, delete(), &theirs(Role::Admin)),
        Err(Refusal::NotAllowed)
    );
    assert!(ask(Role::Admin, delete(), &theirs(Role::Member)).is_ok());
}

#[test]
fn the_first_edit_alone_keeps_what_was_said_first() {
    let edit = || ChangeKind::Edit {
        target: Seq::new(3),
        content: Content::stored("ho".to_owned()),
    };
    let kept = |event: Event| match &projected(edit(), &about(event))[..] {
        [Projection::Content { original, .. }] => original.clone(),
        other => panic!("{other:?}"),
    };
    let mut own = message(1, Some("hi"));
    assert_eq!(kept(own.clone()), Some(Content::stored("hi".to_owned())));
    if let Body::Message(message) = &mut own.body {
        message.edited_at = Some(NOW);
    }
    assert_eq!(kept(own), None);
}

#[test]
fn an_edit_of_what_was_deleted_since_projects_nothing() {
    let body = Body::Edited {
        target: Seq::new(3),
        content: None,
    };
    let kind = ChangeKind::Delete {
        target: Seq::new(3),
    };
    let cleared = change(kind).event(Seq::new(8), body);
    let facts = about(message(1, None));
    assert_eq!(projections(&cleared, facts.message()), []);
}

#[test]
fn a_message_is_what_its_projections_make_of_it() {
    let said = |event: &Event| match &event.body {
        Body::Message(message) => message.clone(),
        other => panic!("{other:?}"),
    };
    let mut now = message(1, Some("hi"));
    let target = Seq::new(3);
    let content = Content::stored("ho".to_owned());
    let emoji = Emoji::parse("👍").unwrap();
    let steps = [
        ChangeKind::Edit { target, content },
        ChangeKind::React {
            target,
            emoji: emoji.clone(),
            added: true,
        },
    ];
    for kind in steps {
        for projection in projected(kind, &about(now.clone())) {
            now.body = Body::Message(said(&now).with(&projection));
        }
    }
    let edited = said(&now);
    assert_eq!(edited.content.as_ref().map(Content::as_str), Some("ho"));
    assert_eq!(edited.original.as_ref().map(Content::as_str), Some("hi"));
    assert!(edited.reactions.has(&emoji, user(1)));
    for projection in projected(ChangeKind::Delete { target }, &about(now.clone())) {
        now.body = Body::Message(said(&now).with(&projection));
    }
    let deleted = said(&now);
    assert_eq!((deleted.content, deleted.original), (None, None));
    assert_eq!(deleted.deleted_at, Some(NOW));
}

#[test]
fn an_owner_who_leaves_hands_the_room_on() {
    let leaving = Facts {
        subject: Some(member(1, Role::Owner)),
        heir: Some(member(2, Role::Member)),
        ..facts()
    };
    let leave = ChangeKind::RemoveMember { user: user(1) };
    let (left, heir) = (user(1), user(2));
    let body = Body::MemberRemoved {
        user: left,
        heir: Some(heir),
    };
    assert_eq!(
        ask(Role::Owner, leave.clone(), &leaving),
        Ok(Some(body.clone()))
    );
    let event = change(leave).event(Seq::new(8), body);
    let role = Role::Owner;
    assert_eq!(
        projections(&event, None),
        [
            Projection::Left { user: left },
            Projection::Role { user: heir, role }
        ]
    );
}

#[test]
fn an_admin_does_not_remove_their_equal() {
    let admin = Facts {
        subject: Some(member(2, Role::Admin)),
        ..facts()
    };
    assert_eq!(
        ask(
            Role::Admin,
            ChangeKind::RemoveMember { user: user(2) },
            &admin
        ),
        Err(Refusal::NotAllowed)
    );
}

#[test]
fn outsiders_and_former_members_are_refused_alike() {
    let former = Member {
        left_seq: Some(Seq::new(5)),
        ..member(1, Role::Owner)
    };
    for outsider in [None, Some(former)] {
        assert_eq!(
            ask_as(outsider, ChangeKind::DeleteRoom, &facts()),
            Err(Refusal::NotAMember)
        );
    }
}

#[test]
fn only_the_sender_edits_and_an_admin_may_delete() {
    let theirs = about(message(2, Some("hi")));
    let target = Seq::new(3);
    let edit = ChangeKind::Edit {
        target,
        content: Content::stored("ho".to_owned()),
    };
    assert_eq!(ask(Role::Admin, edit, &theirs), Err(Refusal::NotAllowed));
    let deleted = Ok(Some(Body::Deleted { target }));
    let delete = ChangeKind::Delete { target };
    assert_eq!(ask(Role::Admin, delete, &theirs), deleted);
}

#[test]
fn what_is_as_wanted_already_makes_no_event() {
    let target = Seq::new(3);
    let deleted = about(message(1, None));
    assert_eq!(
        ask(Role::Member, ChangeKind::Delete { target }, &deleted),
        Ok(None)
    );
    let take_off = ChangeKind::React {
        target,
        emoji: Emoji::parse("👍").unwrap(),
        added: false,
    };
    let fine = about(message(2, Some("hi")));
    assert_eq!(ask(Role::Member, take_off, &fine), Ok(None));
}

#[test]
fn a_message_before_one_s_joining_is_not_there() {
    let joined_later = Member {
        joined_seq: Seq::new(4),
        ..member(1, Role::Member)
    };
    let react = ChangeKind::React {
        target: Seq::new(3),
        emoji: Emoji::parse("👍").unwrap(),
        added: true,
    };
    assert_eq!(
        ask_as(Some(joined_later), react, &about(message(2, Some("hi")))),
        Err(Refusal::NoSuchMessage)
    );
}
