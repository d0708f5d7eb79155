//! Coming and going: a user's first session here, the last one and the grace after it; and what the sessions that watch
//! are shown.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::super::envelope::{self, PresenceChange};
use super::super::offer::Encoded;
use super::super::session::Session;
use super::Hub;
use super::watchers::{Found, Stamp};
use crate::bus::Channel;
use crate::chat::{ChatError, LastSeen};
use crate::domain::{ConversationId, UserId};
use crate::presence::Transition;
use crate::wire;

/// How many users' comings and goings may be told to the presence service at once; one user's are told in turn.
const STRIPES: usize = 64;

/// How many users' presence is asked for at once after a doubt.
const CHUNK: usize = 500;

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
        let limit = self.watched.load(Ordering::Relaxed);
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
        let stamped = users.iter().map(|user| (*user, self.watchers.stamp(*user)));
        let stamped: Vec<(UserId, Stamp)> = stamped.collect();
        let online = self.presence.online(users).await.map_err(|error| {
            tracing::warn!(%error, "presence not asked");
            ChatError::Unavailable
        })?;
        let found = stamped.into_iter().zip(online);
        Ok(found
            .map(|((user, stamp), online)| {
                let found = self.watchers.found(user, stamp, online);
                (user, self.tell_if_different(user, found))
            })
            .collect())
    }

    /// Tells those who were shown something else. Returns what is shown now.
    fn tell_if_different(&self, user: UserId, found: Found) -> bool {
        match found {
            Found::Agrees(online) | Found::IsFirst(online) => online,
            Found::Differs(online) => {
                self.tell_watchers(user, online);
                online
            }
        }
    }

    fn tell_watchers(&self, user: UserId, online: bool) {
        let at = self.clock.now();
        let change = PresenceChange { user, online, at };
        self.watchers.write(user, &self.told(change));
    }

    /// Presence changes may have been lost: asks about everybody who is watched, and once more when the leases of that
    /// moment and the grace have ended, since nobody may have been announced before (D23).
    pub(super) async fn ask_presence_when_wanted(&self, stop: CancellationToken) {
        let work = async {
            loop {
                self.presence_wanted.notified().await;
                while self.ask_presence_twice().await {}
            }
        };
        stop.run_until_cancelled(work).await;
    }

    /// True when there was a new doubt before the second time.
    async fn ask_presence_twice(&self) -> bool {
        self.ask_presence().await;
        let later = self.config.lease + self.config.grace;
        tokio::select! {
            () = self.presence_wanted.notified() => true,
            () = tokio::time::sleep(later + self.jitter(later / 4)) => {
                self.ask_presence().await;
                false
            }
        }
    }

    async fn ask_presence(&self) {
        for watched in self.watchers.watched().chunks(CHUNK) {
            let users: Vec<UserId> = watched.iter().map(|(user, _)| *user).collect();
            let Some(online) = self.until_read(|| self.presence.online(&users)).await else {
                return;
            };
            for ((user, stamp), online) in watched.iter().zip(online) {
                match self.watchers.found(*user, *stamp, online) {
                    Found::Agrees(_) => {}
                    // Who asked first was told that presence is away.
                    Found::IsFirst(online) | Found::Differs(online) => {
                        self.tell_watchers(*user, online);
                    }
                }
            }
        }
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
        self.watchers
            .show(change.user, change.online, &self.told(change));
    }

    /// Other rules of who learns when a user was last seen, from now on.
    pub fn set_last_seen(&self, last_seen: LastSeen) {
        let is_for_all = last_seen == LastSeen::Anybody;
        self.last_seen_for_all.store(is_for_all, Ordering::Relaxed);
    }

    fn told(&self, change: PresenceChange) -> Told {
        let last_seen = (!change.online).then(|| change.at.to_rfc3339());
        Told {
            is_for_all: self.last_seen_for_all.load(Ordering::Relaxed),
            briefly: last_seen.is_some().then(|| encode(change, None)),
            fully: encode(change, last_seen),
        }
    }
}

/// A change as sessions are told of it.
pub(super) struct Told {
    fully: Encoded,
    /// Without the time at which the user was last seen, where there is one.
    briefly: Option<Encoded>,
    is_for_all: bool,
}

impl Told {
    /// How a session is told: with the time where its user has a direct conversation with the one who went. (Who shares a
    /// room only may ask for it.)
    pub(super) fn to(&self, session: &Session, user: UserId) -> &Encoded {
        let direct = ConversationId::direct(session.user(), user);
        match &self.briefly {
            Some(briefly) if !self.is_for_all && !session.knows(direct) => briefly,
            _ => &self.fully,
        }
    }
}

fn encode(change: PresenceChange, last_seen_at: Option<String>) -> Encoded {
    let shape = PresenceJson {
        user_id: change.user.to_string(),
        online: change.online,
        last_seen_at,
    };
    Encoded::new("presence", Bytes::from(wire::encode(&shape)))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PresenceJson {
    user_id: String,
    online: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_at: Option<String>,
}
