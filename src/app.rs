//! The composition root: builds everything from the configuration. The only file that names adapters.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use tokio::time::Instant;

use crate::admin::Readiness;
use crate::config::{Backends, Config, generated_secret};
use crate::domain::Entropy;
use crate::lifecycle::{Failure, Service};
use crate::metrics::Metrics;

/// A gateway.
#[derive(Debug)]
pub struct App {
    router: Router,
}

impl App {
    /// Builds the gateway and starts its tasks. Does not wait for servers that are away.
    ///
    /// # Errors
    /// When the data directory cannot be used.
    pub async fn start(
        config: &Config,
        metrics: Metrics,
        readiness: Arc<Readiness>,
    ) -> Result<Self, Failure> {
        let _ = (metrics, readiness);
        if let Backends::Embedded { data_dir } = &config.backends {
            let (_secret, made) = generated_secret(data_dir, &Entropy::from_os())?;
            tracing::info!(data_dir = %data_dir.display(), made, "embedded store; the token secret is kept beside it");
        }
        Ok(Self {
            router: Router::new(),
        })
    }
}

/// Brings the database's schema up to date.
///
/// # Errors
/// When the database does not answer.
pub async fn migrate(config: &Config) -> Result<(), Failure> {
    App::start(
        config,
        Metrics::none(),
        Arc::new(Readiness::new(Metrics::none())),
    )
    .await
    .map(drop)
}

#[async_trait]
impl Service for App {
    fn router(&self) -> Router {
        self.router.clone()
    }

    async fn drain(&self, _deadline: Instant) {}
}
