//! Whether every device has all of its logs, as far as its membership reaches, and makes of it what the logs make; and
//! whether REST shows the same. Knows no change and no connection.

use std::collections::BTreeSet;

use super::{Balance, Books, Truth};
use crate::client::Held;
use crate::fold::{Effect, Folded};

/// How many differences of one state are told.
const TOLD: usize = 2;

/// Compares all devices and what REST shows with the logs.
pub(super) fn reconcile(books: &Books<'_>, balance: &mut Balance) {
    let nothing = Held::default();
    for (conversation, truth) in books.conversations.iter().zip(books.truths) {
        let state = truth.folded(None);
        let shown = state.differences(&truth.shown);
        differ(balance, &format!("REST shows of {}", truth.id), &shown);
        for session in conversation.members.iter().chain(&truth.guest) {
            let user = &books.users[*session];
            let held = books.records[*session].held.get(&truth.id);
            let held = held.unwrap_or(&nothing);
            let had: BTreeSet<u64> = held.seqs.iter().copied().collect();
            let is_guest = truth.guest == Some(*session);
            let missing = match is_guest {
                true => missing_of_guest(truth, user, &had),
                false => missing_of_member(truth, &had),
            };
            if !missing.is_empty() {
                balance.not_delivered += missing.len() as u64;
                let told = format!("{user} never got {missing:?} of {}", truth.id);
                balance.example(told);
            }
            let strange = had
                .iter()
                .filter(|seq| !is_theirs(truth, user, is_guest, **seq));
            for seq in strange {
                balance.wrong(format!("{user} got {seq} of {}, not theirs", truth.id));
            }
            // Who has nothing makes nothing of it; what is missing is told above.
            if !had.is_empty() {
                let wanted = truth.folded(Some(&had));
                let found = differences(&wanted, &held.state, &state);
                let whose = format!("{user} makes of {}", truth.id);
                differ(balance, &whose, &found);
            }
        }
    }
}

/// What a device makes of its events that they do not make. What a deleted message said is gone from the log, so whoever
/// left before that may still have it.
fn differences(wanted: &Folded, is: &Folded, last: &Folded) -> Vec<String> {
    let mut is = is.clone();
    let mut wanted = wanted.clone();
    for (seq, saying) in &mut wanted.messages {
        let is_deleted = last.messages.get(seq).is_some_and(|last| last.is_deleted);
        if let Some(had) = is.messages.get_mut(seq)
            && is_deleted
            && !saying.is_deleted
        {
            had.content.clear();
            saying.content.clear();
        }
    }
    wanted.differences(&is)
}

fn differ(balance: &mut Balance, whose: &str, found: &[String]) {
    if !found.is_empty() {
        balance.differing += 1;
        for difference in found.iter().take(TOLD) {
            balance.example(format!("what {whose}: {difference}"));
        }
    }
}

/// Events other than messages, which are counted where their acknowledgements are.
fn missing_of_member(truth: &Truth, had: &BTreeSet<u64>) -> Vec<u64> {
    let others = truth.log.iter();
    let others = others.filter(|entry| !matches!(entry.effect, Effect::Said(_) | Effect::Made(_)));
    let seqs = others.map(|entry| entry.seq);
    seqs.filter(|seq| !had.contains(seq)).collect()
}

/// All of the present membership; of earlier ones what lies before the last event that was had, since being added again
/// begins anew.
fn missing_of_guest(truth: &Truth, user: &str, had: &BTreeSet<u64>) -> Vec<u64> {
    let mut missing = Vec::new();
    let end = truth.log.last().map_or(0, |last| last.seq);
    for (from, to) in truth.memberships(user) {
        let last_had = had.range(from..=to.unwrap_or(end)).next_back();
        let until = to.map_or(end, |_| last_had.copied().unwrap_or_default());
        let membership = from..=until;
        missing.extend(membership.filter(|seq| !had.contains(seq)));
    }
    missing
}

fn is_theirs(truth: &Truth, user: &str, is_guest: bool, seq: u64) -> bool {
    let end = truth.log.last().map_or(0, |last| last.seq);
    let within = |(from, to): &(u64, Option<u64>)| (*from..=to.unwrap_or(end)).contains(&seq);
    match is_guest {
        true => truth.memberships(user).iter().any(within),
        false => seq <= end,
    }
}

#[cfg(test)]
mod tests;
