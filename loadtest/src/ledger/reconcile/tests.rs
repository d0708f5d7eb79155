//! Books that agree, and each way in which they do not.

use super::*;
use crate::ledger::Truth;
use crate::mix::Kind;

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn receipt(number: u64, seq: u64) -> Receipt {
    Receipt {
        number,
        seq,
        at: at(number + 2),
    }
}

/// Two sessions of one room; the first sent messages 0, 1, … with an acknowledgement a second later.
fn records(count: u64) -> Vec<Record> {
    let sender = Record {
        sent: (0..count)
            .map(|number| Sent {
                number,
                intended: at(number),
            })
            .collect(),
        acknowledged: (0..count)
            .map(|number| Receipt {
                number,
                seq: number + 1,
                at: at(number + 1),
            })
            .collect(),
        receipts: (0..count)
            .map(|number| receipt(number, number + 1))
            .collect(),
        ..Record::default()
    };
    let receiver = Record {
        receipts: (0..count)
            .map(|number| receipt(number, number + 1))
            .collect(),
        ..Record::default()
    };
    vec![sender, receiver]
}

fn close(records: &[Record], stored: &[(u64, Option<u64>)]) -> Balance {
    close_room(None, records, stored)
}

fn close_room(made: Option<&str>, records: &[Record], stored: &[(u64, Option<u64>)]) -> Balance {
    let conversation = Conversation {
        members: vec![0, 1],
        history: "/room/r".to_owned(),
        made: made.map(str::to_owned),
    };
    let books = Books {
        conversations: &[conversation],
        records,
        stored: &[stored.to_vec()],
        origin: Duration::ZERO,
        within: Duration::ZERO..Duration::MAX,
        deep: 0,
        truths: &[],
        users: &[],
    };
    reconcile(&books).unwrap().balance
}

#[test]
fn agreeing_books_are_in_balance() {
    let balance = close(&records(2), &[(1, Some(0)), (2, Some(1))]);
    assert_eq!(
        (balance.broken(), balance.stored, balance.deliveries),
        (0, 2, 4)
    );
    assert!((balance.longest_gap_ms - 1000.0).abs() < 1e-9);
    assert_eq!(balance.delivery_latency.count, 2);
}

#[test]
fn a_room_that_a_member_was_not_told_of_is_lost_to_them() {
    let told = || Record {
        made: HashSet::from(["r".to_owned()]),
        ..Record::default()
    };
    let balance = close_room(Some("r"), &[told(), told()], &[]);
    assert_eq!(balance.broken(), 0);
    let balance = close_room(Some("r"), &[told(), Record::default()], &[]);
    assert_eq!((balance.not_delivered, balance.broken()), (1, 1));
}

#[test]
fn the_messages_of_a_room_that_was_made_begin_behind_that() {
    let mut records = records(1);
    for record in &mut records {
        record.made.insert("r".to_owned());
        let receipts = record.receipts.iter_mut().chain(&mut record.acknowledged);
        receipts.for_each(|receipt| receipt.seq += 1);
    }
    assert_eq!(close_room(Some("r"), &records, &[(2, Some(0))]).broken(), 0);
    let holes = |seq| close_room(Some("r"), &records, &[(seq, Some(0))]).holes;
    assert_eq!((holes(2), holes(3)), (0, 1));
}

#[test]
fn an_acknowledged_message_missing_in_history_is_lost() {
    let balance = close(&records(2), &[(1, Some(0))]);
    assert_eq!((balance.acknowledged_not_stored, balance.lost()), (1, 1));
    // And both devices were shown it.
    assert_eq!(balance.wrong, 2);
}

#[test]
fn a_stored_message_missing_on_a_device_is_lost() {
    let mut records = records(2);
    records[1].receipts.pop();
    assert_eq!(
        close(&records, &[(1, Some(0)), (2, Some(1))]).not_delivered,
        1
    );
}

#[test]
fn holes_doubles_and_strangers_are_found() {
    let balance = close(
        &records(2),
        &[(1, Some(0)), (3, Some(1)), (4, Some(1)), (5, None)],
    );
    assert_eq!((balance.holes, balance.stored_twice), (1, 1));
    // Acknowledged and delivered (twice) as 2, shown as 3; and the stranger.
    assert_eq!(balance.wrong, 4);
}

#[test]
fn what_was_neither_acknowledged_nor_refused_is_unanswered() {
    let mut records = records(2);
    records[0].acknowledged.pop();
    let balance = close(&records, &[(1, Some(0)), (2, Some(1))]);
    assert_eq!((balance.unanswered, balance.broken()), (1, 1));
}

#[test]
fn what_other_gateways_refused_is_added_up_and_the_slowest_answer_kept() {
    let mut records = records(1);
    let seconds = [(5, Kind::Edits), (7, Kind::Messages)];
    for (record, (slowest, kind)) in records.iter_mut().zip(seconds) {
        record.waits.refused.insert(Kind::Edits, slowest);
        record.waits.slowest = Some((at(slowest), kind));
    }
    let elsewhere = close(&records, &[(1, Some(0))]).elsewhere;
    assert_eq!((elsewhere.refusals(), elsewhere.slowest_ms), (12, 7000.0));
    assert_eq!(elsewhere.slowest, Some("messages"));
}

#[test]
fn between_the_messages_of_a_mixed_load_there_may_be_changes() {
    let conversation = Conversation {
        members: vec![0, 1],
        history: "/room/r".to_owned(),
        made: None,
    };
    let books = Books {
        conversations: &[conversation],
        records: &records(0),
        stored: &[Vec::new()],
        origin: Duration::ZERO,
        within: Duration::ZERO..Duration::MAX,
        deep: 0,
        truths: &[Truth::default()],
        users: &["a".to_owned(), "b".to_owned()],
    };
    assert_eq!(reconcile(&books).unwrap().balance.broken(), 0);
    let mut closing = Closing {
        balance: Balance::default(),
        known: known(&records(2)),
        series: Series::new(Duration::ZERO).unwrap(),
    };
    let received: Vec<_> = records(2).iter().map(receipts).collect();
    let stored = [(1, Some(0)), (5, Some(1))];
    let next = Some(1);
    for (next, holes) in [(None, 0), (next, 3)] {
        let conversation = &books.conversations[0];
        closing.log(conversation, &stored, next, &received).unwrap();
        assert_eq!(closing.balance.holes, holes);
    }
}
