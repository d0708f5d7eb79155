//! How fast clients may ask this gateway, by the generic cell rate algorithm (ITU-T I.371, as a virtual scheduler): a
//! meter is one moment in time, and an idle meter is the same as none. Knows neither what is asked nor who answers.
//!
//! Each gateway counts for itself: what a user may do grows with the gateways they are connected to, and nothing is asked
//! of Redis before a request is refused.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::ChatError;
use crate::domain::UserId;

/// After a pause, so many seconds' worth may come at once.
const BURST_SECONDS: u32 = 5;
/// The most meters of one kind. When all of them are busy, further users or addresses pass unmetered: a session's own
/// rate and the password threads' queue still bound them.
const METERS: usize = 100_000;
/// Idle meters are looked for no more often than this: a look costs time in proportion to their number.
const SWEEP: Duration = Duration::from_secs(1);

/// So many requests a second; none when there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate(Option<Duration>);

impl Rate {
    /// No limit.
    pub const UNLIMITED: Self = Self(None);

    /// This many a second, 0 for no limit.
    #[must_use]
    pub fn per_second(count: u32) -> Self {
        Self((count > 0).then(|| Duration::from_secs(1) / count))
    }
}

/// A rate that may change.
#[derive(Debug)]
pub(super) struct Changing(AtomicU64);

impl Changing {
    pub(super) fn new(rate: Rate) -> Self {
        Self(AtomicU64::new(nanos(rate)))
    }

    pub(super) fn get(&self) -> Rate {
        let nanos = self.0.load(Ordering::Relaxed);
        Rate((nanos > 0).then(|| Duration::from_nanos(nanos)))
    }

    pub(super) fn set(&self, rate: Rate) {
        self.0.store(nanos(rate), Ordering::Relaxed);
    }
}

/// Of a request's share; a second at most, so that it fits.
fn nanos(rate: Rate) -> u64 {
    let share = rate.0.map_or(0, |share| share.as_nanos());
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// How far one client has used up its rate: the moment at which it will have paid for all it was granted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Meter(Option<Instant>);

impl Meter {
    /// Grants one request.
    ///
    /// # Errors
    /// `rate_limited`, and then nothing is counted.
    pub fn take(&mut self, rate: Rate, now: Instant) -> Result<(), ChatError> {
        let Some(interval) = rate.0 else {
            return Ok(());
        };
        let paid = self.0.map_or(now, |paid| paid.max(now));
        let ahead = paid.duration_since(now);
        let burst = Duration::from_secs(BURST_SECONDS.into()).max(interval);
        if ahead + interval > burst {
            let retry_after = ahead + interval - burst;
            return Err(ChatError::RateLimited { retry_after });
        }
        self.0 = Some(paid + interval);
        Ok(())
    }

    fn is_busy(self, now: Instant) -> bool {
        self.0.is_some_and(|paid| paid > now)
    }
}

/// A meter per user or address; idle ones are forgotten.
#[derive(Debug)]
struct Meters<K> {
    rate: Changing,
    most: usize,
    state: Mutex<State<K>>,
}

#[derive(Debug)]
struct State<K> {
    meters: HashMap<K, Meter>,
    swept: Option<Instant>,
}

impl<K: Eq + Hash> Meters<K> {
    fn new(rate: Rate, most: usize) -> Self {
        let state = State {
            meters: HashMap::new(),
            swept: None,
        };
        Self {
            rate: Changing::new(rate),
            most,
            state: Mutex::new(state),
        }
    }

    fn take(&self, key: K, now: Instant) -> Result<(), ChatError> {
        let rate = self.rate.get();
        if rate == Rate::UNLIMITED {
            return Ok(());
        }
        let mut state = self.state.lock();
        if state.meters.len() >= self.most && !state.meters.contains_key(&key) {
            state.sweep(now);
            if state.meters.len() >= self.most {
                return Ok(());
            }
        }
        state.meters.entry(key).or_default().take(rate, now)
    }
}

impl<K: Eq + Hash> State<K> {
    fn sweep(&mut self, now: Instant) {
        let is_due = self
            .swept
            .is_none_or(|swept| now.duration_since(swept) >= SWEEP);
        if is_due {
            self.swept = Some(now);
            self.meters.retain(|_, meter| meter.is_busy(now));
        }
    }
}

/// The rates of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// Requests of one session.
    pub session: Rate,
    /// Requests of one user, over all their sessions and REST.
    pub user: Rate,
    /// Registrations, log-ins and refreshes from one address.
    pub sign_in: Rate,
    /// Searches of one user by name.
    pub search: Rate,
}

