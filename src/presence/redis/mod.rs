//! Presence in Redis: a lease per gateway, a hash of gateways per user, and heirs for the dead. Knows nothing of
//! sessions.
//!
//! Keys (with the configured prefix, and the log's name):
//! - `gateway:{id}`: the lease; its value is the incarnation (D21), and a dot and the proof that it is ours (D49).
//! - `presence:{user}`: a hash of gateway to incarnation, with the backstop as its end.
//! - `gateways`: the registry, a set of `{id}:{incarnation}` (D22), each with a dot and its proof.
//! - `gateway-users:{id}:{incarnation}`: the index of its users, for its heir.
//! - `claim:{id}:{incarnation}`: who clears what it has left; ends with a time to live, like a lease.

mod client;
mod entries;
mod heir;
mod lease;
mod roll;
mod settle;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{try_join, try_join_all};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::client::{PresenceClient, ReconnectingClient};
use self::entries::{Entries, GatewayEntry};
use self::roll::Roll;
use super::{Presence, PresenceConfig, PresenceError, PresenceSignal, SIGNAL_QUEUE, Transition};
use crate::domain::{Entropy, GatewayId, UserId};
use crate::redis::{RedisConfig, Seal, Tag};

/// The most users asked for at once.
const ASK_BATCH: usize = 256;

/// The presence of one gateway in Redis.
#[derive(Debug)]
pub struct RedisPresence {
    redis: ReconnectingClient,
    seal: Arc<Seal>,
    config: PresenceConfig,
    gateway: GatewayId,
    entropy: Arc<Entropy>,
    incarnation: Mutex<GatewayEntry>,
    roll: Roll,
    sender: mpsc::Sender<PresenceSignal>,
    receiver: Mutex<Option<mpsc::Receiver<PresenceSignal>>>,
}

impl RedisPresence {
    /// A presence that does nothing before [`Presence::run`].
    #[must_use]
    pub fn new(
        redis: RedisConfig,
        seal: Arc<Seal>,
        gateway: GatewayId,
        config: PresenceConfig,
        entropy: Arc<Entropy>,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(SIGNAL_QUEUE);
        Self {
            redis: ReconnectingClient::new(redis),
            seal,
            config,
            gateway,
            incarnation: Mutex::new(new_incarnation(gateway, &entropy)),
            entropy,
            roll: Roll::default(),
            sender,
            receiver: Mutex::new(Some(receiver)),
        }
    }

    /// This gateway in its present incarnation.
    fn myself(&self) -> GatewayEntry {
        self.incarnation.lock().clone()
    }

    fn lease_key(&self, gateway: &str) -> String {
        self.redis.key(format_args!("gateway:{gateway}"))
    }

    fn presence_key(&self, user: UserId) -> String {
        self.redis.key(format_args!("presence:{user}"))
    }

    fn registry_key(&self) -> String {
        self.redis.key(format_args!("gateways"))
    }

    fn index_key(&self, of: &GatewayEntry) -> String {
        self.redis.key(format_args!("gateway-users:{}", of.name()))
    }

    fn claim_key(&self, of: &GatewayEntry) -> String {
        self.redis.key(format_args!("claim:{}", of.name()))
    }

    /// How long after being written a user's presence is written anew.
    fn renewal(&self) -> Duration {
        self.config.verify.min(self.config.backstop / 3)
    }

    /// What a lease, or a name in the registry, looks like: the text, and the proof that this deployment has written it.
    fn sealed(&self, what: Sealed, entry: &GatewayEntry) -> String {
        let text = match what {
            Sealed::Lease => entry.incarnation().to_owned(),
            Sealed::Name => entry.name(),
        };
        let proof = self.seal.sign(&[what.label(), entry.name().as_bytes()]);
        format!("{text}.{}", hexadecimal(proof))
    }

    /// Whether a text is what [`Self::sealed`] writes of this entry, under any secret in use.
    fn is_sealed(&self, what: Sealed, entry: &GatewayEntry, found: &str) -> bool {
        let text = match what {
            Sealed::Lease => entry.incarnation().to_owned(),
            Sealed::Name => entry.name(),
        };
        let proof = found
            .strip_prefix(text.as_str())
            .and_then(|rest| rest.strip_prefix('.'))
            .and_then(|proof| u128::from_str_radix(proof, 16).ok());
        let name = entry.name();
        let parts = [what.label(), name.as_bytes()];
        proof.is_some_and(|proof| self.seal.verifies(&parts, &proof.to_be_bytes()))
    }

