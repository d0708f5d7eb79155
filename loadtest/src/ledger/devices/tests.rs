//! Devices that agree with their logs, and each way in which they do not.

use super::super::doctored::{Doctored, GUEST, MEMBER, OWNER};
use super::*;

fn close(doctored: &Doctored) -> Balance {
    doctored.close(reconcile)
}

#[test]
fn agreeing_devices_are_in_balance() {
    let balance = close(&Doctored::new());
    assert_eq!(balance.broken(), 0, "{:?}", balance.examples);
}

#[test]
fn a_change_that_a_member_never_got_is_lost_to_them() {
    let mut books = Doctored::new();
    books.give(MEMBER, (1..=10).filter(|seq| *seq != 4));
    let balance = close(&books);
    assert_eq!((balance.not_delivered, balance.lost()), (1, 1));
    // What it makes of the rest is right.
    assert_eq!(balance.differing, 0);
}

#[test]
fn a_guest_is_to_have_a_membership_up_to_the_last_event_of_it_that_they_have() {
    let missing = |seqs: &[u64]| {
        let mut books = Doctored::new();
        books.give(GUEST, seqs.iter().copied());
        close(&books).not_delivered
    };
    assert_eq!(missing(&[]), 0);
    assert_eq!(missing(&[5, 6]), 0);
    assert_eq!(missing(&[5, 8]), 2);
}

#[test]
fn a_guest_who_stays_is_to_have_everything_since() {
    let mut books = Doctored::new();
    let again = Effect::Added("guest".to_owned(), "member".to_owned());
    books.entry(9).effect = again;
    books.truth.shown = books.truth.folded(None);
    for session in [OWNER, MEMBER] {
        books.give(session, 1..=10);
    }
    books.give(GUEST, 5..=9);
    let balance = close(&books);
    assert_eq!((balance.not_delivered, balance.broken()), (1, 1));
    books.give(GUEST, 5..=10);
    assert_eq!(close(&books).broken(), 0);
}

#[test]
fn what_lies_beyond_a_membership_or_the_log_is_not_to_be_told() {
    let mut books = Doctored::new();
    books.give(GUEST, 5..=9);
    books.give(OWNER, 1..=11);
    assert_eq!(close(&books).wrong, 2);
}

#[test]
fn a_device_that_makes_something_else_of_its_events_differs() {
    for doctor in [
        |state: &mut Folded| state.name.clear(),
        |state: &mut Folded| drop(state.members.remove("member")),
        |state: &mut Folded| drop(state.messages.remove(&2)),
        |state: &mut Folded| state.messages.get_mut(&2).unwrap().content.clear(),
        |state: &mut Folded| {
            let reactions = &mut state.messages.get_mut(&6).unwrap().reactions;
            reactions.clear();
        },
    ] {
        let mut books = Doctored::new();
        doctor(books.state(MEMBER));
        let balance = close(&books);
        assert_eq!((balance.differing, balance.broken()), (1, 1));
        assert!(balance.examples[0].contains("member makes of room"));
    }
}

#[test]
fn what_rest_shows_is_what_the_log_makes() {
    let mut books = Doctored::new();
    let shown = &mut books.truth.shown;
    shown.members.insert("guest".to_owned(), "admin".to_owned());
    let balance = close(&books);
    assert_eq!((balance.differing, balance.broken()), (1, 1));
    assert!(balance.examples[0].contains("REST shows"));
}

#[test]
fn who_left_before_a_message_was_deleted_may_still_have_its_text() {
    let mut books = Doctored::new();
    // The log forgets the text, the guest was told it.
    let Effect::Said(saying) = &mut books.entry(6).effect else {
        panic!("no message")
    };
    saying.content.clear();
    let balance = close(&books);
    assert_eq!(balance.differing, 0, "{:?}", balance.examples);
}
