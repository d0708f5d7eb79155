//! The one connection on which presence asks Redis, replaced at its first trouble. Knows the commands presence needs,
//! not what they mean.

use std::collections::{HashMap, HashSet};

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, HashesInterface, KeysInterface, SortedSetsInterface};
use fred::types::{ClusterHash, CustomCommand, Expiration, FromValue, InfoKind, Value};
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::super::PresenceError;
use super::entries::{Entries, GatewayEntry};
use crate::domain::Entropy;
use crate::metrics::Metrics;
use crate::redis::{Connection, Purpose, RedisConfig, backoff};

/// Holds a [`PresenceClient`] for each connection to Redis in turn, and connects again after a loss.
#[derive(Debug)]
pub(super) struct ReconnectingClient {
    config: RedisConfig,
    current: Mutex<Option<PresenceClient>>,
    /// The newest connection that was seen to be in trouble.
    trouble: watch::Sender<u64>,
    opened: Notify,
}

/// Presence's commands over one connection to Redis.
#[derive(Debug, Clone)]
pub(super) struct PresenceClient {
    client: Client,
    metrics: Metrics,
    trouble: watch::Sender<u64>,
    /// Which connection it is, counted from 1.
    pub(super) number: u64,
}

impl ReconnectingClient {
    pub(super) fn new(config: RedisConfig) -> Self {
        Self {
            config,
            current: Mutex::new(None),
            trouble: watch::Sender::new(0),
            opened: Notify::new(),
        }
    }

    /// Prefix and name of a key.
    pub(super) fn key(&self, rest: std::fmt::Arguments<'_>) -> String {
        format!("{}{rest}", self.config.prefix())
    }

    /// The client of the present connection; an error while there is none.
    pub(super) fn client(&self) -> Result<PresenceClient, PresenceError> {
        let current = self.current.lock().clone();
        current.ok_or_else(|| PresenceError("Redis is not connected".to_owned()))
    }

    /// The metrics that questions are counted in.
    pub(super) const fn metrics(&self) -> &Metrics {
        self.config.metrics()
    }

    /// Waits for the next new connection.
    pub(super) async fn opened(&self) {
        self.opened.notified().await;
    }

    /// Whether `INFO` speaks for the whole of Redis.
    pub(super) const fn is_one_server(&self) -> bool {
        !self.config.is_clustered()
    }

    /// Keeps a connection open: opens another after each loss, with growing waits. Never returns.
    pub(super) async fn keep(&self, entropy: &Entropy) {
        let _closing = ForgetOnDrop(self);
        let mut backoff = backoff();
        let mut number = 0;
        loop {
            match Connection::open(&self.config, Purpose::Commands).await {
                Ok(mut connection) => {
                    number += 1;
                    backoff.reset();
                    self.serve(&mut connection, number).await;
                }
                Err(error) => tracing::debug!(%error, "presence cannot connect to Redis"),
            }
            tokio::time::sleep(backoff.step(entropy)).await;
        }
    }

    async fn serve(&self, connection: &mut Connection, number: u64) {
        let mut trouble = self.trouble.subscribe();
        *self.current.lock() = Some(PresenceClient {
            client: connection.client().clone(),
            metrics: self.config.metrics().clone(),
            trouble: self.trouble.clone(),
            number,
        });
        self.config.metrics().presence.up.set(1.0);
        self.opened.notify_one();
        tokio::select! {
            error = connection.ended() => tracing::warn!(%error, "presence lost Redis"),
            _ = trouble.wait_for(|troubled| *troubled >= number) => {
                tracing::warn!("presence gives up a connection that does not answer");
            }
        }
        self.config.metrics().presence.up.set(0.0);
        *self.current.lock() = None;
    }
}

/// Forgets the present client when [`ReconnectingClient::keep`] ends, however it does.
struct ForgetOnDrop<'a>(&'a ReconnectingClient);

impl Drop for ForgetOnDrop<'_> {
    fn drop(&mut self) {
        *self.0.current.lock() = None;
    }
}

impl PresenceClient {
    /// fred's error as ours. A connection that does not answer in time is replaced.
    fn failed(&self, error: &Error) -> PresenceError {
        self.metrics.presence.errors.increment(1);
        if *error.kind() == ErrorKind::Timeout {
            self.trouble.send_if_modified(|troubled| {
                let newer = *troubled < self.number;
                *troubled = (*troubled).max(self.number);
                newer
            });
        }
        PresenceError(error.to_string())
    }

