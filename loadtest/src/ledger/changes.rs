//! Whether every change that was answered is in its log once, and in the order in which one session made them; and that
//! every log is dense and nobody's but this run's. Knows no device.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::{Balance, Books, Truth};
use crate::client::{Ending, Wanted};
use crate::fold::{Effect, Folded};

/// Who wants what: what a change and its event have in common. An edit's text is not in it: it goes with its message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    conversation: usize,
    sender: String,
    deed: String,
}

/// What is wanted under one key, and where it stands.
#[derive(Debug, Default)]
struct Claim<'a> {
    wanted: Vec<&'a Wanted>,
    seqs: Vec<u64>,
}

impl Claim<'_> {
    fn done(&self) -> usize {
        let is_done = |wanted: &&&Wanted| matches!(wanted.outcome, Ending::Done { .. });
        self.wanted.iter().filter(is_done).count()
    }

    /// How many may be in the log without an answer, or because they were asked for again.
    fn open(&self) -> (usize, usize) {
        let is_open = |wanted: &&&Wanted| wanted.outcome == Ending::Unanswered;
        let again = |wanted: &&Wanted| wanted.tries.saturating_sub(1) as usize;
        (
            self.wanted.iter().filter(is_open).count(),
            self.wanted.iter().map(again).sum(),
        )
    }
}

/// Closes the books of all changes.
pub(super) fn reconcile(books: &Books<'_>, balance: &mut Balance) {
    if books.truths.is_empty() {
        return;
    }
    let mut claims: HashMap<Key, Claim<'_>> = HashMap::new();
    for (record, sender) in books.records.iter().zip(books.users) {
        for wanted in record.changes.values() {
            let key = Key {
                conversation: wanted.conversation,
                sender: sender.clone(),
                deed: deed(&wanted.effect),
            };
            claims.entry(key).or_default().wanted.push(wanted);
            count(wanted, balance);
        }
    }
    for (conversation, truth) in books.truths.iter().enumerate() {
        dense(truth, balance);
        for entry in &truth.log {
            if matches!(entry.effect, Effect::Said(_) | Effect::Made(_)) {
                continue;
            }
            let key = Key {
                conversation,
                sender: entry.sender.clone(),
                deed: deed(&entry.effect),
            };
            let tally = balance.changes.entry(name(&entry.effect)).or_default();
            tally.stored += 1;
            claims.entry(key).or_default().seqs.push(entry.seq);
        }
    }
    for (key, claim) in &claims {
        let truth = &books.truths[key.conversation];
        once(key, claim, truth, balance);
    }
    let folded: Vec<Folded> = books
        .truths
        .iter()
        .map(|truth| truth.folded(None))
        .collect();
    for (record, sender) in books.records.iter().zip(books.users) {
        for wanted in record.changes.values() {
            placed(wanted, sender, books, balance);
            if wanted.outcome == Ending::Moot {
                moot(
                    wanted,
                    sender,
                    &folded[wanted.conversation],
                    &claims,
                    balance,
                );
            }
        }
        let wanted = record.changes.values();
        ordered(wanted, sender, &claims, balance);
    }
}

fn count(wanted: &Wanted, balance: &mut Balance) {
    let tally = balance.changes.entry(wanted.kind.name()).or_default();
    tally.asked += 1;
    match &wanted.outcome {
        Ending::Done { .. } => tally.acknowledged += 1,
        Ending::Moot => tally.moot += 1,
        Ending::Unanswered => {
            tally.unanswered += 1;
            balance.unanswered += 1;
        }
        Ending::Refused(code) => {
            tally.refused += 1;
            balance.refused += 1;
            balance.example(format!("{:?} was refused: {code}", wanted.effect));
        }
    }
}

/// Whether a log is numbered without holes and repeats.
fn dense(truth: &Truth, balance: &mut Balance) {
    let mut next = 1;
    for entry in &truth.log {
        balance.holes += entry.seq.saturating_sub(next);
        if entry.seq != next {
            let told = format!("{} has {} where {next} is due", truth.id, entry.seq);
            balance.out_of_order += u64::from(entry.seq < next);
            balance.example(told);
        }
        next = next.max(entry.seq + 1);
    }
}

/// Whether what was answered is in the log, and no more often than it was asked for.
fn once(key: &Key, claim: &Claim<'_>, truth: &Truth, balance: &mut Balance) {
    let (done, found) = (claim.done(), claim.seqs.len());
    let (open, again) = claim.open();
    let what = || format!("{} of {} by {}", key.deed, truth.id, key.sender);
    if claim.wanted.is_empty() {
        balance.wrong(format!("nobody asked for {}", what()));
    } else if found < done {
        balance.acknowledged_not_stored += (done - found) as u64;
        let told = format!("{}: answered {done} times, in the log {found}", what());
        balance.example(told);
    } else if found > done + open {
        let extra = found - done - open;
        // A change has no id of its client's: who repeats one that is still under way may make it twice.
        let permitted = extra.min(again);
        balance.changed_again_after_retry += permitted as u64;
        if extra > permitted {
            balance.stored_twice += (extra - permitted) as u64;
            balance.example(format!("{} is in the log as {:?}", what(), claim.seqs));
        }
    }
}

