//! What holds the truth and carries the hints: SQLite and this process, or MongoDB and Redis.

use std::sync::Arc;

use tokio::sync::watch;

use super::world::World;
use crate::auth::Secret;
use crate::bus::{Bus, LocalBus, RedisBus};
use crate::config::{Backends, Config, StartError, generated_secret};
use crate::metrics::Metrics;
use crate::presence::{LocalPresence, Presence, PresenceConfig, RedisPresence};
use crate::redis::{RedisConfig, Seal};
use crate::store::mongo::{MongoConfig, MongoStore};
use crate::store::sqlite::{SqliteOptions, SqliteStore};
use crate::store::{MeasuredStore, Store, StoreResult};
use crate::throttle::{LocalThrottle, RedisThrottle, Throttle};

/// The store, and what else can be had before the log is known.
pub(super) struct Stores {
    pub(super) store: Arc<dyn Store>,
    /// The first signs, all verify.
    secrets: Vec<Secret>,
    kind: StoreKind,
}

/// The store that the configuration asks for, opened.
enum StoreKind {
    Embedded(Arc<SqliteStore>),
    Clustered(Arc<MongoStore>, Box<RedisConfig>),
}

/// The adapters, behind their ports.
pub(super) struct Adapters {
    pub(super) store: Arc<dyn Store>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) presence: Arc<dyn Presence>,
    pub(super) throttle: Arc<dyn Throttle>,
    /// The first signs, all verify.
    pub(super) secrets: Vec<Secret>,
    /// Proves what gateways tell each other (D49); none when there is only one.
    pub(super) seal: Option<Arc<Seal>>,
    /// Grows with every new MongoDB primary (D16).
    pub(super) primary_changes: Option<watch::Receiver<u64>>,
    /// Where gateways say that they hear the bus (D26); none when there is only one.
    pub(super) hearings: Option<Arc<MongoStore>>,
    /// The embedded store, which is to be closed.
    embedded: Option<Arc<SqliteStore>>,
}

impl Stores {
    pub(super) async fn open(
        config: &Config,
        world: &World,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        let mut stores = match &config.backends {
            Backends::Embedded { data_dir } => {
                // Inside this process there is nothing that could be away.
                metrics.presence.up.set(1.0);
                Self::embedded(config, world, data_dir)?
            }
            Backends::Clustered {
                redis_url,
                redis_prefix,
                mongodb_uri,
                mongodb_pool_size,
            } => {
                let mongo = MongoConfig {
                    max_pool_size: *mongodb_pool_size,
                    ..MongoConfig::new(mongodb_uri.expose())
                };
                let redis = RedisConfig::parse(redis_url.expose())
                    .map_err(|error| StartError::of("redis_url", error.to_string()))?
                    .with_prefix(redis_prefix)
                    .map_err(|error| StartError::of("redis_prefix", error.to_string()))?
                    .with_metrics(metrics.clone());
                Self::clustered(config, world, mongo, redis).await?
            }
        };
        stores.store = Arc::new(MeasuredStore::new(stores.store, metrics.store.clone()));
        Ok(stores)
    }

    fn embedded(
        config: &Config,
        world: &World,
        data_dir: &std::path::Path,
    ) -> Result<Self, StartError> {
        let options = SqliteOptions {
            directory: data_dir.to_owned(),
            time_limit: SqliteOptions::TIME_LIMIT,
        };
        let store = SqliteStore::open(&options, Arc::clone(&world.clock))
            .map_err(|error| StartError::of("data_dir", error.to_string()))?;
        let store = Arc::new(store);
        let mut secrets = config.auth.jwt_secrets.clone();
        if secrets.is_empty() {
            let (secret, made) = generated_secret(data_dir, &world.entropy)?;
            tracing::info!(data_dir = %data_dir.display(), made, "the token secret is kept beside the embedded store");
            secrets.push(secret);
        }
        tracing::info!(data_dir = %data_dir.display(), "one gateway on the embedded store");
        Ok(Self {
            store: Arc::clone(&store) as Arc<dyn Store>,
            secrets,
            kind: StoreKind::Embedded(store),
        })
    }