    async fn answer<T>(
        &self,
        asked: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, PresenceError> {
        let begun = Instant::now();
        let answered = asked.await;
        self.metrics.presence.seconds.record(begun.elapsed());
        answered.map_err(|error| self.failed(&error))
    }

    /// Runs a script with one key. The whole text is sent: it is short, and a cache of scripts may be emptied. A custom
    /// command, because fred waits for the answer to each EVAL before it sends anything else.
    async fn script<T: FromValue>(
        &self,
        script: &'static str,
        key: String,
        arguments: Vec<String>,
    ) -> Result<T, PresenceError> {
        const KEY_AT: usize = 2;
        let command = CustomCommand::new_static("EVAL", ClusterHash::Offset(KEY_AT), false);
        let mut all = vec![Value::from_static_str(script), Value::from(1), key.into()];
        all.extend(arguments.into_iter().map(Value::from));
        self.answer(self.client.custom(command, all)).await
    }

    /// Runs `enter.lua`; returns the user's entries as they were before.
    pub(super) async fn enter(
        &self,
        presence: String,
        entry: &GatewayEntry,
        backstop_ms: u128,
    ) -> Result<Entries, PresenceError> {
        let arguments = entry.fields_and(Some(backstop_ms.to_string()));
        let script = include_str!("../enter.lua");
        let before: Vec<String> = self.script(script, presence, arguments).await?;
        Ok(Entries::from_flat(before))
    }

    /// `exit.lua`: whether there was an entry, and those that remain.
    pub(super) async fn exit(
        &self,
        presence: String,
        entry: &GatewayEntry,
    ) -> Result<(bool, Entries), PresenceError> {
        let arguments = entry.fields_and(None);
        let script = include_str!("../exit.lua");
        let mut rest: Vec<String> = self.script(script, presence, arguments).await?;
        let was_there = !rest.is_empty() && rest.remove(0) == "1";
        Ok((was_there, Entries::from_flat(rest)))
    }

    /// `extend.lua`: whether the key was still the holder's.
    pub(super) async fn extend(
        &self,
        key: String,
        holder: String,
        live_ms: u128,
    ) -> Result<bool, PresenceError> {
        let arguments = vec![holder, live_ms.to_string()];
        let script = include_str!("../extend.lua");
        let extended: i64 = self.script(script, key, arguments).await?;
        Ok(extended == 1)
    }

    /// Sets a key that ends by itself; with `new_only`, only when there is none. True when it was set.
    pub(super) async fn set(
        &self,
        key: String,
        holder: String,
        live_ms: u128,
        new_only: bool,
    ) -> Result<bool, PresenceError> {
        let end = Expiration::PX(i64::try_from(live_ms).unwrap_or(i64::MAX));
        let options = new_only.then_some(fred::types::SetOptions::NX);
        let set = self.client.set(key, holder, Some(end), options, false);
        let set: Option<String> = self.answer(set).await?;
        Ok(set.is_some())
    }

    /// Adds to a set of names; kept as a sorted set, since those can be read in portions.
    pub(super) async fn add(&self, set: &str, name: String) -> Result<(), PresenceError> {
        let added = self.client.zadd(set, None, None, false, false, (0.0, name));
        self.answer(added).await
    }

    /// Removes from a set of names.
    pub(super) async fn remove(&self, set: &str, name: String) -> Result<(), PresenceError> {
        self.answer(self.client.zrem(set, name)).await
    }

    /// The first names of a set.
    pub(super) async fn first(&self, set: &str, count: i64) -> Result<Vec<String>, PresenceError> {
        self.names(set, 0, count).await
    }

    /// Names of a set, in their order, from the place on that is counted from 0.
    pub(super) async fn names(
        &self,
        set: &str,
        from: i64,
        count: i64,
    ) -> Result<Vec<String>, PresenceError> {
        let last = from.saturating_add(count) - 1;
        let range = self
            .client
            .zrange(set, from, last, None, false, None, false);
        self.answer(range).await
    }

    pub(super) async fn delete(&self, key: String) -> Result<(), PresenceError> {
        self.answer(self.client.del(key)).await
    }

    /// Gives a key this long to live; false when there is none.
    pub(super) async fn expire(&self, key: String, live_ms: u128) -> Result<bool, PresenceError> {
        let live = i64::try_from(live_ms).unwrap_or(i64::MAX);
        let found: i64 = self.answer(self.client.pexpire(key, live, None)).await?;
        Ok(found == 1)
    }

    pub(super) async fn entries(&self, presence: String) -> Result<Entries, PresenceError> {
        let map: HashMap<String, String> = self.answer(self.client.hgetall(presence)).await?;
        Ok(Entries::from_pairs(map))
    }

    /// Which of these entries have a live lease; asked for all at once.
    pub(super) async fn live<'a>(
        &self,
        entries: impl IntoIterator<Item = &'a GatewayEntry>,
        lease_key: impl Fn(&GatewayEntry) -> String,
        is_held: impl Fn(&GatewayEntry, &str) -> bool,
    ) -> Result<HashSet<GatewayEntry>, PresenceError> {
        let distinct: HashSet<&GatewayEntry> = entries.into_iter().collect();
        let asked = distinct.into_iter().map(|entry| {
            let key = lease_key(entry);
            async move {
                let found: Option<String> = self.client.get(key).await?;
                Ok::<_, Error>((entry, found))
            }
        });
        let found = self.answer(try_join_all(asked)).await?;
        let live = found
            .into_iter()
            .filter(|(entry, found)| found.as_deref().is_some_and(|found| is_held(entry, found)));
        Ok(live.map(|(entry, _)| entry.clone()).collect())
    }

    /// Which run of the server this is: a new one may have lost everything.
    pub(super) async fn run_id(&self) -> Result<String, PresenceError> {
        let info = self.client.info(Some(InfoKind::Server));
        let info: String = self.answer(info).await?;
        let run_id = info.lines().find_map(|line| line.strip_prefix("run_id:"));
        Ok(run_id.unwrap_or_default().to_owned())
    }
}
