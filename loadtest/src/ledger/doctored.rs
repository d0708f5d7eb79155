//! Books of a small mixed load that agree, for tests to doctor: one room with an owner, a member and a guest who comes
//! and goes. Knows no finding.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Balance, Books, Conversation, Logged, Truth};
use crate::client::{Ending, Held, Record, Wanted};
use crate::fold::{Effect, Folded, Saying};
use crate::mix::Kind;

pub(super) const OWNER: usize = 0;
pub(super) const MEMBER: usize = 1;
pub(super) const GUEST: usize = 2;
const USERS: [&str; 3] = ["owner", "member", "guest"];

/// The books, each part of which may be doctored.
pub(super) struct Doctored {
    pub(super) truth: Truth,
    pub(super) records: Vec<Record>,
}

pub(super) fn edited(content: &str) -> Effect {
    Effect::Edited {
        target: 2,
        content: content.to_owned(),
    }
}

pub(super) fn reacted(target: u64, emoji: &str, added: bool) -> Effect {
    Effect::Reacted {
        target,
        emoji: emoji.to_owned(),
        added,
    }
}

fn said(content: &str) -> Effect {
    Effect::Said(Saying {
        content: content.to_owned(),
        ..Saying::default()
    })
}

/// Who did what, from the first event on.
fn log() -> Vec<(usize, Effect)> {
    let guest = || "guest".to_owned();
    vec![
        (OWNER, Effect::Made("room".to_owned())),
        (OWNER, said("first")),
        (MEMBER, reacted(2, "x", true)),
        (OWNER, edited("better")),
        (OWNER, Effect::Added(guest(), "member".to_owned())),
        (MEMBER, said("second")),
        (MEMBER, reacted(6, "y", true)),
        (OWNER, Effect::Removed(guest(), None)),
        (MEMBER, reacted(2, "x", false)),
        (MEMBER, Effect::Deleted { target: 6 }),
    ]
}

/// Asked for and answered a second after another change.
pub(super) fn done(effect: Effect, seq: u64) -> Wanted {
    Wanted {
        kind: Kind::Reactions,
        conversation: 0,
        effect,
        begun: Some(Duration::from_millis(seq * 1000)),
        tries: 1,
        outcome: Ending::Done {
            seq: Some(seq),
            at: Duration::from_millis(seq * 1000 + 500),
        },
    }
}

impl Doctored {
    /// Books that agree.
    pub(super) fn new() -> Self {
        let mut truth = Truth {
            id: "room".to_owned(),
            members: vec!["owner".to_owned(), "member".to_owned()],
            guest: Some(GUEST),
            ..Truth::default()
        };
        let mut records: Vec<Record> = USERS.iter().map(|_| Record::default()).collect();
        for (seq, (sender, effect)) in (1..).zip(log()) {
            if !matches!(effect, Effect::Said(_) | Effect::Made(_)) {
                let wanted = done(effect.clone(), seq);
                records[sender].changes.insert(seq, wanted);
            }
            truth.log.push(Logged {
                seq,
                sender: USERS[sender].to_owned(),
                effect,
            });
        }
        truth.shown = truth.folded(None);
        let mut doctored = Self { truth, records };
        doctored.give(OWNER, 1..=10);
        doctored.give(MEMBER, 1..=10);
        doctored.give(GUEST, 5..=8);
        doctored
    }

    /// A device has just these events, and makes of them what they make.
    pub(super) fn give(&mut self, session: usize, seqs: impl IntoIterator<Item = u64>) {
        let had: BTreeSet<u64> = seqs.into_iter().collect();
        let held = Held {
            state: self.truth.folded(Some(&had)),
            seqs: had.into_iter().collect(),
        };
        self.records[session].held.insert("room".to_owned(), held);
    }

    /// What a device makes of the room.
    pub(super) fn state(&mut self, session: usize) -> &mut Folded {
        let held = self.records[session].held.get_mut("room");
        &mut held.expect("the device has the room").state
    }

    /// The event with this seq.
    pub(super) fn entry(&mut self, seq: usize) -> &mut Logged {
        &mut self.truth.log[seq - 1]
    }

    /// What a part of the books says.
    pub(super) fn close(&self, part: impl FnOnce(&Books<'_>, &mut Balance)) -> Balance {
        let conversation = Conversation {
            members: vec![OWNER, MEMBER],
            history: "/room/room".to_owned(),
            made: Some("room".to_owned()),
        };
        let books = Books {
            conversations: &[conversation],
            records: &self.records,
            stored: &[Vec::new()],
            origin: Duration::ZERO,
            within: Duration::ZERO..Duration::MAX,
            deep: 0,
            truths: std::slice::from_ref(&self.truth),
            users: &USERS.map(str::to_owned),
        };
        let mut balance = Balance::default();
        part(&books, &mut balance);
        balance
    }
}
