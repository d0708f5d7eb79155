//! The heirs of dead gateways (D22): look, claim, clear exactly the dead incarnation's entries, announce. Whoever looks
//! also notices that a gateway has gone, heir or not. Knows nothing of this gateway's own users.

use std::collections::HashSet;

use futures_util::StreamExt;
use futures_util::stream::iter;
use tokio::time::{Instant, interval};

use super::super::{PresenceError, PresenceSignal};
use super::client::PresenceClient;
use super::entries::GatewayEntry;
use super::{RedisPresence, Sealed};
use crate::domain::UserId;

/// The most gateways in the registry that one look takes in.
const MOST_GATEWAYS: i64 = 10_000;

/// How many users of the dead are cleared before the claim is renewed.
const BATCH: i64 = 512;

/// How many of them are cleared at the same time: thousands must be offline within seconds (P6).
const AT_ONCE: usize = 64;

/// When claims are allowed: not within one lease of anything that may have emptied Redis.
#[derive(Debug)]
struct Quiet {
    connection: u64,
    run_id: String,
    until: Instant,
}

impl RedisPresence {
    /// Looks for gateways whose lease has ended and clears what they left. Never returns.
    pub(super) async fn clear_dead_gateways(&self) {
        let mut quiet = Quiet {
            connection: 0,
            run_id: String::new(),
            until: Instant::now(),
        };
        let mut seen = HashSet::new();
        let mut look = interval(self.config.look);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            if let Err(error) = self.look(&mut quiet, &mut seen).await {
                tracing::debug!(%error, "a look for dead gateways failed");
            }
        }
    }

    /// `seen` is who lived at the last look: after a quiet time it is compared with who is left of them.
    async fn look(
        &self,
        quiet: &mut Quiet,
        seen: &mut HashSet<GatewayEntry>,
    ) -> Result<(), PresenceError> {
        let client = self.redis.client()?;
        let is_quiet = self.is_quiet(&client, quiet).await?;
        let registered = self.registered(&client).await?;
        let live = self.are_live(&client, &registered).await?;
        if is_quiet {
            seen.extend(live);
            return Ok(());
        }
        if !std::mem::replace(seen, live.clone()).is_subset(&live) {
            self.tell(PresenceSignal::GatewayGone);
        }
        for dead in registered.iter().filter(|entry| !live.contains(entry)) {
            if self.claim(&client, dead).await? {
                self.clear_dead(&client, dead).await?;
            }
        }
        Ok(())
    }

    /// The other gateways in the registry, dead or alive.
    pub(super) async fn registered(
        &self,
        client: &PresenceClient,
    ) -> Result<Vec<GatewayEntry>, PresenceError> {
        let names = client.first(&self.registry_key(), MOST_GATEWAYS).await?;
        let myself = self.myself();
        let entries = names.iter().filter_map(|name| self.ours(name));
        Ok(entries.filter(|entry| *entry != myself).collect())
    }

    /// Whom a name in the registry names, if this deployment has put it there (D49): no other's dead are cleared.
    fn ours(&self, name: &str) -> Option<GatewayEntry> {
        let entry = GatewayEntry::from_name(name.split_once('.')?.0)?;
        self.is_sealed(Sealed::Name, &entry, name).then_some(entry)
    }

    /// Whether Redis was replaced or lost so lately that living gateways may not have renewed their leases yet (D22).
    async fn is_quiet(
        &self,
        client: &PresenceClient,
        quiet: &mut Quiet,
    ) -> Result<bool, PresenceError> {
        let run_id = if self.redis.is_one_server() {
            client.run_id().await?
        } else {
            String::new()
        };
        if quiet.connection != client.number || quiet.run_id != run_id {
            *quiet = Quiet {
                connection: client.number,
                run_id,
                until: Instant::now() + self.config.lease,
            };
        }
        Ok(Instant::now() < quiet.until)
    }

    /// Claims a dead gateway for this one. The claim has a TTL, so that it ends when this gateway dies, too.
    async fn claim(
        &self,
        client: &PresenceClient,
        dead: &GatewayEntry,
    ) -> Result<bool, PresenceError> {
        let (key, me) = (self.claim_key(dead), self.myself().name());
        let live = self.config.lease.as_millis();
        if client.set(key.clone(), me.clone(), live, true).await? {
            return Ok(true);
        }
        // Perhaps it is this gateway's own, from a clearing that failed half-way.
        client.extend(key, me, live).await
    }

    /// Clears and announces the users of the dead, then the dead. Users stay in the index until they are announced, and
    /// the gateway in the registry until all are: a second heir finds what the first did not finish.
    async fn clear_dead(
        &self,
        client: &PresenceClient,
        dead: &GatewayEntry,
    ) -> Result<(), PresenceError> {
        tracing::info!(
            gateway = dead.gateway(),
            "clearing what a dead gateway has left"
        );
        let index = self.index_key(dead);
        loop {
            let names = client.first(&index, BATCH).await?;
            if names.is_empty() {
                break;
            }
            let mut cleared = iter(names)
                .map(|name| self.clear(client, dead, name))
                .buffer_unordered(AT_ONCE);
            while let Some(done) = cleared.next().await {
                done?;
            }
            if !self.claim(client, dead).await? {
                return Ok(());
            }
        }
        let name = self.sealed(Sealed::Name, dead);
        client.remove(&self.registry_key(), name).await?;
        client.delete(index).await?;
        client.delete(self.claim_key(dead)).await
    }

    async fn clear(
        &self,
        client: &PresenceClient,
        dead: &GatewayEntry,
        name: String,
    ) -> Result<(), PresenceError> {
        if let Ok(user) = name.parse::<UserId>() {
            let (_, rest) = client.exit(self.presence_key(user), dead).await?;
            if !self.any_live(client, rest.iter()).await? {
                let announced = self.sender.send(PresenceSignal::Offline(user)).await;
                announced.map_err(|_| PresenceError("nobody reads the signals".to_owned()))?;
                self.redis.metrics().ghosts_reaped.increment(1);
            }
        }
        client.remove(&self.index_key(dead), name).await
    }
}
