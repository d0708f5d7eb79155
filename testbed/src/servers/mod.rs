//! Real Redis and MongoDB servers on free loopback ports, each in its own temporary directory.
//!
//! Knows how servers are started, broken and brought back; refuses to know what the tests store in them. Tests that
//! break a server start their own; the others share one of each kind and keep apart by database and by key prefix.

mod mongo;
mod redis;
mod redis_group;
mod redis_node;
mod redis_tap;

pub use mongo::{Mongo, shared_mongo};
pub use redis::{Redis, Reply, ask, shared_redis};
pub use redis_group::{RedisCluster, RedisSentinels};
pub use redis_node::RedisNode;
pub use redis_tap::RedisTap;