    async fn are_live<'a>(
        &self,
        client: &PresenceClient,
        entries: impl IntoIterator<Item = &'a GatewayEntry>,
    ) -> Result<HashSet<GatewayEntry>, PresenceError> {
        let lease_key = |entry: &GatewayEntry| self.lease_key(entry.gateway());
        let is_held =
            |entry: &GatewayEntry, found: &str| self.is_sealed(Sealed::Lease, entry, found);
        client.live(entries, lease_key, is_held).await
    }

    /// Whether one of these entries keeps a user online.
    async fn any_live<'a>(
        &self,
        client: &PresenceClient,
        entries: impl IntoIterator<Item = &'a GatewayEntry>,
    ) -> Result<bool, PresenceError> {
        Ok(!self.are_live(client, entries).await?.is_empty())
    }

    /// Writes that the user is here. The index first: an heir that finds a user too many does no harm.
    async fn put(&self, user: UserId) -> Result<Agreed, PresenceError> {
        let (client, myself) = (self.redis.client()?, self.myself());
        let index = self.index_key(&myself);
        let backstop = self.config.backstop.as_millis();
        let indexed = async {
            client.add(&index, user.to_string()).await?;
            client.expire(index.clone(), backstop).await
        };
        let entered = client.enter(self.presence_key(user), &myself, backstop);
        let (_, before) = try_join(indexed, entered).await?;
        let is_new = !before.contains(&myself);
        let others = before.of_others(myself.gateway());
        let transition = match is_new {
            true => changed_unless(self.any_live(&client, others).await?),
            false => Transition::Unchanged,
        };
        Ok(Agreed {
            is_here: true,
            transition,
            was_wrong: is_new,
        })
    }

    /// Writes that the user is not here. They were, as far as this gateway knew: so it is a change unless another
    /// gateway holds them.
    async fn take(&self, user: UserId) -> Result<Agreed, PresenceError> {
        let (client, myself) = (self.redis.client()?, self.myself());
        let (was_there, rest) = client.exit(self.presence_key(user), &myself).await?;
        client
            .remove(&self.index_key(&myself), user.to_string())
            .await?;
        Ok(Agreed {
            is_here: false,
            transition: changed_unless(self.any_live(&client, rest.iter()).await?),
            was_wrong: was_there,
        })
    }

    /// Makes Redis agree with the roll about one user. What changed meanwhile, or failed, is settled later.
    async fn agree(&self, user: UserId) -> Result<Agreed, PresenceError> {
        let (here, incarnation) = (self.roll.is_here(user), self.myself());
        let done = if here {
            self.put(user).await
        } else {
            self.take(user).await
        };
        if done.is_ok() {
            self.roll.settled(user);
        }
        // Looked at last: a lease that is lost after this unsettles everybody itself.
        let stale = here != self.roll.is_here(user) || incarnation != self.myself();
        if stale || done.is_err() {
            self.roll.unsettle(user);
        }
        done
    }

    async fn online_batch(&self, users: &[UserId]) -> Result<Vec<bool>, PresenceError> {
        let client = self.redis.client()?;
        let asked = users
            .iter()
            .map(|user| client.entries(self.presence_key(*user)));
        let entries: Vec<Entries> = try_join_all(asked).await?;
        let all = entries.iter().flat_map(Entries::iter);
        let live = self.are_live(&client, all).await?;
        let is_online = |of: &Entries| of.iter().any(|entry| live.contains(entry));
        Ok(entries.iter().map(is_online).collect())
    }
}

/// What came of making Redis agree about one user.
#[derive(Debug, Clone, Copy)]
struct Agreed {
    is_here: bool,
    /// Of a coming or going that the caller has just been told of.
    transition: Transition,
    /// The entry in Redis had to be mended.
    was_wrong: bool,
}

impl Agreed {
    /// Whether others have seen something else until now.
    fn is_news(self) -> bool {
        self.was_wrong && self.transition == Transition::Changed
    }
}

/// What is proved to be ours besides payloads.
#[derive(Debug, Clone, Copy)]
enum Sealed {
    Lease,
    Name,
}

impl Sealed {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Lease => b"lease\0",
            Self::Name => b"gateway\0",
        }
    }
}

fn hexadecimal(tag: Tag) -> String {
    format!("{:032x}", u128::from_be_bytes(tag))
}

fn new_incarnation(gateway: GatewayId, entropy: &Entropy) -> GatewayEntry {
    GatewayEntry::new(gateway.to_string(), format!("{:016x}", entropy.next_u64()))
}

const fn changed_unless(still_online: bool) -> Transition {
    if still_online {
        Transition::Unchanged
    } else {
        Transition::Changed
    }
}

#[async_trait]
impl Presence for RedisPresence {
    async fn enter(&self, user: UserId) -> Result<Transition, PresenceError> {
        self.roll.arrive(user, self.renewal(), &self.entropy);
        self.agree(user).await.map(|agreed| agreed.transition)
    }

    async fn exit(&self, user: UserId) -> Result<Transition, PresenceError> {
        if !self.roll.leave(user, self.renewal()) {
            return Ok(Transition::Unchanged);
        }
        self.agree(user).await.map(|agreed| agreed.transition)
    }

    async fn online(&self, users: &[UserId]) -> Result<Vec<bool>, PresenceError> {
        let mut online = Vec::with_capacity(users.len());
        for batch in users.chunks(ASK_BATCH) {
            online.extend(self.online_batch(batch).await?);
        }
        Ok(online)
    }

    async fn gateways(&self) -> Result<Vec<GatewayId>, PresenceError> {
        let client = self.redis.client()?;
        let registered = self.registered(&client).await?;
        let live = self.are_live(&client, &registered).await?;
        let ids = live.iter().filter_map(|entry| entry.gateway().parse().ok());
        Ok(ids.collect())
    }

    async fn run(&self, stop: CancellationToken) {
        let work = async {
            tokio::select! {
                () = stop.cancelled() => {}
                _ = futures_util::future::join3(
                    self.hold_lease(),
                    self.settle_for_ever(),
                    self.clear_dead_gateways(),
                ) => {}
            }
            self.release_lease().await;
        };
        tokio::select! {
            () = self.redis.keep(&self.entropy) => {}
            () = work => {}
        }
    }

    fn signals(&self) -> Option<mpsc::Receiver<PresenceSignal>> {
        self.receiver.lock().take()
    }
}
