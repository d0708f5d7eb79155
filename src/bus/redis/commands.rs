//! What the bus says to Redis: the names of channels, and PUBLISH and SUBSCRIBE or their sharded forms. The only file
//! that knows whether Redis is a cluster.

use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::{ClientLike, PubsubInterface};
use fred::types::{ClusterHash, CustomCommand, Value};
use futures_util::future::try_join_all;

use super::super::Channel;
use crate::domain::GatewayId;
use crate::redis::RedisConfig;

/// The most channels in one SUBSCRIBE, and the most that one PING confirms.
const BATCH: usize = 1_000;

/// The prefix of channel names, and which form of PUBLISH and SUBSCRIBE this Redis takes.
#[derive(Debug, Clone)]
pub(super) struct PubSubCommands {
    prefix: Arc<str>,
    sharded: bool,
}

impl PubSubCommands {
    pub(super) fn new(config: &RedisConfig) -> Self {
        Self {
            prefix: Arc::clone(config.prefix()),
            sharded: config.is_clustered(),
        }
    }

    /// The channel's name, as documented on [`Channel`].
    pub(super) fn name(&self, channel: Channel) -> String {
        let prefix = &self.prefix;
        match channel {
            Channel::User(id) => format!("{prefix}user:{id}"),
            Channel::Room(id) => format!("{prefix}room:{id}"),
            Channel::Watch(id) => format!("{prefix}watch:{id}"),
            Channel::Gateway(id) => format!("{prefix}inbox:{id}"),
        }
    }

    /// The channel of this name; none for a probe's or somebody else's.
    pub(super) fn channel(&self, name: &str) -> Option<Channel> {
        let (kind, id) = name.strip_prefix(&*self.prefix)?.split_once(':')?;
        match kind {
            "user" => parse(id).map(Channel::User),
            "room" => parse(id).map(Channel::Room),
            "watch" => parse(id).map(Channel::Watch),
            "inbox" => parse(id).map(Channel::Gateway),
            _ => None,
        }
    }

    /// The channels on which a gateway hears itself (D17): one, or in a cluster one in each sixteenth of the slots, so
    /// that every node with subscriptions is likely to carry one.
    pub(super) fn probe_names(&self, gateway: GatewayId) -> Vec<String> {
        let name = format!("{}probe:{gateway}", self.prefix);
        if !self.sharded {
            return vec![name];
        }
        const SHARES: u16 = 16;
        const SLOTS: u16 = 16_384;
        (0..SHARES)
            .filter_map(|share| {
                (0_u32..10_000)
                    .map(|suffix| format!("{name}:{suffix}"))
                    .find(|name| {
                        fred::util::redis_keyslot(name.as_bytes()) / (SLOTS / SHARES) == share
                    })
            })
            .collect()
    }

    /// Publishes; the answer says that the server has it, not that anybody heard it (trap 9).
    pub(super) async fn publish(
        &self,
        client: &Client,
        name: String,
        payload: Bytes,
    ) -> Result<(), Error> {
        let payload = Value::Bytes(payload);
        if self.sharded {
            client.spublish(name, payload).await
        } else {
            client.publish(name, payload).await
        }
    }

    /// Subscribes, and returns when the server has confirmed it: fred returns before, so a PING follows (trap 4).
    pub(super) async fn subscribe(&self, client: &Client, names: Vec<String>) -> Result<(), Error> {
        if self.sharded {
            return subscribe_shards(client, names).await;
        }
        for batch in batches(names) {
            client.subscribe(batch).await?;
            client.ping::<()>(None).await?;
        }
        Ok(())
    }

    /// Which node has which slots, when channels are sharded: a moved slot leaves its subscriptions deaf without any event
    /// (trap 9). Always asked of the same node, since each has its own view while slots move.
    pub(super) async fn layout(&self, client: &Client) -> Result<Vec<String>, Error> {
        if !self.sharded {
            return Ok(Vec::new());
        }
        let command = CustomCommand::new_static("CLUSTER", ClusterHash::Custom(0), false);
        let ranges: Value = client.custom(command, vec!["SLOTS"]).await?;
        let mut layout: Vec<String> = ranges
            .into_array()
            .into_iter()
            // First slot, last slot, master; replicas come and go without harm.
            .map(|range| {
                format!(
                    "{:?}",
                    range.into_array().into_iter().take(3).collect::<Vec<_>>()
                )
            })
            .collect();
        layout.sort_unstable();
        Ok(layout)
    }

    /// Ends subscriptions.
    pub(super) async fn unsubscribe(
        &self,
        client: &Client,
        names: Vec<String>,
    ) -> Result<(), Error> {
        if self.sharded {
            // fred waits for no answer, so that one after the other is fast.
            for name in names {
                client.sunsubscribe(name).await?;
            }
            return Ok(());
        }
        for batch in batches(names) {
            client.unsubscribe(batch).await?;
            client.ping::<()>(None).await?;
        }
        Ok(())
    }
}

/// One channel per command, since the answers to several would shift those of other commands (trap 3); and a custom
/// command, since fred's own waits for each answer before it sends the next. The answer is the confirmation.
async fn subscribe_shards(client: &Client, names: Vec<String>) -> Result<(), Error> {
    let command = CustomCommand::new_static("SSUBSCRIBE", ClusterHash::FirstKey, false);
    for batch in batches(names) {
        let asked = batch
            .into_iter()
            .map(|name| client.custom::<Value, _>(command.clone(), vec![name]));
        try_join_all(asked).await?;
    }
    Ok(())
}

fn parse<T: FromStr>(id: &str) -> Option<T> {
    id.parse().ok()
}

fn batches(mut names: Vec<String>) -> impl Iterator<Item = Vec<String>> {
    std::iter::from_fn(move || {
        let rest = names.split_off(names.len().min(BATCH));
        let batch = std::mem::replace(&mut names, rest);
        (!batch.is_empty()).then_some(batch)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{RoomId, UserId};

    fn commands(url: &str) -> PubSubCommands {
        PubSubCommands::new(&RedisConfig::parse(url).unwrap())
    }

    #[test]
    fn names_read_back() {
        let commands = commands("redis://localhost");
        for channel in [
            Channel::User(UserId::from_bytes([1; 12])),
            Channel::Room(RoomId::from_bytes([2; 12])),
            Channel::Watch(UserId::from_bytes([3; 12])),
            Channel::Gateway(GatewayId::from_u64(4)),
        ] {
            assert_eq!(commands.channel(&commands.name(channel)), Some(channel));
        }
        for odd in ["hobnob:user:1", "other:user:1", "hobnob:probe:1", "hobnob:"] {
            assert_eq!(commands.channel(odd), None, "{odd}");
        }
    }

    #[test]
    fn in_a_cluster_every_sixteenth_of_the_slots_has_a_probe() {
        let names = commands("redis-cluster://localhost:7000").probe_names(GatewayId::from_u64(9));
        let mut shares: Vec<u16> = names
            .iter()
            .map(|name| fred::util::redis_keyslot(name.as_bytes()) / 1_024)
            .collect();
        shares.dedup();
        assert_eq!(shares, (0..16).collect::<Vec<_>>());
    }

    #[test]
    fn batches_hold_everything_once_and_in_order() {
        let names: Vec<String> = (0..2_500).map(|n| n.to_string()).collect();
        let lengths: Vec<usize> = batches(names.clone()).map(|batch| batch.len()).collect();
        assert_eq!(lengths, [1_000, 1_000, 500]);
        assert_eq!(batches(names.clone()).flatten().collect::<Vec<_>>(), names);
    }
}