    async fn clustered(
        config: &Config,
        world: &World,
        mongo: MongoConfig,
        redis: RedisConfig,
    ) -> Result<Self, StartError> {
        let store = MongoStore::connect(mongo, Arc::clone(&world.entropy))
            .await
            .map_err(|error| StartError::of("mongodb_uri", error.to_string()))?;
        let store = Arc::new(store);
        Ok(Self {
            store: Arc::clone(&store) as Arc<dyn Store>,
            secrets: config.auth.jwt_secrets.clone(),
            kind: StoreKind::Clustered(store, Box::new(redis)),
        })
    }

    /// Brings the schema up to date, and returns which log this is; an empty name when no other gateway could ask.
    pub(super) async fn prepare(&self) -> StoreResult<String> {
        self.store.migrate().await?;
        match &self.kind {
            StoreKind::Embedded(_) => Ok(String::new()),
            StoreKind::Clustered(store, _) => store.log_id().await,
        }
    }

    /// With what carries the hints of this log.
    pub(super) fn connect(self, log: &str, config: &Config, world: &World) -> Adapters {
        match self.kind {
            StoreKind::Embedded(embedded) => Adapters {
                store: self.store,
                bus: Arc::new(LocalBus::hub().connect(world.gateway)),
                presence: Arc::new(
                    LocalPresence::hub(presence_config(config)).connect(world.gateway),
                ),
                throttle: Arc::new(LocalThrottle::new(Arc::clone(&world.entropy))),
                secrets: self.secrets,
                seal: None,
                primary_changes: None,
                hearings: None,
                embedded: Some(embedded),
            },
            StoreKind::Clustered(mongo, redis) => {
                let secrets = exposed(&self.secrets);
                let seal = Arc::new(Seal::new(&secrets, log, Arc::clone(&world.clock)));
                let redis = redis.of_log(log);
                let bus = RedisBus::new(
                    redis.clone(),
                    Arc::clone(&seal),
                    world.gateway,
                    Arc::clone(&world.entropy),
                );
                bus.start();
                let throttle = RedisThrottle::new(redis.clone(), Arc::clone(&world.entropy));
                let presence = RedisPresence::new(
                    redis,
                    Arc::clone(&seal),
                    world.gateway,
                    presence_config(config),
                    Arc::clone(&world.entropy),
                );
                Adapters {
                    primary_changes: Some(mongo.primary_changes()),
                    hearings: Some(mongo),
                    store: self.store,
                    bus: Arc::new(bus),
                    presence: Arc::new(presence),
                    throttle: Arc::new(throttle),
                    secrets: self.secrets,
                    seal: Some(seal),
                    embedded: None,
                }
            }
        }
    }

    /// Closes the embedded store, and waits until all is written.
    pub(super) async fn close(&self) {
        if let StoreKind::Embedded(store) = &self.kind {
            store.close().await;
        }
    }
}

impl Adapters {
    /// Other secrets from now on, for what gateways tell each other.
    pub(super) fn replace_secrets(&self, secrets: &[Secret]) {
        if let Some(seal) = &self.seal {
            seal.replace(&exposed(secrets));
        }
    }

    /// Publishes what is queued and closes what is open.
    pub(super) async fn close(&self) {
        self.bus.close().await;
        if let Some(store) = &self.embedded {
            store.close().await;
        }
    }
}

fn exposed(secrets: &[Secret]) -> Vec<&[u8]> {
    secrets.iter().map(Secret::expose).collect()
}

fn presence_config(config: &Config) -> PresenceConfig {
    PresenceConfig {
        lease: config.presence.lease_ttl,
        heartbeat: config.presence.lease_heartbeat,
        grace: config.presence.offline_grace,
        backstop: config.presence.presence_ttl,
        ..PresenceConfig::default()
    }
}
