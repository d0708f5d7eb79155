//! The presence board: what the sessions that watch users are shown of them, and when the presence service is asked
//! anew. Knows nobody's coming or going but by asking.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::super::envelope::PresenceChange;
use super::super::session::Session;
use super::super::tasks::Tasks;
use super::inquiry::Inquiry;
use super::told::Told;
use super::watchers::{Found, Stamp, Watchers};
use crate::bus::{Bus, Channel};
use crate::chat::{ChatError, LastSeen};
use crate::domain::{Clock, Timestamp, UserId};
use crate::presence::Presence;

/// How many users' presence is asked for at once.
const CHUNK: usize = 500;

/// How often some of the watched users are asked about, whatever was heard, and how many: all of 5,000 within 10 s, for
/// 500 questions a second at most.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const LOOK: usize = 1_000;

pub(in crate::fanout) struct Board {
    /// When all who were online at a moment of doubt have been announced offline, if they are.
    settled_after: Duration,
    bus: Arc<dyn Bus>,
    presence: Arc<dyn Presence>,
    clock: Arc<dyn Clock>,
    watchers: Watchers,
    inquiry: Inquiry,
    /// Changes of presence may have been lost: wakes the one task that asks again.
    doubted: Notify,
    /// The setting watch_limit, which may change.
    limit: AtomicUsize,
    /// The setting last_seen, which may change.
    last_seen_for_all: AtomicBool,
    tasks: Tasks,
}

/// Its bounds and pace.
pub(in crate::fanout) struct BoardConfig {
    /// The most users whose presence one session shows.
    pub(in crate::fanout) limit: usize,
    /// Who learns when a user was last seen.
    pub(in crate::fanout) last_seen: LastSeen,
    /// How long a gateway that died is still believed to live, and the grace after that.
    pub(in crate::fanout) settled_after: Duration,
}

/// The ports that presence is asked and listened for through.
pub(in crate::fanout) struct BoardPorts {
    pub(in crate::fanout) bus: Arc<dyn Bus>,
    pub(in crate::fanout) presence: Arc<dyn Presence>,
    pub(in crate::fanout) clock: Arc<dyn Clock>,
}

impl Board {
    pub(in crate::fanout) fn new(config: &BoardConfig, ports: BoardPorts, tasks: Tasks) -> Self {
        let is_for_all = config.last_seen == LastSeen::Anybody;
        Self {
            settled_after: config.settled_after,
            bus: ports.bus,
            presence: ports.presence,
            clock: ports.clock,
            watchers: Watchers::default(),
            inquiry: Inquiry::default(),
            doubted: Notify::new(),
            limit: AtomicUsize::new(config.limit),
            last_seen_for_all: AtomicBool::new(is_for_all),
            tasks,
        }
    }

    /// Shows a session whether users are online, from now on; answers with how it is now.
    ///
    /// # Errors
    /// [`ChatError::LimitExceeded`]; [`ChatError::Unavailable`] while presence is away.
    pub(in crate::fanout) async fn watch(
        &self,
        session: &Arc<Session>,
        users: &[UserId],
    ) -> Result<HashMap<UserId, bool>, ChatError> {
        let limit = self.limit.load(Ordering::Relaxed);
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

    /// Stops showing a session these users' presence.
    pub(in crate::fanout) fn unwatch(&self, session: &Session, users: &[UserId]) {
        for user in session.unwatch(users) {
            self.watchers.remove(user, session.id());
        }
    }

    /// Stops showing a session anybody's presence.
    pub(in crate::fanout) fn unwatch_all(&self, session: &Session) {
        for user in session.unwatch_all() {
            self.watchers.remove(user, session.id());
        }
    }

    /// Somebody's coming or going was heard of: late, twice or replayed, perhaps, so presence is asked (D51).
    pub(in crate::fanout) fn hear(&self, change: PresenceChange) {
        if self.watchers.is_watched(change.user) {
            self.inquiry.heard(change);
        }
    }

    /// Changes of presence may have been lost: everybody who is watched is asked about.
    pub(in crate::fanout) fn doubt_all(&self) {
        self.doubted.notify_one();
    }

    /// Another watch_limit from now on; who watches more keeps what they have.
    pub(in crate::fanout) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Other rules of who learns when a user was last seen, from now on.
    pub(in crate::fanout) fn set_last_seen(&self, last_seen: LastSeen) {
        let is_for_all = last_seen == LastSeen::Anybody;
        self.last_seen_for_all.store(is_for_all, Ordering::Relaxed);
    }

    /// Drops users nobody watches, and no longer listens for them.
    pub(in crate::fanout) fn sweep(&self) {
        self.watchers.sweep(|unused| self.bus.unsubscribe(unused));
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
        let is_for_all = self.last_seen_for_all.load(Ordering::Relaxed);
        self.watchers.write(user, &Told::of(change, is_for_all));
    }

    /// After a doubt, asks about everybody who is watched, and once more when the leases of that moment and the grace
    /// have ended, since nobody may have been announced before (D23).
    pub(in crate::fanout) async fn settle_doubts(self: Arc<Self>, stop: CancellationToken) {
        let work = async {
            loop {
                self.doubted.notified().await;
                while self.ask_about_all_twice().await {}
            }
        };
        stop.run_until_cancelled(work).await;
    }

    /// True when there was a new doubt before the second time.
    async fn ask_about_all_twice(&self) -> bool {
        self.ask_about_all();
        let later = self.settled_after;
        tokio::select! {
            () = self.doubted.notified() => true,
            () = tokio::time::sleep(later + self.tasks.jitter(later / 4)) => {
                self.ask_about_all();
                false
            }
        }
    }

    fn ask_about_all(&self) {
        let watched = self.watchers.watched().into_iter();
        self.inquiry.doubt(watched.map(|(user, _)| user));
    }

    /// Asks about those of whom something was heard, or may have been missed; the only task that asks unbidden.
    pub(in crate::fanout) async fn inquire(self: Arc<Self>, stop: CancellationToken) {
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
        let read = || self.presence.online(&users);
        let Some(online) = self.tasks.until_read(read).await else {
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
    pub(in crate::fanout) async fn look_after_watched(self: Arc<Self>, stop: CancellationToken) {
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
}
