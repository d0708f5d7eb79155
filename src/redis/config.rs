//! Where Redis is and how it is used, for fred. Knows no I/O but the system's root certificates, which
//! `rediss` needs. Never prints a URL: it may hold a password.

use std::fmt;
use std::sync::Arc;

use fred::types::RespVersion;
use fred::types::config::{
    ClusterDiscoveryPolicy, Config, Server, ServerConfig, TlsConfig, TlsConnector,
};

use super::address::{Deployment, RedisAddress};
use crate::metrics::Metrics;

/// The longest prefix, in bytes.
const LONGEST_PREFIX: usize = 64;

/// Why what is said about Redis cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedisConfigError {
    /// Not one of the forms of an address.
    #[error("{0}")]
    Address(String),
    /// The system's root certificates cannot be read, which `rediss` needs.
    #[error("it asks for TLS, but the system's root certificates cannot be used: {0}")]
    Certificates(String),
    /// A prefix that is too long or has characters that keys and channels should not have.
    #[error("the prefix of Redis keys must be 1 to 64 letters, digits, `-`, `_`, `.` or `:`")]
    Prefix,
}

/// Where Redis is and how it is used.
#[derive(Clone)]
pub struct RedisConfig {
    pub(super) server: Config,
    prefix: Arc<str>,
    metrics: Metrics,
}

impl RedisConfig {
    /// Reads an address, in one of the forms of [`RedisAddress::parse`].
    ///
    /// # Errors
    /// When it is none of these, or TLS is asked for and the root certificates cannot be used.
    pub fn parse(url: &str) -> Result<Self, RedisConfigError> {
        let address = RedisAddress::parse(url).map_err(RedisConfigError::Address)?;
        Ok(Self {
            server: Config {
                tls: address.tls.then(certificates).transpose()?,
                server: servers(&address),
                username: address.username,
                password: address.password,
                database: address.database,
                // fred's trap 10: it does not follow from anything else.
                version: RespVersion::RESP3,
                // An attempt that fails ends; when to try again is decided by who wants the connection.
                fail_fast: true,
                ..Config::default()
            },
            prefix: "hobnob:".into(),
            metrics: Metrics::none(),
        })
    }

    /// Another prefix for every key and channel than `hobnob:`, so that several systems share one Redis (pub/sub does
    /// not know databases).
    ///
    /// # Errors
    /// When it is empty, longer than 64 bytes or has odd characters.
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self, RedisConfigError> {
        Self::check_prefix(prefix)?;
        self.prefix = prefix.into();
        Ok(self)
    }

    /// Looks whether a prefix can be used.
    ///
    /// # Errors
    /// As in [`Self::with_prefix`].
    pub fn check_prefix(prefix: &str) -> Result<(), RedisConfigError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        // fred takes channels that begin with `__key` for keyspace events.
        let is_odd = prefix.is_empty()
            || prefix.len() > LONGEST_PREFIX
            || prefix.starts_with("__")
            || !prefix.bytes().all(plain);
        match is_odd {
            true => Err(RedisConfigError::Prefix),
            false => Ok(()),
        }
    }

    /// Every key and channel names this log besides: what was said of another counts for nothing (D49).
    #[must_use]
    pub fn of_log(mut self, log: &str) -> Self {
        self.prefix = format!("{}{log}:", self.prefix).into();
        self
    }

    /// Where what happens on its connections is counted.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    pub(crate) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) const fn prefix(&self) -> &Arc<str> {
        &self.prefix
    }

    /// Whether keys are spread over several nodes, so that channels are sharded too.
    pub(crate) const fn is_clustered(&self) -> bool {
        matches!(self.server.server, ServerConfig::Clustered { .. })
    }
}

impl fmt::Debug for RedisConfig {
    /// Names the hosts and nothing that is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("hosts", &self.server.server.hosts())
            .field("tls", &self.server.tls.is_some())
            .field("prefix", &self.prefix)
            .finish()
    }
}

/// The system's root certificates; `SSL_CERT_FILE` replaces them.
fn certificates() -> Result<TlsConfig, RedisConfigError> {
    TlsConnector::default_rustls()
        .map(TlsConfig::from)
        .map_err(|error| RedisConfigError::Certificates(error.details().to_owned()))
}

fn servers(address: &RedisAddress) -> ServerConfig {
    let hosts = address.hosts.iter().map(|host| Server {
        // Certificates name an IPv6 address without the brackets.
        tls_server_name: host
            .name
            .strip_prefix('[')
            .map(|name| name.trim_end_matches(']').into()),
        ..Server::new(host.name.as_str(), host.port)
    });
    let mut hosts: Vec<Server> = hosts.collect();
    match &address.deployment {
        // The parser leaves one host of this kind.
        Deployment::Single => ServerConfig::Centralized {
            server: hosts.swap_remove(0),
        },
        Deployment::Cluster => ServerConfig::Clustered {
            hosts,
            policy: ClusterDiscoveryPolicy::default(),
        },
        Deployment::Sentinel(name) => ServerConfig::Sentinel {
            hosts,
            service_name: name.clone(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_printed() {
        let config = RedisConfig::parse("redis://user:secret@redis.example").unwrap();
        let text = format!("{config:?}");
        assert!(
            text.contains("redis.example") && !text.contains("secret"),
            "{text}"
        );
    }

    #[test]
    fn prefixes_have_limits() {
        let config = RedisConfig::parse("redis://localhost").unwrap();
        assert!(config.clone().with_prefix("staging:chat:").is_ok());
        for bad in ["", "a b", "__key", "é", &"x".repeat(65)] {
            let refused = config.clone().with_prefix(bad);
            assert_eq!(refused.err(), Some(RedisConfigError::Prefix), "{bad}");
        }
    }
}
