//! Whose presence is to be asked, in turn by one task: so of two answers the later is the newer (D51). What the bus tells
//! of somebody's coming or going is no more than a reason to ask. Knows neither watchers nor the presence service.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::super::envelope::PresenceChange;
use crate::domain::UserId;

/// The users to be asked about, with what was heard of them last. Bounded by the users that are watched.
#[derive(Debug, Default)]
pub(super) struct Inquiry {
    users: Mutex<BTreeMap<UserId, Option<PresenceChange>>>,
    wanted: Notify,
}

impl Inquiry {
    /// A hint has said that this user came or went.
    pub(super) fn heard(&self, change: PresenceChange) {
        self.users.lock().insert(change.user, Some(change));
        self.wanted.notify_one();
    }

    /// Something may have been missed of these users.
    pub(super) fn doubt(&self, users: impl IntoIterator<Item = UserId>) {
        let mut waiting = self.users.lock();
        for user in users {
            waiting.entry(user).or_default();
        }
        drop(waiting);
        self.wanted.notify_one();
    }

    /// Waits until somebody is to be asked about, perhaps in vain.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Takes out some of the users to be asked for, `count` at most.
    pub(super) fn take(&self, count: usize) -> Vec<(UserId, Option<PresenceChange>)> {
        let mut waiting = self.users.lock();
        let taken = std::iter::from_fn(|| waiting.pop_first());
        taken.take(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn what_was_heard_outlives_a_doubt_and_each_is_taken_once() {
        let inquiry = Inquiry::default();
        let user = |byte| UserId::from_bytes([byte; 12]);
        let change = PresenceChange {
            user: user(1),
            online: true,
            at: Timestamp::from_millis(0),
        };
        inquiry.heard(change);
        inquiry.doubt([user(1), user(2)]);
        assert_eq!(inquiry.take(1), [(user(1), Some(change))]);
        assert_eq!(inquiry.take(2), [(user(2), None)]);
        assert!(inquiry.take(1).is_empty());
    }
}
