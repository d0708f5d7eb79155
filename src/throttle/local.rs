//! The throttle of one gateway alone: for the embedded mode, and while Redis does not answer. Knows no network.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use indexmap::IndexMap;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Step, Throttle};
use crate::domain::Entropy;

/// The most keys, of those taken and those noted each. When there are more, any one of them is forgotten: who wants a
/// certain one forgotten has to bring about as many others.
const KEYS: usize = 100_000;

/// A throttle in the memory of one process.
#[derive(Debug)]
pub struct LocalThrottle {
    entropy: Arc<Entropy>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// For each step the moment at which all that was granted will be paid for.
    taken: IndexMap<String, Vec<Instant>>,
    /// What is noted under a key, and until when.
    noted: IndexMap<String, Instant>,
}

impl LocalThrottle {
    /// A throttle in which nothing was taken.
    #[must_use]
    pub fn new(entropy: Arc<Entropy>) -> Self {
        Self {
            entropy,
            state: Mutex::default(),
        }
    }

    fn make_room<V>(&self, map: &mut IndexMap<String, V>, key: &str) {
        if map.len() >= KEYS && !map.contains_key(key) {
            let any = self.entropy.next_u64() % map.len() as u64;
            map.swap_remove_index(usize::try_from(any).unwrap_or_default());
        }
    }
}

#[async_trait]
impl Throttle for LocalThrottle {
    async fn take(&self, key: &str, steps: &[Step]) -> Result<(), Duration> {
        let now = Instant::now();
        let taken = &mut self.state.lock().taken;
        let before = taken.get(key).map_or(&[][..], Vec::as_slice);
        let mut paid = Vec::with_capacity(steps.len());
        for (number, step) in steps.iter().enumerate() {
            let from = before.get(number).map_or(now, |before| now.max(*before));
            paid.push(from + step.interval);
        }
        let waits = paid.iter().zip(steps).map(|(paid, step)| {
            let ahead = *paid - now;
            ahead.saturating_sub(step.interval * step.burst)
        });
        let wait = waits.max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(wait);
        }
        self.make_room(taken, key);
        taken.insert(key.to_owned(), paid);
        Ok(())
    }

    async fn clear(&self, key: &str) {
        self.state.lock().taken.swap_remove(key);
    }

    async fn note(&self, key: &str, lasting: Duration) {
        let noted = &mut self.state.lock().noted;
        self.make_room(noted, key);
        noted.insert(key.to_owned(), Instant::now() + lasting);
    }

    async fn is_noted(&self, key: &str) -> bool {
        let state = self.state.lock();
        state
            .noted
            .get(key)
            .is_some_and(|until| *until > Instant::now())
    }

    async fn run(&self, stop: CancellationToken) {
        stop.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_keeps_so_many_keys_and_no_more() {
        let throttle = LocalThrottle::new(Arc::new(Entropy::seeded(1)));
        let steps = [Step {
            burst: 1,
            interval: Duration::from_secs(60),
        }];
        for number in 0..KEYS + 10 {
            assert_eq!(throttle.take(&number.to_string(), &steps).await, Ok(()));
        }
        assert_eq!(throttle.state.lock().taken.len(), KEYS);
    }
}
