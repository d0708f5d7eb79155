//! The thin wrapper around fred: configuration, connections that end at their first trouble, and the proof that what is
//! found in Redis is ours. Knows nothing of what is sent over them; the bus and the presence adapter do.

use std::time::Duration;

use crate::domain::Backoff;

mod address;
mod config;
mod connection;
mod seal;

pub use address::RedisAddress;
pub use config::{RedisConfig, RedisConfigError};
pub(crate) use connection::{Connection, Purpose};
pub use seal::{Seal, TAG_BYTES, Tag};

/// The waits between attempts at Redis. The longest is part of the 5 s in which a gateway must hear again (P5).
pub(crate) const fn backoff() -> Backoff {
    Backoff::between(Duration::from_millis(50), Duration::from_millis(500))
}
