//! The throttle of all gateways in Redis: one script on one key (D25), on a connection of its own. While Redis does not
//! answer, each gateway counts for itself. Knows nothing of who is throttled.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::{ClusterHash, CustomCommand, Expiration, Value};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{LocalThrottle, Step, Throttle};
use crate::domain::Entropy;
use crate::redis::{Connection, Purpose, RedisConfig, backoff};

/// Behind the configured prefix: what was taken, and what was noted.
const TAKEN: &str = "throttle:taken:";
const NOTED: &str = "throttle:noted:";

/// A throttle in Redis, which all gateways share.
#[derive(Debug)]
pub struct RedisThrottle {
    config: RedisConfig,
    entropy: Arc<Entropy>,
    /// The connection to Redis, while there is one.
    client: Mutex<Option<Client>>,
    /// It did not answer in time: another one is opened.
    trouble: Notify,
    /// Stands in while there is none.
    local: LocalThrottle,
}

impl RedisThrottle {
    /// A throttle that counts for itself before [`Throttle::run`].
    #[must_use]
    pub fn new(config: RedisConfig, entropy: Arc<Entropy>) -> Self {
        Self {
            config,
            local: LocalThrottle::new(Arc::clone(&entropy)),
            entropy,
            client: Mutex::default(),
            trouble: Notify::new(),
        }
    }

    fn key(&self, kind: &str, key: &str) -> String {
        format!("{}{kind}{key}", self.config.prefix())
    }

    /// Redis' answer; none, and counted, when there is none in time.
    async fn ask<T, F>(&self, question: impl FnOnce(Client) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let client = self.client.lock().clone();
        let answer = match client {
            Some(client) => question(client).await.inspect_err(|error| {
                tracing::debug!(%error, "the throttle has no answer from Redis");
                if *error.kind() == ErrorKind::Timeout {
                    *self.client.lock() = None;
                    self.trouble.notify_one();
                }
            }),
            None => return self.count_alone(),
        };
        answer.ok().or_else(|| self.count_alone())
    }

    fn count_alone<T>(&self) -> Option<T> {
        self.config.metrics().throttled_alone.increment(1);
        None
    }

    async fn keep(&self) {
        let mut backoff = backoff();
        loop {
            match Connection::open(&self.config, Purpose::Commands).await {
                Ok(mut connection) => {
                    backoff.reset();
                    *self.client.lock() = Some(connection.client().clone());
                    tokio::select! {
                        error = connection.ended() => tracing::warn!(%error, "the throttle lost Redis"),
                        () = self.trouble.notified() => {}
                    }
                    *self.client.lock() = None;
                }
                Err(error) => tracing::debug!(%error, "the throttle cannot connect to Redis"),
            }
            tokio::time::sleep(backoff.step(&self.entropy)).await;
        }
    }
}

/// The whole script is sent: it is short, and a cache of scripts may be emptied.
fn arguments(key: String, steps: &[Step]) -> Vec<Value> {
    let script = include_str!("gcra.lua");
    let steps = steps.iter().flat_map(|step| {
        [
            step.interval.as_micros().to_string(),
            step.burst.to_string(),
        ]
    });
    let mut all = vec![Value::from_static_str(script), Value::from(1), key.into()];
    all.extend(steps.map(Value::from));
    all
}

#[async_trait]
impl Throttle for RedisThrottle {
    async fn take(&self, key: &str, steps: &[Step]) -> Result<(), Duration> {
        const KEY_AT: usize = 2;
        let command = CustomCommand::new_static("EVAL", ClusterHash::Offset(KEY_AT), false);
        let all = arguments(self.key(TAKEN, key), steps);
        let asked =
            self.ask(async |client: Client| client.custom::<i64, Value>(command, all).await);
        match asked.await.map(u64::try_from) {
            Some(Ok(0)) => Ok(()),
            Some(Ok(micros)) => Err(Duration::from_micros(micros)),
            Some(Err(_)) | None => self.local.take(key, steps).await,
        }
    }

    async fn clear(&self, key: &str) {
        self.local.clear(key).await;
        let key = self.key(TAKEN, key);
        let _: Option<i64> = self.ask(async |client: Client| client.del(key).await).await;
    }

    async fn note(&self, key: &str, lasting: Duration) {
        self.local.note(key, lasting).await;
        let key = self.key(NOTED, key);
        let end = i64::try_from(lasting.as_millis()).unwrap_or(i64::MAX);
        let set = async |client: Client| {
            let end = Some(Expiration::PX(end));
            client.set::<(), _, _>(key, "", end, None, false).await
        };
        self.ask(set).await;
    }

    async fn is_noted(&self, key: &str) -> bool {
        let full = self.key(NOTED, key);
        let found = self.ask(async |client: Client| client.exists::<i64, _>(full).await);
        match found.await {
            Some(found) => found == 1,
            None => self.local.is_noted(key).await,
        }
    }

    async fn run(&self, stop: CancellationToken) {
        stop.run_until_cancelled(self.keep()).await;
        *self.client.lock() = None;
    }
}
