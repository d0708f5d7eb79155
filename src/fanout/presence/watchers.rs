//! Which sessions show whose presence, and what they show. Knows no presence service.
//!
//! A change may be lost on the way (D23), or arrive when it is no longer true. So what is shown is kept per user, and is
//! what presence has said when it was asked; the stamp tells whether another answer has come between a question and its
//! own: which of them is newer nobody knows, so it is asked again (D51).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::roster::Roster;
use super::super::session::Session;
use super::told::Told;
use crate::bus::Channel;
use crate::domain::{SessionId, UserId};

/// The sessions that show a user's presence.
#[derive(Debug, Default)]
pub(super) struct Watchers(Mutex<HashMap<UserId, Watched>>);

#[derive(Debug, Default)]
struct Watched {
    sessions: Roster<SessionId, Arc<Session>>,
    /// What the sessions show; none before the first answer.
    shown: Option<bool>,
    stamp: Stamp,
}

/// Grows with every change that is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stamp(u64);

/// What to do with an answer of the presence service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The sessions show the same.
    Agrees(bool),
    /// The sessions show nothing yet.
    IsFirst(bool),
    /// The sessions show something else: tell them.
    Differs(bool),
    /// The sessions show something else, since an answer that came meanwhile: ask again.
    Unclear(bool),
}

impl Watchers {
    pub(super) fn add(&self, user: UserId, session: &Arc<Session>) {
        let mut watchers = self.0.lock();
        let watched = watchers.entry(user).or_default();
        watched.sessions.add(session.id(), Arc::clone(session));
    }

    pub(super) fn remove(&self, user: UserId, session: SessionId) {
        if let Some(watched) = self.0.lock().get_mut(&user) {
            watched.sessions.remove(&session);
        }
    }

    /// Whether sessions show this user's presence.
    pub(super) fn is_watched(&self, user: UserId) -> bool {
        let watchers = self.0.lock();
        let watched = watchers.get(&user);
        watched.is_some_and(|watched| !watched.sessions.is_empty())
    }

    /// Writes to a user's watchers.
    pub(super) fn write(&self, user: UserId, told: &Told) {
        if let Some(watched) = self.0.lock().get(&user) {
            watched.write(user, told);
        }
    }

    /// The users somebody watches, with their stamps, for [`Self::found`].
    pub(super) fn watched(&self) -> Vec<(UserId, Stamp)> {
        let watchers = self.0.lock();
        let watched = watchers
            .iter()
            .filter(|(_, watched)| !watched.sessions.is_empty());
        watched
            .map(|(user, watched)| (*user, watched.stamp))
            .collect()
    }

    /// The stamp of one user, watched or not.
    pub(super) fn stamp(&self, user: UserId) -> Stamp {
        let watchers = self.0.lock();
        watchers
            .get(&user)
            .map_or_else(Stamp::default, |watched| watched.stamp)
    }

    /// Takes what presence says of a user; it was asked when the stamp was current.
    pub(super) fn found(&self, user: UserId, stamp: Stamp, online: bool) -> Found {
        let mut watchers = self.0.lock();
        let Some(watched) = watchers.get_mut(&user) else {
            return Found::Agrees(online);
        };
        match watched.shown {
            Some(shown) if shown == online => Found::Agrees(shown),
            Some(shown) if watched.stamp != stamp => Found::Unclear(shown),
            before => {
                watched.shown = Some(online);
                watched.stamp.0 += 1;
                match before {
                    None => Found::IsFirst(online),
                    Some(_) => Found::Differs(online),
                }
            }
        }
    }

    /// Drops users nobody watches, and hands over their channels under the lock.
    pub(super) fn sweep(&self, unsubscribe: impl Fn(&[Channel])) {
        let mut unused = Vec::new();
        let mut watchers = self.0.lock();
        watchers.retain(|user, watched| {
            if watched.sessions.is_empty() {
                unused.push(Channel::Watch(*user));
            }
            !watched.sessions.is_empty()
        });
        if !unused.is_empty() {
            unsubscribe(&unused);
        }
    }
}

impl Watched {
    fn write(&self, user: UserId, told: &Told) {
        for session in self.sessions.iter() {
            session.write_encoded(told.to(session, user));
        }
    }
}
