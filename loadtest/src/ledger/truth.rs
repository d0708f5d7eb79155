//! What is true of a conversation in the end: its log as a new device is told it, and what REST shows. Knows no device
//! of the run.

use std::collections::BTreeSet;

use crate::fold::{Effect, Folded};

/// One conversation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Truth {
    /// Its id.
    pub(crate) id: String,
    /// The ids of those who belong to it all the time, a room's owner first.
    pub(crate) members: Vec<String>,
    /// Who comes and goes, as an index of sessions.
    pub(crate) guest: Option<usize>,
    /// Its log, as it was read; messages as they were first.
    pub(crate) log: Vec<Logged>,
    /// What history, the list of members and the room say.
    pub(crate) shown: Folded,
}

/// An event of a log.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    pub(crate) seq: u64,
    /// Whose it is, by id.
    pub(crate) sender: String,
    pub(crate) effect: Effect,
}

impl Truth {
    /// What the log makes of the conversation; only those events, if some are given.
    pub(super) fn folded(&self, only: Option<&BTreeSet<u64>>) -> Folded {
        let mut state = Folded::of(self.members.iter().map(String::as_str));
        let is_wanted = |entry: &&Logged| only.is_none_or(|only| only.contains(&entry.seq));
        for entry in self.log.iter().filter(is_wanted) {
            state.take(entry.seq, &entry.sender, &entry.effect);
        }
        state
    }

    /// From where to where somebody belongs to it who comes and goes; the last without an end, if they stay.
    pub(super) fn memberships(&self, user: &str) -> Vec<(u64, Option<u64>)> {
        let mut memberships: Vec<(u64, Option<u64>)> = Vec::new();
        for entry in &self.log {
            match &entry.effect {
                Effect::Added(added, _) if added == user => memberships.push((entry.seq, None)),
                Effect::Removed(removed, _) if removed == user => {
                    if let Some((_, end @ None)) = memberships.last_mut() {
                        *end = Some(entry.seq);
                    }
                }
                _ => {}
            }
        }
        memberships
    }
}
