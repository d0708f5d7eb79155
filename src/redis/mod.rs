//! The thin wrapper around fred: configuration, and connections that end at their first trouble. Knows nothing of
//! what is sent over them; the bus and the presence adapter do.

mod address;
mod backoff;
mod config;
mod connection;

pub use address::RedisAddress;
pub(crate) use backoff::Backoff;
pub use config::{RedisConfig, RedisConfigError};
pub(crate) use connection::{Connection, Purpose};
