//! The thin wrapper around fred: configuration, connections that end at their first trouble, and the proof that what is
//! found in Redis is ours. Knows nothing of what is sent over them; the bus and the presence adapter do.

mod address;
mod backoff;
mod config;
mod connection;
mod seal;

pub use address::RedisAddress;
pub(crate) use backoff::Backoff;
pub use config::{RedisConfig, RedisConfigError};
pub(crate) use connection::{Connection, Purpose};
pub use seal::{Seal, TAG_BYTES, Tag};
