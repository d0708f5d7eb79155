//! New settings while the process runs: what can change does, what is invalid is refused whole, and what needs a restart is
//! named. Knows which settings those are, not how they are applied.

use crate::config::{Config, StartError, StartErrors};
use crate::metrics::Metrics;

/// What a configuration that was read again meets.
pub struct Reload<Apply> {
    /// The configuration in force.
    pub running: Config,
    /// The metrics that reloads are counted in.
    pub metrics: Metrics,
    /// Takes over what may change, or refuses all of it.
    pub apply: Apply,
}

impl<Apply: Fn(&Config) -> Result<(), StartError>> Reload<Apply> {
    /// Takes over a configuration; one that cannot be read or used is logged, and the old one stays in force.
    pub fn take(&mut self, read: Result<Config, StartErrors>) {
        match read.and_then(|new| Ok((self.apply)(&new).map(|()| new)?)) {
            Ok(new) => {
                let merged = merged(&self.running, &new);
                let changed = merged != self.running;
                let needs_restart = merged != new;
                self.running = merged;
                self.metrics.reloads_applied.increment(1);
                tracing::info!(changed, needs_restart, "the configuration was read again");
            }
            Err(error) => {
                self.metrics.reloads_refused.increment(1);
                tracing::error!(%error, "the new configuration is refused, the old one stays");
            }
        }
    }
}

impl<Apply> std::fmt::Debug for Reload<Apply> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reload")
    }
}

/// The old settings, with those of the new that need no restart.
fn merged(old: &Config, new: &Config) -> Config {
    let mut merged = old.clone();
    merged.server.connection_limit = new.server.connection_limit;
    merged.server.address_connection_limit = new.server.address_connection_limit;
    merged.limits.clone_from(&new.limits);
    merged.logging.filter.clone_from(&new.logging.filter);
    // Without any, a gateway makes its own, at its start: until then those in force stay.
    if !new.auth.jwt_secrets.is_empty() {
        merged.auth.jwt_secrets.clone_from(&new.auth.jwt_secrets);
    }
    merged
}
