//! What holds the truth and carries the hints: SQLite and this process, or MongoDB and Redis.

use std::sync::Arc;

use tokio::sync::watch;

use super::World;
use crate::bus::{Bus, LocalBus, RedisBus};
use crate::config::{Backends, Config, Secret, StartError, generated_secret};
use crate::metrics::Metrics;
use crate::presence::{LocalPresence, Presence, PresenceConfig, RedisPresence};
use crate::redis::RedisConfig;
use crate::store::mongo::{MongoConfig, MongoStore};
use crate::store::sqlite::{SqliteOptions, SqliteStore};
use crate::store::{MeasuredStore, Store};
use crate::throttle::{LocalThrottle, RedisThrottle, Throttle};

/// The adapters, behind their ports.
pub(super) struct Parts {
    pub(super) store: Arc<dyn Store>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) presence: Arc<dyn Presence>,
    pub(super) throttle: Arc<dyn Throttle>,
    /// The first signs, all verify.
    pub(super) secrets: Vec<Secret>,
    /// Grows with every new MongoDB primary (D16).
    pub(super) primary_changes: Option<watch::Receiver<u64>>,
    /// Where gateways say that they hear the bus (D26); none when there is only one.
    pub(super) hearings: Option<Arc<MongoStore>>,
    /// The embedded store, which is to be closed.
    embedded: Option<Arc<SqliteStore>>,
}

impl Parts {
    pub(super) async fn build(
        config: &Config,
        world: &World,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        let mut parts = Self::adapters(config, world, metrics).await?;
        parts.store = Arc::new(MeasuredStore::new(parts.store, metrics.store.clone()));
        Ok(parts)
    }

    async fn adapters(
        config: &Config,
        world: &World,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        match &config.backends {
            Backends::Embedded { data_dir } => {
                // Inside this process there is nothing that could be away.
                metrics.presence.up.set(1.0);
                Self::embedded(config, world, data_dir)
            }
            Backends::Clustered {
                redis_url,
                mongodb_uri,
                mongodb_pool_size,
            } => {
                let mongo = MongoConfig {
                    max_pool_size: *mongodb_pool_size,
                    ..MongoConfig::new(mongodb_uri.expose(), config.limits.room_members)
                };
                let redis = RedisConfig::parse(redis_url.expose())
                    .map_err(|error| StartError::of("redis_url", error.to_string()))?
                    .with_metrics(metrics.clone());
                Self::clustered(config, world, mongo, redis).await
            }
        }
    }

    fn embedded(
        config: &Config,
        world: &World,
        data_dir: &std::path::Path,
    ) -> Result<Self, StartError> {
        let options = SqliteOptions {
            directory: data_dir.to_owned(),
            room_limit: config.limits.room_members,
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
            bus: Arc::new(LocalBus::hub().connect(world.gateway)),
            presence: Arc::new(LocalPresence::hub(presence_config(config)).connect(world.gateway)),
            throttle: Arc::new(LocalThrottle::new(Arc::clone(&world.entropy))),
            secrets,
            primary_changes: None,
            hearings: None,
            embedded: Some(store),
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
        let bus = RedisBus::new(redis.clone(), world.gateway, Arc::clone(&world.entropy));
        bus.start();
        let throttle = RedisThrottle::new(redis.clone(), Arc::clone(&world.entropy));
        let presence = RedisPresence::new(
            redis,
            world.gateway,
            presence_config(config),
            Arc::clone(&world.entropy),
        );
        Ok(Self {
            primary_changes: Some(store.primary_changes()),
            hearings: Some(Arc::clone(&store)),
            store,
            bus: Arc::new(bus),
            presence: Arc::new(presence),
            throttle: Arc::new(throttle),
            secrets: config.auth.jwt_secrets.clone(),
            embedded: None,
        })
    }

    /// Publishes what is queued and closes what is open.
    pub(super) async fn close(&self) {
        self.bus.close().await;
        if let Some(store) = &self.embedded {
            store.close().await;
        }
    }
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
