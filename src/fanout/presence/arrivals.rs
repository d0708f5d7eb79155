//! Coming and going: a user's first session here, the last one and the grace after it, told to the presence service and
//! to whoever watches them. Knows no watchers; a hint on the bus reaches them.

use std::sync::Arc;
use std::time::Duration;

use super::super::envelope::{self, PresenceChange};
use super::super::publisher::Publisher;
use super::super::recall::Recall;
use super::super::session::Session;
use super::super::tasks::Tasks;
use super::super::users::Users;
use super::comings::Comings;
use super::departures::Departures;
use crate::bus::Channel;
use crate::domain::{Clock, UserId};
use crate::metrics::Metrics;
use crate::presence::{Presence, Transition};

pub(in crate::fanout) struct Arrivals {
    /// How long after a user's last session ends they are shown offline.
    grace: Duration,
    presence: Arc<dyn Presence>,
    clock: Arc<dyn Clock>,
    users: Arc<Users>,
    recall: Arc<Recall>,
    publisher: Arc<Publisher>,
    departures: Arc<Departures>,
    comings: Comings,
    tasks: Tasks,
    metrics: Metrics,
}

/// The ports that arrivals are announced through.
pub(in crate::fanout) struct ArrivalsPorts {
    pub(in crate::fanout) presence: Arc<dyn Presence>,
    pub(in crate::fanout) clock: Arc<dyn Clock>,
    pub(in crate::fanout) metrics: Metrics,
}

impl Arrivals {
    pub(in crate::fanout) fn new(
        grace: Duration,
        ports: ArrivalsPorts,
        users: Arc<Users>,
        (recall, publisher): (Arc<Recall>, Arc<Publisher>),
        departures: Arc<Departures>,
        tasks: Tasks,
    ) -> Self {
        Self {
            grace,
            presence: ports.presence,
            clock: ports.clock,
            users,
            recall,
            publisher,
            departures,
            comings: Comings::default(),
            tasks,
            metrics: ports.metrics,
        }
    }

    /// A session joins: its user is online from now on.
    pub(in crate::fanout) async fn arrive(&self, session: &Arc<Session>) {
        if self.users.add(session) {
            self.settle(session.user()).await;
        }
    }

    /// A session that had joined has ended: after the grace, if it was its user's last, they are offline (D24).
    pub(in crate::fanout) fn part(self: &Arc<Self>, session: &Session) {
        let user = session.user();
        if !self.users.remove(user, session.id()) {
            return;
        }
        let this = Arc::clone(self);
        self.tasks.spawn(async move {
            // A draining gateway leaves the rest to its lease's heir.
            let grace = tokio::time::sleep(this.grace);
            if this.tasks.unless_stopped(grace).await.is_some() {
                this.settle(user).await;
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
            Ok(Transition::Changed) if is_here => self.announce(user, true),
            Ok(Transition::Changed) => self.announce_offline(&[user]),
            Ok(Transition::Unchanged) => {}
            // Made good and signalled later, since the answer alone may be what was lost (D51).
            Err(error) => tracing::warn!(%error, "presence not told"),
        }
    }

    /// Tells the watchers, and has it stored when the users were last seen.
    pub(in crate::fanout) fn announce_offline(&self, users: &[UserId]) {
        for user in users {
            self.announce(*user, false);
        }
        self.departures.note(users);
    }

    /// Tells the watchers, and remembers that they were told.
    pub(in crate::fanout) fn announce(&self, user: UserId, online: bool) {
        let count = if online {
            &self.metrics.presence_online
        } else {
            &self.metrics.presence_offline
        };
        count.increment(1);
        self.recall.note_presence(user);
        self.hint(user, online);
    }

    /// Tells watchers again how it is with a user of whom they were told.
    pub(in crate::fanout) fn announce_again(&self, user: UserId) {
        self.hint(user, self.users.is_here(user));
    }

    /// Tells whoever watches a user to ask again: the hint says what was the case when it was published (D51).
    fn hint(&self, user: UserId, online: bool) {
        let at = self.clock.now();
        let payload = envelope::encode_presence(PresenceChange { user, online, at });
        self.publisher.publish(Channel::Watch(user), 0, payload);
    }
}
