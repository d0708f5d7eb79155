//! How fast clients may ask this gateway alone, by the generic cell rate algorithm (ITU-T I.371, as a virtual
//! scheduler): a meter is one moment in time, and an idle meter is the same as none. Knows neither what is asked nor
//! who answers.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Step;

/// After a pause, so many seconds' worth may come at once.
const BURST_SECONDS: u32 = 5;
/// Idle meters are looked for no more often than this: a look costs time in proportion to their number.
const SWEEP: Duration = Duration::from_secs(1);

/// So many requests a second; none when there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate(Option<Duration>);

impl Rate {
    /// No limit.
    pub const UNLIMITED: Self = Self(None);

    /// The same as a [`super::Throttle`] counts it, for all gateways.
    #[must_use]
    pub fn step(self) -> Option<Step> {
        let interval = self.0?;
        let burst = u128::from(BURST_SECONDS) * Duration::from_secs(1).as_nanos();
        let burst = (burst / interval.as_nanos().max(1)).max(1);
        Some(Step {
            burst: u32::try_from(burst).unwrap_or(u32::MAX),
            interval,
        })
    }

    /// This many a second, 0 for no limit.
    #[must_use]
    pub fn per_second(count: u32) -> Self {
        Self((count > 0).then(|| Duration::from_secs(1) / count))
    }
}

/// A rate that may change while it is in use.
#[derive(Debug)]
pub struct Changing(AtomicU64);

impl Changing {
    /// This rate, until another is set.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self(AtomicU64::new(nanos(rate)))
    }

    /// The rate in force.
    #[must_use]
    pub fn get(&self) -> Rate {
        let nanos = self.0.load(Ordering::Relaxed);
        Rate((nanos > 0).then(|| Duration::from_nanos(nanos)))
    }

    /// Sets another rate; takes effect with the next request.
    pub fn set(&self, rate: Rate) {
        self.0.store(nanos(rate), Ordering::Relaxed);
    }
}

/// Of a request's share; a second at most, so that it fits.
fn nanos(rate: Rate) -> u64 {
    let share = rate.0.map_or(0, |share| share.as_nanos());
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// More was asked for than the rate grants; nothing was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFast {
    /// How long until the next request will be granted.
    pub retry_after: Duration,
}

/// How far one client has used up its rate: the moment at which it will have paid for all it was granted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Meter(Option<Instant>);

impl Meter {
    /// Grants one request.
    ///
    /// # Errors
    /// [`TooFast`], and then nothing is counted.
    pub fn take(&mut self, rate: Rate, now: Instant) -> Result<(), TooFast> {
        let Some(interval) = rate.0 else {
            return Ok(());
        };
        let paid = self.0.map_or(now, |paid| paid.max(now));
        let ahead = paid.duration_since(now);
        let burst = Duration::from_secs(BURST_SECONDS.into()).max(interval);
        if ahead + interval > burst {
            let retry_after = ahead + interval - burst;
            return Err(TooFast { retry_after });
        }
        self.0 = Some(paid + interval);
        Ok(())
    }

    fn give_back(&mut self, rate: Rate) {
        if let (Some(paid), Some(interval)) = (self.0, rate.0) {
            self.0 = paid.checked_sub(interval);
        }
    }

    fn is_busy(self, now: Instant) -> bool {
        self.0.is_some_and(|paid| paid > now)
    }
}

/// A meter per user or address; idle ones are forgotten.
#[derive(Debug)]
pub struct Meters<K> {
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
    /// Meters for at most so many at a time.
    #[must_use]
    pub fn new(rate: Rate, most: usize) -> Self {
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

    /// Another rate from now on; what was granted before counts.
    pub fn set_rate(&self, rate: Rate) {
        self.rate.set(rate);
    }

    /// Takes back what was granted once: it shall not count.
    pub fn give_back(&self, key: &K) {
        let rate = self.rate.get();
        if let Some(meter) = self.state.lock().meters.get_mut(key) {
            meter.give_back(rate);
        }
    }

    /// Grants one request of this one.
    ///
    /// # Errors
    /// [`TooFast`], and then nothing is counted.
    pub fn take(&self, key: K, now: Instant) -> Result<(), TooFast> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(outcome: &Result<(), TooFast>) -> Option<Duration> {
        match outcome {
            Err(TooFast { retry_after }) => Some(*retry_after),
            Ok(()) => None,
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
}
