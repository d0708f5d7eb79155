//! Coming and going: a user's first session here, the last one and the grace after it; and what the sessions that watch
//! are shown.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

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
use crate::domain::{ConversationId, Timestamp, UserId};
use crate::presence::Transition;
use crate::wire;

/// How many users' presence is asked for at once.
const CHUNK: usize = 500;

/// How often some of the watched users are asked about, whatever was heard, and how many: all of 5,000 within 10 s, for
/// 500 questions a second at most.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const LOOK: usize = 1_000;

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
        let _turn = self.comings.turn_of(user).await;
        let is_here = self.users.is_here(user);
        let told = if is_here {
            self.presence.enter(user).await
        } else {
            self.presence.exit(user).await
        };
        match told {
            Ok(Transition::Changed) if is_here => self.publish_presence(user, true),
            Ok(Transition::Changed) => self.announce_offline(&[user]),
            Ok(Transition::Unchanged) => {}
            // Made good and signalled later, since the answer alone may be what was lost (D51).
            Err(error) => tracing::warn!(%error, "presence not told"),
        }
    }

    /// Tells the watchers, and has it stored when the users were last seen.
    pub(super) fn announce_offline(&self, users: &[UserId]) {
        for user in users {
            self.publish_presence(*user, false);
        }
        self.departures.note(users);
    }

    pub(super) fn publish_presence(&self, user: UserId, online: bool) {
        let count = if online {
            &self.metrics.presence_online
        } else {
            &self.metrics.presence_offline
        };
        count.increment(1);
        self.heads.note_presence(user);
        self.hint_presence(user, online);
    }

    /// Tells whoever watches a user to ask again: the hint says what was the case when it was published (D51).
    pub(super) fn hint_presence(&self, user: UserId, online: bool) {
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
                self.tell_watchers(user, online, self.clock.now());
                online
            }
            Found::Unclear(online) => {
                self.inquiry.doubt([user]);
                online
            }
        }
    }

    fn tell_watchers(&self, user: UserId, online: bool, at: Timestamp) {
        let change = PresenceChange { user, online, at };
        self.watchers.write(user, &self.told(change));
    }

    /// Presence changes may have been lost: asks about everybody who is watched, and once more when the leases of that
    /// moment and the grace have ended, since nobody may have been announced before (D23).
    pub(super) async fn ask_presence_when_wanted(self: Arc<Self>, stop: CancellationToken) {
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
        self.doubt_presence();
        let later = self.config.lease + self.config.grace;
        tokio::select! {
            () = self.presence_wanted.notified() => true,
            () = tokio::time::sleep(later + self.jitter(later / 4)) => {
                self.doubt_presence();
                false
            }
        }
    }

    fn doubt_presence(&self) {
        let watched = self.watchers.watched().into_iter();
        self.inquiry.doubt(watched.map(|(user, _)| user));
    }

    /// Asks about those of whom something was heard, or may have been missed; the only task that asks unbidden.
    pub(super) async fn inquire(self: Arc<Self>, stop: CancellationToken) {
        let work = async {
            loop {
                self.inquiry.wanted().await;
                loop {
                    let some = self.inquiry.take(CHUNK);
                    if some.is_empty() {
                        break;
                    }
                    self.ask_about(&some).await;
                }
            }
        };
        stop.run_until_cancelled(work).await;
    }

    async fn ask_about(&self, some: &[(UserId, Option<PresenceChange>)]) {
        let users: Vec<UserId> = some.iter().map(|(user, _)| *user).collect();
        let stamps: Vec<Stamp> = users
            .iter()
            .map(|user| self.watchers.stamp(*user))
            .collect();
        let Some(online) = self.until_read(|| self.presence.online(&users)).await else {
            return;
        };
        for (((user, heard), stamp), online) in some.iter().zip(stamps).zip(online) {
            match self.watchers.found(*user, stamp, online) {
                Found::Agrees(_) => {}
                // Who asked first was told that presence is away.
                Found::IsFirst(online) | Found::Differs(online) => {
                    let told = heard.filter(|heard| heard.online == online);
                    let at = told.map_or_else(|| self.clock.now(), |heard| heard.at);
                    self.tell_watchers(*user, online, at);
                }
                Found::Unclear(_) => self.inquiry.doubt([*user]),
            }
        }
    }

    /// Looks after some of the watched in turn: a hint may be lost without any sign (D51).
    pub(super) async fn look_after_watched(self: Arc<Self>, stop: CancellationToken) {
        let mut last = None;
        while stop
            .run_until_cancelled(tokio::time::sleep(LOOK_EVERY))
            .await
            .is_some()
        {
            let watched = self.watchers.watched().into_iter();
            let behind = watched
                .map(|(user, _)| user)
                .filter(|user| last.is_none_or(|last| *user > last));
            let mut behind: Vec<UserId> = behind.collect();
            behind.sort_unstable();
            behind.truncate(LOOK);
            last = behind.last().copied().filter(|_| behind.len() == LOOK);
            self.inquiry.doubt(behind);
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

    /// Somebody's coming or going was heard of: late, twice or replayed, perhaps, so presence is asked (D51).
    pub(super) fn hear_presence(&self, change: PresenceChange) {
        if self.watchers.is_watched(change.user) {
            self.inquiry.heard(change);
        }
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
