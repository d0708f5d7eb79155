//! A whole cluster as processes of this one: Redis, a replica set, and gateways, each gateway with a cable of its own to
//! Redis. Knows how it is put together; breaking it is another file's business.

mod gateway;
mod leash;
mod mongo;
mod program;
mod proxy;
mod redis;
mod until;

use std::time::Duration;

pub(crate) use gateway::Gateway;
pub(crate) use leash::{Leashed, free_port, repository, tool};
pub(crate) use mongo::Mongo;
pub use program::Peer;
pub(crate) use program::{Program, SECRET};
pub(crate) use proxy::Proxy;
pub(crate) use redis::{Redis, ask};
pub(crate) use until::wait_until;

use crate::Invalid;
use crate::gateways::Gateways;
use crate::scenario::Named;

const GATEWAYS: usize = 3;
const MEMBERS: usize = 3;

/// The whole.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) redis: Redis,
    pub(crate) mongo: Mongo,
    pub(crate) gateways: Vec<Gateway>,
    /// One per gateway.
    pub(crate) redis_cables: Vec<Proxy>,
}

impl Cluster {
    /// Starts three gateways and three members of MongoDB, and returns when every gateway is ready.
    pub(crate) async fn start(program: &Program, drain_grace: Duration) -> Result<Self, Invalid> {
        Self::of(program, drain_grace, GATEWAYS, MEMBERS).await
    }

    /// The same with other numbers.
    pub(crate) async fn of(
        program: &Program,
        drain_grace: Duration,
        gateways: usize,
        members: usize,
    ) -> Result<Self, Invalid> {
        program.check()?;
        let (redis, mongo) = (Redis::start().await?, Mongo::start(members).await?);
        let mut cluster = Self {
            redis,
            mongo,
            gateways: Vec::new(),
            redis_cables: Vec::new(),
        };
        for _ in 0..gateways {
            let cable = Proxy::start(cluster.redis.port()).await?;
            let program = program.clone();
            let mut gateway =
                Gateway::new(program, cable.port(), cluster.mongo.uri(), drain_grace)?;
            gateway.launch()?;
            cluster.gateways.push(gateway);
            cluster.redis_cables.push(cable);
        }
        cluster.ready().await?;
        Ok(cluster)
    }

    /// Waits until every gateway takes clients, and the replica set writes.
    pub(crate) async fn ready(&self) -> Result<(), Invalid> {
        self.mongo.primary().await?;
        for gateway in &self.gateways {
            gateway.ready().await?;
        }
        Ok(())
    }

    /// Where each gateway of the product tells its metrics.
    pub(crate) fn admins(&self) -> Vec<String> {
        self.gateways.iter().map(Gateway::admin).collect()
    }

    /// Everything that runs, by kind.
    pub(crate) fn processes(&self) -> Vec<Named> {
        let gateways = self.gateways.iter().filter_map(Gateway::pid);
        let named = |name: &'static str| {
            move |pid| Named {
                name: name.to_owned(),
                pid,
            }
        };
        let gateways = gateways.map(named("gateway"));
        let mongo = self.mongo.pids().into_iter().map(named("mongod"));
        let redis = self.redis.pid().into_iter().map(named("redis"));
        gateways.chain(mongo).chain(redis).collect()
    }

    pub(crate) fn addresses(&self) -> Gateways {
        Gateways::local(self.gateways.iter().map(Gateway::port))
    }
}
