//! Where Redis is and how it is used, read from a URL. Knows no I/O but the system's root certificates, which
//! `rediss` needs. Never prints a URL: it may hold a password.

use std::fmt;
use std::sync::Arc;

use fred::types::RespVersion;
use fred::types::config::{Config, ServerConfig};

use crate::metrics::Metrics;

/// How many publishing connections there are by default. One conversation always uses the same (D9).
const DEFAULT_PUBLISHERS: usize = 2;

/// The most publishing connections that make sense for one gateway.
const MOST_PUBLISHERS: usize = 16;

/// The longest prefix, in bytes.
const LONGEST_PREFIX: usize = 64;

/// Why `HOBNOB_REDIS_URL` (or what belongs to it) cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedisConfigError {
    /// Not a URL, or a part of it is wrong.
    #[error("HOBNOB_REDIS_URL is not a Redis URL: {0}")]
    Malformed(String),
    /// A scheme that is not spoken.
    #[error(
        "HOBNOB_REDIS_URL has the scheme `{0}`; use redis, rediss, redis-cluster, rediss-cluster, redis-sentinel or \
         rediss-sentinel"
    )]
    Scheme(String),
    /// The system's root certificates cannot be read, which `rediss` needs.
    #[error(
        "HOBNOB_REDIS_URL asks for TLS, but the system's root certificates cannot be used: {0}"
    )]
    Certificates(String),
    /// A prefix that is too long or has characters that keys and channels should not have.
    #[error("the prefix of Redis keys must be 1 to 64 letters, digits, `-`, `_`, `.` or `:`")]
    Prefix,
    /// A number of publishing connections outside 1 to 16.
    #[error("the number of Redis publishing connections must be from 1 to 16")]
    Publishers,
}

/// Where Redis is and how it is used.
#[derive(Clone)]
pub struct RedisConfig {
    pub(super) server: Config,
    prefix: Arc<str>,
    publishers: usize,
    metrics: Metrics,
}

impl RedisConfig {
    /// Reads a URL: `redis[s]://[[user:]password@]host[:port][/database]`, `redis[s]-cluster://…[?node=host:port…]` or
    /// `redis[s]-sentinel://…?sentinelServiceName=name[&node=host:port…]`.
    ///
    /// # Errors
    /// When it is none of these, or TLS is asked for and the root certificates cannot be used.
    pub fn parse(url: &str) -> Result<Self, RedisConfigError> {
        let (scheme, _) = url
            .split_once("://")
            .ok_or_else(|| RedisConfigError::Malformed("`://` is missing".to_owned()))?;
        let parsed = match scheme {
            "redis" | "rediss" => Config::from_url_centralized(url),
            "redis-cluster" | "rediss-cluster" => Config::from_url_clustered(url),
            "redis-sentinel" | "rediss-sentinel" => Config::from_url_sentinel(url),
            other => return Err(RedisConfigError::Scheme(other.to_owned())),
        };
        let mut server = parsed.map_err(|error| refusal(&error))?;
        // fred's trap 10: it does not follow from anything else.
        server.version = RespVersion::RESP3;
        // An attempt that fails ends; when to try again is decided by who wants the connection.
        server.fail_fast = true;
        Ok(Self {
            server,
            prefix: "hobnob:".into(),
            publishers: DEFAULT_PUBLISHERS,
            metrics: Metrics::none(),
        })
    }

    /// Another prefix for every key and channel than `hobnob:`, so that several systems share one Redis (pub/sub does
    /// not know databases).
    ///
    /// # Errors
    /// When it is empty, longer than 64 bytes or has odd characters.
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self, RedisConfigError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        // fred takes channels that begin with `__key` for keyspace events.
        if prefix.is_empty()
            || prefix.len() > LONGEST_PREFIX
            || prefix.starts_with("__")
            || !prefix.bytes().all(plain)
        {
            return Err(RedisConfigError::Prefix);
        }
        self.prefix = prefix.into();
        Ok(self)
    }

    /// Another number of publishing connections than 2.
    ///
    /// # Errors
    /// When it is not from 1 to 16.
    pub fn with_publishers(mut self, publishers: usize) -> Result<Self, RedisConfigError> {
        if !(1..=MOST_PUBLISHERS).contains(&publishers) {
            return Err(RedisConfigError::Publishers);
        }
        self.publishers = publishers;
        Ok(self)
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

    pub(crate) const fn publishers(&self) -> usize {
        self.publishers
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
            .field("publishers", &self.publishers)
            .finish()
    }
}

fn refusal(error: &fred::error::Error) -> RedisConfigError {
    match error.kind() {
        fred::error::ErrorKind::Tls => RedisConfigError::Certificates(error.details().to_owned()),
        _ => RedisConfigError::Malformed(error.details().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_form_is_read() {
        for url in [
            "redis://127.0.0.1",
            "redis://:secret@redis.example:6380/3",
            "rediss://user:secret@redis.example",
            "redis-cluster://a:7000?node=b:7001&node=c:7002",
            "redis-sentinel://a:26379/0?sentinelServiceName=main&node=b:26379",
        ] {
            assert!(RedisConfig::parse(url).is_ok(), "{url}");
        }
        assert!(RedisConfig::parse("redis-cluster://a:7000").is_ok_and(|c| c.is_clustered()));
    }

    #[test]
    fn what_cannot_be_used_names_the_variable_and_not_the_password() {
        for url in [
            "",
            "localhost:6379",
            "http://:secret@localhost",
            "redis://",
            "redis://:secret@host/seven",
            "redis-sentinel://:secret@a:26379",
        ] {
            let text = match RedisConfig::parse(url) {
                Ok(_) => panic!("{url} was read"),
                Err(error) => error.to_string(),
            };
            assert!(text.starts_with("HOBNOB_REDIS_URL"), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }

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
    fn prefixes_and_connections_have_limits() {
        let config = RedisConfig::parse("redis://localhost").unwrap();
        assert!(config.clone().with_prefix("staging:chat:").is_ok());
        for bad in ["", "a b", "__key", "é", &"x".repeat(65)] {
            let refused = config.clone().with_prefix(bad);
            assert_eq!(refused.err(), Some(RedisConfigError::Prefix), "{bad}");
        }
        assert!(config.clone().with_publishers(0).is_err());
        assert!(config.with_publishers(17).is_err());
    }
}
