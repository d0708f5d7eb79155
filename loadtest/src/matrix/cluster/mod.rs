//! A whole cluster as processes of this one: Redis, a replica set, and gateways, each gateway with a cable of its own to
//! Redis. Knows how it is put together; breaking it is another file's business.

mod program;

use std::time::Duration;

use testbed::cable::Cable;
use testbed::gateway::Gateway;
use testbed::servers::{Mongo, Redis};

pub use program::Peer;
pub(crate) use program::{Program, SECRET};

use crate::Invalid;
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
    pub(crate) redis_cables: Vec<Cable>,
    program: Program,
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
        let mut cluster = Self {
            redis: Redis::start(),
            mongo: Mongo::start_to_measure(members).await,
            gateways: Vec::new(),
            redis_cables: Vec::new(),
            program: program.clone(),
        };
        for _ in 0..gateways {
            let cable = Cable::start(cluster.redis.port()).await;
            let (redis, mongodb) = (cable.port(), cluster.mongodb_uri());
            let command = |place: &mut _| program.command(place, redis, &mongodb, drain_grace);
            cluster.gateways.push(Gateway::launched(command));
            cluster.redis_cables.push(cable);
        }
        cluster.ready().await;
        Ok(cluster)
    }

    /// Waits until every gateway takes clients, and the replica set writes.
    pub(crate) async fn ready(&self) {
        self.mongo.wait_for_primary().await;
        for gateway in &self.gateways {
            gateway.ready().await;
        }
    }

    /// The gateways' database, in the whole replica set.
    pub(crate) fn mongodb_uri(&self) -> String {
        self.mongo.uri("hobnob")
    }

    /// Leads the first gateway to MongoDB by another way, and restarts it.
    pub(crate) async fn lead_first_gateway(&mut self, mongodb_uri: &str) {
        let setting = self.program.mongodb_setting();
        self.gateways[0].set(setting, mongodb_uri);
        self.gateways[0].restart().await;
    }

    /// Where each gateway of the product tells its metrics.
    pub(crate) fn admins(&self) -> Vec<String> {
        let admins = self.gateways.iter();
        admins.map(|gateway| gateway.admin_url("")).collect()
    }

    /// Everything that runs, by kind.
    pub(crate) fn processes(&self) -> Vec<Named> {
        let gateways = self.gateways.iter().filter(|gateway| gateway.is_running());
        let named = |name: &'static str| {
            move |pid| Named {
                name: name.to_owned(),
                pid,
            }
        };
        let gateways = gateways.map(Gateway::pid).map(named("gateway"));
        let mongo = self.mongo.pids().into_iter().map(named("mongod"));
        gateways
            .chain(mongo)
            .chain([named("redis")(self.redis.pid())])
            .collect()
    }
}
