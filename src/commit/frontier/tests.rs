//! What is remembered of conversations, and what makes it forgotten.

use super::*;
use crate::domain::RoomId;

const ROOM: ConversationId = ConversationId::Room(RoomId::from_bytes([1; 12]));

fn user(byte: u8) -> UserId {
    UserId::from_bytes([byte; 12])
}

fn member(byte: u8) -> Member {
    Member::joining(ROOM, user(byte), Role::Member, Seq::new(1))
}

fn with_member() -> Frontier {
    let frontier = Frontier::default();
    frontier.learn_head(ROOM, Seq::new(5));
    let generation = standing(&frontier).generation;
    frontier.learn_sender(ROOM, generation, user(1), Some(&member(1)));
    frontier
}

fn standing(frontier: &Frontier) -> Standing {
    frontier.standing(ROOM, [user(1)].into_iter()).unwrap()
}

/// Makes the frontier forget what was known before.
fn crowd(frontier: &Frontier) {
    for number in 0..(CONVERSATIONS as u64 * 2) {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let other = ConversationId::Room(RoomId::from_bytes(bytes));
        frontier.note_read(other, Seq::new(1), false);
    }
}

fn unknown(frontier: &Frontier) -> Vec<UserId> {
    standing(frontier).unknown
}

#[test]
fn d2_a_standing_survives_messages_in_order() {
    let frontier = with_member();
    frontier.note_read(ROOM, Seq::new(6), false);
    assert!(unknown(&frontier).is_empty());
    assert_eq!(frontier.head(ROOM), Some(Seq::new(6)));
}

#[test]
fn d2_a_standing_is_forgotten_after_a_gap_and_after_a_membership_event() {
    for (seq, changes_membership) in [(7, false), (6, true)] {
        let frontier = with_member();
        frontier.note_read(ROOM, Seq::new(seq), changes_membership);
        assert_eq!(unknown(&frontier), [user(1)]);
    }
}

#[test]
fn d50_what_is_heard_moves_nothing_until_it_is_read() {
    let frontier = with_member();
    let writer = Some(GatewayId::from_u64(2));
    frontier.hear(ROOM, Seq::new(9), writer);
    assert_eq!(frontier.head(ROOM), Some(Seq::new(5)));
    assert_eq!(frontier.unread(ROOM), Some((Seq::new(5), Seq::new(9))));
    assert!(unknown(&frontier).is_empty());
    frontier.note_read(ROOM, Seq::new(6), false);
    assert_eq!(frontier.writer(ROOM), writer, "it was heard whose that is");
    frontier.confirmed(ROOM);
    assert_eq!(frontier.unread(ROOM), None);
    assert_eq!(frontier.head(ROOM), Some(Seq::new(6)));
}

#[test]
fn d2_a_head_that_is_read_alone_may_hide_a_removal() {
    let frontier = with_member();
    frontier.learn_head(ROOM, Seq::new(6));
    assert_eq!(unknown(&frontier), [user(1)]);
}

#[test]
fn d2_a_membership_read_before_a_change_was_noted_is_not_believed_after_it() {
    let frontier = Frontier::default();
    frontier.learn_head(ROOM, Seq::new(5));
    let before = standing(&frontier);
    frontier.note_read(ROOM, Seq::new(6), true);
    frontier.learn_sender(ROOM, before.generation, user(1), Some(&member(1)));
    assert_eq!(unknown(&frontier), [user(1)]);
}

#[test]
fn d2_a_membership_read_before_the_conversation_was_forgotten_is_not_believed_after_it() {
    let frontier = Frontier::default();
    frontier.learn_head(ROOM, Seq::new(5));
    let before = standing(&frontier);
    crowd(&frontier);
    assert_eq!(frontier.head(ROOM), None);
    // The removal at 6 was noted and forgotten meanwhile.
    frontier.learn_head(ROOM, Seq::new(6));
    frontier.learn_sender(ROOM, before.generation, user(1), Some(&member(1)));
    assert_eq!(unknown(&frontier), [user(1)]);
}

#[test]
fn a_direct_conversation_has_its_two_users_and_nobody_else() {
    let direct = ConversationId::direct(user(1), user(2));
    let frontier = Frontier::default();
    frontier.learn_head(direct, Seq::ZERO);
    let standing = frontier
        .standing(direct, [user(1), user(2), user(3)].into_iter())
        .unwrap();
    assert_eq!(
        (standing.unknown, standing.refused),
        (vec![], vec![user(3)])
    );
}

#[test]
fn what_is_remembered_is_bounded() {
    let frontier = Frontier::default();
    crowd(&frontier);
    assert!(frontier.0.lock().known.len() <= CONVERSATIONS);
}
