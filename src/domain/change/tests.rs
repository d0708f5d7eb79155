//! What each change does, and who is refused.

use super::*;
use crate::domain::{Body, ClientMessageId, Fingerprint, Message, RoomId};

const ROOM: ConversationId = ConversationId::Room(RoomId::from_bytes([9; 12]));
const NOW: Timestamp = Timestamp::from_millis(1);

fn user(byte: u8) -> UserId {
    UserId::from_bytes([byte; 12])
}

fn member(byte: u8, role: Role) -> Member {
    Member::joining(ROOM, user(byte), role, Seq::new(1))
}

fn facts(actor: Role) -> Facts {
    let room = Conversation {
        id: ROOM,
        name: None,
        creator: Some(user(1)),
        created_at: NOW,
        deleted_seq: None,
    };
    Facts {
        conversation: Some(room),
        head: Seq::new(7),
        actor: Some(member(1, actor)),
        subject: None,
        target: None,
        active_members: 1,
        heir: None,
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

fn ask(kind: ChangeKind, facts: &Facts) -> Result<Decision, Refusal> {
    let id = EventId::from_bytes([7; 12]);
    decide(
        &Change {
            id,
            conversation: ROOM,
            actor: user(1),
            at: NOW,
            kind,
        },
        facts,
        3,
    )
}

#[test]
fn a_new_member_s_log_begins_with_the_event_that_added_them() {
    let add = ChangeKind::AddMember {
        user: user(2),
        role: Role::Member,
    };
    let Ok(Decision::Apply { event, projections }) = ask(add, &facts(Role::Admin)) else {
        panic!("refused")
    };
    assert_eq!(event.seq, Seq::new(8));
    assert_eq!(
        projections,
        [Projection::Member(Member::joining(
            ROOM,
            user(2),
            Role::Member,
            Seq::new(8)
        ))]
    );
}

#[test]
fn nobody_hands_out_more_than_they_have() {
    let add = |role| ChangeKind::AddMember {
        user: user(2),
        role,
    };
    assert_eq!(
        ask(add(Role::Member), &facts(Role::Member)),
        Err(Refusal::NotAllowed)
    );
    assert_eq!(
        ask(add(Role::Owner), &facts(Role::Admin)),
        Err(Refusal::NotAllowed)
    );
    let full = Facts {
        active_members: 3,
        ..facts(Role::Owner)
    };
    assert_eq!(ask(add(Role::Member), &full), Err(Refusal::RoomFull));
}

#[test]
fn adding_with_a_role_is_promoting_and_owners_do_not_act_on_each_other() {
    let add = ChangeKind::AddMember {
        user: user(2),
        role: Role::Admin,
    };
    assert_eq!(
        ask(add.clone(), &facts(Role::Admin)),
        Err(Refusal::NotAllowed)
    );
    assert!(ask(add, &facts(Role::Owner)).is_ok());
    let equals = Facts {
        subject: Some(member(2, Role::Owner)),
        ..facts(Role::Owner)
    };
    let demote = ChangeKind::ChangeRole {
        user: user(2),
        role: Role::Member,
    };
    assert_eq!(ask(demote, &equals), Err(Refusal::NotAllowed));
}

#[test]
fn an_admin_does_not_delete_what_their_equal_said() {
    let theirs = |role| Facts {
        target: Some(message(2, Some("hi"))),
        subject: Some(member(2, role)),
        ..facts(Role::Admin)
    };
    let delete = || ChangeKind::Delete {
        target: Seq::new(3),
    };
    assert_eq!(
        ask(delete(), &theirs(Role::Admin)),
        Err(Refusal::NotAllowed)
    );
    assert!(ask(delete(), &theirs(Role::Member)).is_ok());
}

#[test]
fn the_first_edit_alone_keeps_what_was_said_first() {
    let edit = || ChangeKind::Edit {
        target: Seq::new(3),
        content: Content::stored("ho".to_owned()),
    };
    let kept = |event: Event| {
        let facts = Facts {
            target: Some(event),
            ..facts(Role::Member)
        };
        match ask(edit(), &facts) {
            Ok(Decision::Apply { projections, .. }) => match &projections[..] {
                [Projection::Content { original, .. }] => original.clone(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    let mut own = message(1, Some("hi"));
    assert_eq!(kept(own.clone()), Some(Content::stored("hi".to_owned())));
    if let Body::Message(message) = &mut own.body {
        message.edited_at = Some(NOW);
    }
    assert_eq!(kept(own), None);
}

#[test]
fn an_owner_who_leaves_hands_the_room_on() {
    let owner = facts(Role::Owner);
    let leaving = Facts {
        subject: owner.actor,
        heir: Some(member(2, Role::Member)),
        ..owner
    };
    let leave = ChangeKind::RemoveMember { user: user(1) };
    let Ok(Decision::Apply { event, projections }) = ask(leave, &leaving) else {
        panic!("refused")
    };
    assert_eq!(
        event.body,
        Body::MemberRemoved {
            user: user(1),
            heir: Some(user(2))
        }
    );
    assert_eq!(projections.len(), 2);
}

#[test]
fn an_admin_does_not_remove_their_equal() {
    let admin = Facts {
        subject: Some(member(2, Role::Admin)),
        ..facts(Role::Admin)
    };
    assert_eq!(
        ask(ChangeKind::RemoveMember { user: user(2) }, &admin),
        Err(Refusal::NotAllowed)
    );
}

#[test]
fn outsiders_and_former_members_are_refused_alike() {
    let never = Facts {
        actor: None,
        ..facts(Role::Owner)
    };
    let former = Member {
        left_seq: Some(Seq::new(5)),
        ..member(1, Role::Owner)
    };
    let left = Facts {
        actor: Some(former),
        ..facts(Role::Owner)
    };
    for outsider in [never, left] {
        assert_eq!(
            ask(ChangeKind::DeleteRoom, &outsider),
            Err(Refusal::NotAMember)
        );
    }
}

#[test]
fn only_the_sender_edits_and_an_admin_may_delete() {
    let theirs = Facts {
        target: Some(message(2, Some("hi"))),
        ..facts(Role::Admin)
    };
    let target = Seq::new(3);
    let edit = ChangeKind::Edit {
        target,
        content: Content::stored("ho".to_owned()),
    };
    assert_eq!(ask(edit, &theirs), Err(Refusal::NotAllowed));
    assert!(matches!(
        ask(ChangeKind::Delete { target }, &theirs),
        Ok(Decision::Apply { .. })
    ));
}

#[test]
fn what_is_as_wanted_already_makes_no_event() {
    let deleted = Facts {
        target: Some(message(1, None)),
        ..facts(Role::Member)
    };
    let target = Seq::new(3);
    assert_eq!(
        ask(ChangeKind::Delete { target }, &deleted),
        Ok(Decision::Nothing)
    );
    let emoji = Emoji::parse("👍").unwrap();
    let fine = Facts {
        target: Some(message(2, Some("hi"))),
        ..facts(Role::Member)
    };
    assert_eq!(
        ask(
            ChangeKind::React {
                target,
                emoji,
                added: false
            },
            &fine
        ),
        Ok(Decision::Nothing)
    );
}

#[test]
fn a_message_before_one_s_joining_is_not_there() {
    let late = Member {
        joined_seq: Seq::new(4),
        ..member(1, Role::Member)
    };
    let late = Facts {
        actor: Some(late),
        target: Some(message(2, Some("hi"))),
        ..facts(Role::Member)
    };
    let emoji = Emoji::parse("👍").unwrap();
    let react = ChangeKind::React {
        target: Seq::new(3),
        emoji,
        added: true,
    };
    assert_eq!(ask(react, &late), Err(Refusal::NoSuchMessage));
}