/// What is metered for the gateway as a whole; a session keeps its own [`Meter`].
#[derive(Debug)]
pub(super) struct Metered {
    /// Of one session, which keeps its own meter.
    pub(super) session: Changing,
    users: Meters<UserId>,
    addresses: Meters<IpAddr>,
    searchers: Meters<UserId>,
}

impl Metered {
    pub(super) fn new(rates: Rates) -> Self {
        Self {
            session: Changing::new(rates.session),
            users: Meters::new(rates.user, METERS),
            addresses: Meters::new(rates.sign_in, METERS),
            searchers: Meters::new(rates.search, METERS),
        }
    }

    /// Other rates from now on; what was granted before counts.
    pub(super) fn set(&self, rates: Rates) {
        self.session.set(rates.session);
        self.users.rate.set(rates.user);
        self.addresses.rate.set(rates.sign_in);
        self.searchers.rate.set(rates.search);
    }

    pub(super) fn user(&self, user: UserId) -> Result<(), ChatError> {
        self.users.take(user, Instant::now())
    }

    pub(super) fn search(&self, user: UserId) -> Result<(), ChatError> {
        self.searchers.take(user, Instant::now())
    }

    pub(super) fn address(&self, address: IpAddr) -> Result<(), ChatError> {
        self.addresses.take(network(address), Instant::now())
    }
}

/// Whom an address belongs to: one IPv6 customer has at least a /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            Ipv6Addr::from(network).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(outcome: &Result<(), ChatError>) -> Option<Duration> {
        match outcome {
            Err(ChatError::RateLimited { retry_after }) => Some(*retry_after),
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_the_rate() {
        let (rate, mut meter) = (Rate::per_second(10), Meter::default());
        for _ in 0..10 * BURST_SECONDS {
            assert!(meter.take(rate, Instant::now()).is_ok());
        }
        let hint = refused(&meter.take(rate, Instant::now())).unwrap();
        assert_eq!(hint, Duration::from_millis(100));
        tokio::time::advance(hint).await;
        assert!(meter.take(rate, Instant::now()).is_ok());
        assert!(meter.take(rate, Instant::now()).is_err());
        tokio::time::advance(Duration::from_secs(3600)).await;
        let granted = (0..1000).filter(|_| meter.take(rate, Instant::now()).is_ok());
        assert_eq!(granted.count() as u32, 10 * BURST_SECONDS);
    }

    #[tokio::test(start_paused = true)]
    async fn zero_is_no_limit_and_a_slow_rate_still_grants() {
        let mut meter = Meter::default();
        assert_eq!(Rate::per_second(0), Rate::UNLIMITED);
        assert!((0..10_000).all(|_| meter.take(Rate::UNLIMITED, Instant::now()).is_ok()));
        assert!(meter.take(Rate::per_second(1), Instant::now()).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn meters_are_apart_bounded_and_forgotten_when_idle() {
        let meters = Meters::new(Rate::per_second(1), 2);
        let take = |key: u8| meters.take(key, Instant::now());
        let burst = |key: u8| (0..100).filter(|_| take(key).is_ok()).count() as u32;
        assert_eq!((burst(1), burst(2)), (BURST_SECONDS, BURST_SECONDS));
        // All are busy: a third is not metered, and takes nobody's place.
        assert_eq!(burst(3), 100);
        assert!(refused(&take(1)).is_some());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(burst(3), BURST_SECONDS);
        assert_eq!(meters.state.lock().meters.len(), 1);
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
