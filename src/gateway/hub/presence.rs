//! Coming and going: a user's first session here, the last one and the grace after it; and the sessions that watch.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;

use super::super::envelope::{self, PresenceChange};
use super::super::offer::Encoded;
use super::super::session::Session;
use super::Hub;
use crate::bus::Channel;
use crate::chat::ChatError;
use crate::domain::{SessionId, UserId};
use crate::presence::Transition;
use crate::wire;

/// How many users' comings and goings may be told to the presence service at once; one user's are told in turn.
const STRIPES: usize = 64;

/// One user's comings and goings reach the presence service one after the other.
pub(super) struct Stripes(Vec<tokio::sync::Mutex<()>>);

impl Default for Stripes {
    fn default() -> Self {
        Self(
            (0..STRIPES)
                .map(|_| tokio::sync::Mutex::default())
                .collect(),
        )
    }
}

impl Stripes {
    async fn lock(&self, user: UserId) -> tokio::sync::MutexGuard<'_, ()> {
        let bytes = user.to_bytes();
        self.0[usize::from(bytes[bytes.len() - 1]) % STRIPES]
            .lock()
            .await
    }
}

/// The sessions that show a user's presence.
#[derive(Debug, Default)]
pub(super) struct Watchers(Mutex<HashMap<UserId, Vec<Arc<Session>>>>);

impl Watchers {
    fn add(&self, user: UserId, session: &Arc<Session>) {
        self.0
            .lock()
            .entry(user)
            .or_default()
            .push(Arc::clone(session));
    }

    fn remove(&self, user: UserId, session: SessionId) {
        if let Some(sessions) = self.0.lock().get_mut(&user) {
            sessions.retain(|other| other.id() != session);
        }
    }

    fn write(&self, user: UserId, encoded: &Encoded) {
        for session in self.0.lock().get(&user).into_iter().flatten() {
            session.write_encoded(encoded);
        }
    }

    /// Drops users nobody watches, and hands over their channels under the lock.
    pub(super) fn sweep(&self, unsubscribe: impl Fn(&[Channel])) {
        let mut unused = Vec::new();
        let mut watchers = self.0.lock();
        watchers.retain(|user, sessions| {
            if sessions.is_empty() {
                unused.push(Channel::Watch(*user));
            }
            !sessions.is_empty()
        });
        if !unused.is_empty() {
            unsubscribe(&unused);
        }
    }
}

impl Hub {
    /// A session joins: its user is online from now on.
    pub(super) async fn arrive(&self, session: &Arc<Session>) {
        if self.users.add(session) {
            self.settle(session.user()).await;
        }
    }

    /// A session that had joined has ended: after the grace, if it was its user's last, they are offline (D24).
    pub(super) fn part(self: &Arc<Self>, session: &Session) {
        let user = session.user();
        if !self.users.remove(user, session.id()) {
            return;
        }
        let hub = Arc::clone(self);
        self.tracker.spawn(async move {
            // A draining gateway leaves the rest to its lease's heir.
            if hub
                .stop
                .run_until_cancelled(tokio::time::sleep(hub.config.grace))
                .await
                .is_some()
            {
                hub.settle(user).await;
            }
        });
    }

    /// Tells the presence service whether a user is here now, and the watchers when that changes something.
    async fn settle(&self, user: UserId) {
        let _turn = self.stripes.lock(user).await;
        let is_here = self.users.is_here(user);
        let told = if is_here {
            self.presence.enter(user).await
        } else {
            self.presence.exit(user).await
        };
        match told {
            Ok(Transition::Changed) if is_here => self.publish_presence(user, true),
            Ok(Transition::Changed) => self.announce_offline(&[user]).await,
            Ok(Transition::Unchanged) => {}
            Err(error) => tracing::warn!(%error, "presence not told"),
        }
    }

    /// Tells the watchers, and then notes when the users were last seen.
    pub(super) async fn announce_offline(&self, users: &[UserId]) {
        if users.is_empty() {
            return;
        }
        for user in users {
            self.publish_presence(*user, false);
        }
        if let Err(error) = self.store.touch_last_seen(users, self.clock.now()).await {
            tracing::warn!(%error, "last seen not stored");
        }
    }

    pub(super) fn publish_presence(&self, user: UserId, online: bool) {
        let count = if online {
            &self.metrics.presence_online
        } else {
            &self.metrics.presence_offline
        };
        count.increment(1);
        let at = self.clock.now();
        let payload = envelope::encode_presence(PresenceChange { user, online, at });
        self.publish(Channel::Watch(user), 0, payload);
    }

    /// Shows a session whether users are online, from now on; answers with how it is now.
    ///
    /// # Errors
    /// [`ChatError::LimitExceeded`]; [`ChatError::Unavailable`] while presence is away.
    pub async fn watch(
        &self,
        session: &Arc<Session>,
        users: &[UserId],
    ) -> Result<HashMap<UserId, bool>, ChatError> {
        let limit = self.config.watched;
        let too_many = ChatError::LimitExceeded {
            what: "the number of watched users",
            limit,
        };
        let new = session.watch(users, limit).ok_or(too_many)?;
        for user in &new {
            self.watchers.add(*user, session);
        }
        let channels: Vec<Channel> = new.iter().copied().map(Channel::Watch).collect();
        if !channels.is_empty() {
            let _ = self.bus.subscribe(&channels).await;
        }
        let online = self.presence.online(users).await.map_err(|error| {
            tracing::warn!(%error, "presence not asked");
            ChatError::Unavailable
        })?;
        Ok(users.iter().copied().zip(online).collect())
    }

    /// Ends that.
    pub fn unwatch(&self, session: &Session, users: &[UserId]) {
        for user in session.unwatch(users) {
            self.watchers.remove(user, session.id());
        }
    }

    pub(super) fn unwatch_all(&self, session: &Session) {
        for user in session.unwatch_all() {
            self.watchers.remove(user, session.id());
        }
    }

    pub(super) fn show_presence(&self, change: PresenceChange) {
        let last_seen_at = (!change.online).then(|| change.at.to_rfc3339());
        let shape = PresenceJson {
            user_id: change.user.to_string(),
            online: change.online,
            last_seen_at,
        };
        let encoded = Encoded::new("presence", Bytes::from(wire::encode(&shape)));
        self.watchers.write(change.user, &encoded);
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PresenceJson {
    user_id: String,
    online: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_at: Option<String>,
}
