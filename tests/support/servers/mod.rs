//! Real Redis and MongoDB servers on free loopback ports, each in its own temporary directory.
//!
//! Knows how servers are started, broken and brought back; refuses to know what the tests store in them. Tests that
//! break a server start their own; the others share one of each kind and keep apart by database and by key prefix.

mod mongo;
mod proxy;
mod redis;
mod redis_group;
mod redis_node;
mod redis_tap;

pub(crate) use mongo::{Mongo, shared_mongo};
pub(crate) use proxy::Proxy;
pub(crate) use redis::{Redis, Reply, shared_redis};
pub(crate) use redis_group::{RedisCluster, RedisSentinels, until};
pub(crate) use redis_node::RedisNode;
pub(crate) use redis_tap::RedisTap;
