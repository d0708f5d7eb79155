//! The joined sessions by user: who is here, and whose channel must be heard. Knows nothing of conversations.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::roster::Roster;
use super::session::Session;
use crate::bus::Channel;
use crate::domain::{SessionId, UserId};

#[derive(Debug, Default)]
pub(super) struct Users(RwLock<HashMap<UserId, Here>>);

/// A user here. Stays a while without sessions: subscriptions are dropped a little late.
#[derive(Debug, Default)]
struct Here {
    sessions: Roster<SessionId, Arc<Session>>,
    is_stale: bool,
}

impl Users {
    /// A session joins; true when it is its user's first.
    pub(super) fn add(&self, session: &Arc<Session>) -> bool {
        let mut users = self.0.write();
        let here = users.entry(session.user()).or_default();
        here.sessions.add(session.id(), Arc::clone(session));
        here.is_stale = false;
        here.sessions.len() == 1
    }

    /// A session leaves; true when it was its user's last.
    pub(super) fn remove(&self, user: UserId, session: SessionId) -> bool {
        let mut users = self.0.write();
        let Some(here) = users.get_mut(&user) else {
            return false;
        };
        here.sessions.remove(&session).is_some() && here.sessions.is_empty()
    }

    /// Works on each of a user's sessions.
    pub(super) fn for_each(&self, user: UserId, mut work: impl FnMut(&Arc<Session>)) {
        if let Some(here) = self.0.read().get(&user) {
            here.sessions.iter().for_each(&mut work);
        }
    }

    /// Whether a user has sessions here.
    pub(super) fn is_here(&self, user: UserId) -> bool {
        self.0
            .read()
            .get(&user)
            .is_some_and(|here| !here.sessions.is_empty())
    }

    /// The users with sessions here.
    pub(super) fn here(&self) -> Vec<UserId> {
        let users = self.0.read();
        users
            .iter()
            .filter(|(_, here)| !here.sessions.is_empty())
            .map(|(user, _)| *user)
            .collect()
    }

    /// The first `count` users with sessions here behind this one, in the order of their ids.
    pub(super) fn after(&self, last: Option<UserId>, count: usize) -> Vec<UserId> {
        let mut users = self.here();
        users.retain(|user| last.is_none_or(|last| *user > last));
        users.sort_unstable();
        users.truncate(count);
        users
    }

    /// Drops users who were gone at the last sweep too, and hands over their channels under the lock.
    pub(super) fn sweep(&self, unsubscribe: impl Fn(&[Channel])) {
        let mut users = self.0.write();
        let mut gone = Vec::new();
        users.retain(|user, here| {
            let is_gone = here.sessions.is_empty();
            let keep = !(is_gone && here.is_stale);
            here.is_stale = is_gone;
            if !keep {
                gone.push(Channel::User(*user));
            }
            keep
        });
        if !gone.is_empty() {
            unsubscribe(&gone);
        }
    }
}
