//! The throttle port: how fast something may be tried, counted over all gateways, by the generic cell rate algorithm
//! (ITU-T I.371, as a virtual scheduler). This page is the contract; one suite (`tests/contract/throttle.rs`) runs over
//! every adapter.
//!
//! - [`Throttle::take`] is atomic: of concurrent calls by several gateways no more are granted than the steps allow. What
//!   is refused counts nothing.
//! - A key that was not used for as long as its steps need to be free again is forgotten.
//! - Nothing here is durable: a backend may lose all of it, and then everybody begins anew.
//! - It never fails: while its backend does not answer, an adapter counts for its gateway alone, within the same steps,
//!   and says so in a metric.

mod local;
mod meter;
mod redis;

use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use local::LocalThrottle;
pub use meter::{Changing, Meter, Meters, Rate, TooFast};
pub use redis::RedisThrottle;

/// So many at once, and then one an interval. Several steps, each slower and with more at once than the one before, make
/// a delay that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// How many after a pause; at least 1.
    pub burst: u32,
    /// Time between two requests once that many were granted at once.
    pub interval: Duration,
}

/// What hobnob needs of a throttle.
#[async_trait]
pub trait Throttle: Send + Sync + 'static {
    /// Grants one try, when every step does.
    ///
    /// # Errors
    /// How long to wait for the next one; more than nothing.
    async fn take(&self, key: &str, steps: &[Step]) -> Result<(), Duration>;

    /// Forgets what was taken under this key.
    async fn clear(&self, key: &str);

    /// Notes this key for so long.
    async fn note(&self, key: &str, lasting: Duration);

    /// Whether [`Throttle::note`] was called with this key, and not too long ago.
    async fn is_noted(&self, key: &str) -> bool;

    /// Keeps the backend at hand until `stop`; without it every gateway counts for itself.
    async fn run(&self, stop: CancellationToken);
}
