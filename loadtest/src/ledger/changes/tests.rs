//! Books whose changes agree, and each way in which they do not.

use super::super::Logged;
use super::super::doctored::{Doctored, MEMBER, OWNER, done, edited, reacted};
use super::*;

fn close(doctored: &Doctored) -> Balance {
    doctored.close(reconcile)
}

#[test]
fn agreeing_books_are_in_balance_and_tell_each_kind() {
    let balance = close(&Doctored::new());
    assert_eq!(balance.broken(), 0, "{:?}", balance.examples);
    let stored = |kind| balance.changes[kind].stored;
    let kinds = ["edits", "reactions", "deletions", "members"];
    assert_eq!(kinds.map(stored), [1, 3, 1, 2]);
}

#[test]
fn an_acknowledged_change_that_is_not_in_the_log_is_lost() {
    let mut books = Doctored::new();
    let lost = done(reacted(2, "lost", true), 11);
    books.records[MEMBER].changes.insert(11, lost);
    let balance = close(&books);
    assert_eq!((balance.acknowledged_not_stored, balance.lost()), (1, 1));
    // And nothing stands where it was answered to be.
    assert_eq!(balance.wrong, 1);
}

#[test]
fn a_change_that_is_in_the_log_twice_is_found_unless_it_was_asked_for_twice() {
    let mut books = Doctored::new();
    let again = Logged {
        seq: 11,
        ..books.entry(4).clone()
    };
    books.truth.log.push(again);
    assert_eq!(close(&books).stored_twice, 1);
    let edit = books.records[OWNER].changes.get_mut(&4).unwrap();
    edit.tries = 2;
    let balance = close(&books);
    assert_eq!(
        (balance.changed_again_after_retry, balance.broken()),
        (1, 0)
    );
}

#[test]
fn a_change_that_nobody_asked_for_is_wrong() {
    let mut books = Doctored::new();
    books.records[OWNER].changes.remove(&5);
    let balance = close(&books);
    assert_eq!((balance.wrong, balance.broken()), (1, 1));
}

#[test]
fn the_text_of_an_edit_is_the_one_that_was_acknowledged_or_gone() {
    let mut books = Doctored::new();
    books.entry(4).effect = edited("worse");
    assert_eq!(close(&books).wrong, 1);
    books.entry(4).effect = edited("");
    assert_eq!(close(&books).wrong, 0);
}

#[test]
fn what_was_made_after_an_answer_stands_behind_it() {
    let mut books = Doctored::new();
    let earlier = &mut books.records[MEMBER].changes.get_mut(&9).unwrap();
    earlier.begun = Some(Duration::from_millis(1000));
    let (seq, at) = (Some(9), Duration::from_millis(1500));
    earlier.outcome = Ending::Done { seq, at };
    // The reactions at 3 and 7 were begun after 9 was answered.
    assert_eq!(close(&books).out_of_order, 2);
}

#[test]
fn holes_and_repeats_of_a_log_are_found() {
    let mut books = Doctored::new();
    books.records[MEMBER].changes.remove(&7);
    books.truth.log.remove(6);
    assert_eq!(close(&books).holes, 1);
    let mut books = Doctored::new();
    let repeated = books.entry(6).clone();
    books.truth.log.insert(6, repeated);
    assert_eq!(close(&books).out_of_order, 1);
}

#[test]
fn what_is_refused_or_never_answered_is_told_by_kind() {
    let mut books = Doctored::new();
    let changes = &mut books.records[MEMBER].changes;
    let refused = Ending::Refused("not_allowed".to_owned());
    let mut add = |number, outcome| {
        let mut wanted = done(reacted(2, &format!("r{number}"), true), number);
        wanted.outcome = outcome;
        changes.insert(number, wanted);
    };
    add(20, refused);
    add(21, Ending::Unanswered);
    let balance = close(&books);
    let tally = &balance.changes["reactions"];
    assert_eq!((tally.refused, tally.unanswered), (1, 1));
    assert_eq!(
        (balance.refused, balance.unanswered, balance.broken()),
        (1, 1, 2)
    );
}

#[test]
fn only_what_is_pointless_may_be_refused_as_that() {
    let mut books = Doctored::new();
    let mut refuse = |number, target| {
        let mut wanted = done(reacted(target, "late", true), number);
        wanted.outcome = Ending::Moot;
        books.records[MEMBER].changes.insert(number, wanted);
        close(&books).wrong
    };
    assert_eq!(refuse(20, 6), 0);
    assert_eq!(refuse(21, 2), 1);
}
