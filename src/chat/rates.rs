//! How fast clients may ask this gateway. Knows whom it counts; how is [`crate::throttle::Meter`]'s.
//!
//! Each gateway counts for itself: what a user may do grows with the gateways they are connected to, and nothing is asked
//! of Redis before a request is refused. Sign-ins, which are rare and worth it, are counted over all gateways (`sign_in`).

use tokio::time::Instant;

use super::ChatError;
use crate::domain::UserId;
use crate::throttle::{Changing, Meters, Rate, TooFast};

/// The most meters of one kind. When all of them are busy, further users or addresses pass unmetered: a session's own
/// rate and the password threads' queue still bound them.
const METERS: usize = 100_000;

/// The rates of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// Requests of one session.
    pub session: Rate,
    /// Requests of one user, over all their sessions and REST.
    pub user: Rate,
    /// Registrations, log-ins, refreshes and log-outs from one address.
    pub sign_in: Rate,
    /// Searches of one user by name.
    pub search: Rate,
}

/// What is metered for the gateway as a whole; a session keeps its own [`crate::throttle::Meter`].
#[derive(Debug)]
pub(super) struct Metered {
    /// Of one session, which keeps its own meter.
    pub(super) session: Changing,
    users: Meters<UserId>,
    searchers: Meters<UserId>,
}

impl Metered {
    pub(super) fn new(rates: Rates) -> Self {
        Self {
            session: Changing::new(rates.session),
            users: Meters::new(rates.user, METERS),
            searchers: Meters::new(rates.search, METERS),
        }
    }

    /// Other rates from now on; what was granted before counts.
    pub(super) fn set(&self, rates: Rates) {
        self.session.set(rates.session);
        self.users.set_rate(rates.user);
        self.searchers.set_rate(rates.search);
    }

    pub(super) fn user(&self, user: UserId) -> Result<(), ChatError> {
        Ok(self.users.take(user, Instant::now())?)
    }

    pub(super) fn search(&self, user: UserId) -> Result<(), ChatError> {
        Ok(self.searchers.take(user, Instant::now())?)
    }
}

impl From<TooFast> for ChatError {
    fn from(TooFast { retry_after }: TooFast) -> Self {
        Self::RateLimited { retry_after }
    }
}