/// Whether the place that an answer told is the change's.
fn placed(wanted: &Wanted, sender: &str, books: &Books<'_>, balance: &mut Balance) {
    let Ending::Done { seq: Some(seq), .. } = wanted.outcome else {
        return;
    };
    let log = &books.truths[wanted.conversation].log;
    let index = log.binary_search_by_key(&seq, |entry| entry.seq);
    let entry = index.ok().and_then(|index| log.get(index));
    let is_it = entry
        .is_some_and(|entry| entry.sender == sender && deed(&entry.effect) == deed(&wanted.effect));
    let says = entry.is_none_or(|entry| match (&entry.effect, &wanted.effect) {
        // It goes with its message when that is deleted.
        (Effect::Edited { content, .. }, Effect::Edited { content: meant, .. }) => {
            content.is_empty() || content == meant
        }
        _ => true,
    });
    if !is_it || !says {
        let meant = &wanted.effect;
        balance.wrong(format!(
            "{meant:?} was answered as {seq}, where {entry:?} is"
        ));
    }
}

/// Whether what was refused as pointless is so: the message was deleted, or somebody was removed who was asked for again.
fn moot(
    wanted: &Wanted,
    sender: &str,
    state: &Folded,
    claims: &HashMap<Key, Claim<'_>>,
    balance: &mut Balance,
) {
    let is_moot = match &wanted.effect {
        Effect::Edited { target, .. }
        | Effect::Deleted { target }
        | Effect::Reacted { target, .. } => {
            let saying = state.messages.get(target);
            saying.is_some_and(|saying| saying.is_deleted)
        }
        Effect::Appointed(user, _) => {
            let key = Key {
                conversation: wanted.conversation,
                sender: sender.to_owned(),
                deed: deed(&Effect::Removed(user.clone(), None)),
            };
            let removed = claims.get(&key);
            removed.is_some_and(|removed| removed.wanted.iter().any(|one| one.tries > 1))
        }
        _ => false,
    };
    if !is_moot {
        let what = &wanted.effect;
        balance.wrong(format!("{what:?} was refused as pointless, and is not"));
    }
}

/// Whether what one session asked for after an answer stands behind what was answered.
fn ordered<'a>(
    wanted: impl Iterator<Item = &'a Wanted>,
    sender: &str,
    claims: &HashMap<Key, Claim<'_>>,
    balance: &mut Balance,
) {
    let mut by_conversation: BTreeMap<usize, Vec<(Duration, Duration, u64)>> = BTreeMap::new();
    for wanted in wanted {
        let (Some(begun), Ending::Done { at, seq }) = (wanted.begun, &wanted.outcome) else {
            continue;
        };
        let key = Key {
            conversation: wanted.conversation,
            sender: sender.to_owned(),
            deed: deed(&wanted.effect),
        };
        // What is asked for again and again, such as to add a guest, has no place of its own.
        let only = || claims.get(&key).filter(|claim| claim.seqs.len() == 1);
        if let Some(seq) = seq.or_else(|| only().map(|claim| claim.seqs[0])) {
            let theirs = by_conversation.entry(wanted.conversation).or_default();
            theirs.push((begun, *at, seq));
        }
    }
    for mut theirs in by_conversation.into_values() {
        let mut answered = theirs.clone();
        theirs.sort_unstable();
        answered.sort_unstable_by_key(|(_, at, _)| *at);
        let (mut answered, mut highest) = (answered.into_iter().peekable(), 0);
        for (begun, _, seq) in theirs {
            while let Some((_, _, earlier)) = answered.next_if(|(_, at, _)| *at < begun) {
                highest = highest.max(earlier);
            }
            if seq < highest {
                balance.out_of_order += 1;
                let told = format!("{sender} made {seq} after {highest} was answered");
                balance.example(told);
            }
        }
    }
}

fn deed(effect: &Effect) -> String {
    match effect {
        Effect::Edited { target, .. } => format!("an edit of {target}"),
        effect => format!("{effect:?}"),
    }
}

/// The kind of an effect, by name.
fn name(effect: &Effect) -> &'static str {
    match effect {
        Effect::Said(_) => "messages",
        Effect::Edited { .. } => "edits",
        Effect::Deleted { .. } => "deletions",
        Effect::Reacted { .. } => "reactions",
        _ => "members",
    }
}

#[cfg(test)]
mod tests;
