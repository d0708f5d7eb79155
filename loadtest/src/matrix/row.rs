//! The rows of the fault matrix: what each is called, what it does, how long it sends. Knows no server.

use std::time::Duration;

/// One fault, or a pair.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Row {
    /// No fault
    None,
    /// kill -9 of a gateway, which comes back 5 s later
    GatewayKill,
    /// SIGSTOP of a gateway for 20 s, then SIGCONT
    GatewayStop,
    /// SIGTERM and restart of all gateways, one after the other
    Drain,
    /// Redis killed with -9 and restarted empty after 1 s
    RedisRestart,
    /// Redis FLUSHALL
    Flushall,
    /// Redis CLIENT KILL TYPE pubsub every 2 s
    PubsubKill,
    /// Redis SIGSTOP for 10 s, then SIGCONT
    RedisStop,
    /// Redis down for 30 s
    RedisDown,
    /// Redis killed, its replica promoted in its place
    RedisPromote,
    /// Redis killed, a replica promoted that had stopped copying 2 s before
    RedisLagging,
    /// Redis killed and restarted from a snapshot that is 2 s old
    RedisSnapshot,
    /// All users' presence deleted from Redis, and its clients' connections killed
    PresenceDel,
    /// The MongoDB primary steps down
    MongoStepdown,
    /// kill -9 of the MongoDB primary, which comes back 5 s later
    MongoKill,
    /// MongoDB writes rolled back by an election
    MongoRollback,
    /// All MongoDB members down for 10 s
    MongoDown,
    /// The network between one gateway and Redis cut for 10 s
    RedisCut,
    /// The network between one gateway and MongoDB cut for 10 s
    MongoCut,
    /// All client connections cut at once, three times
    Storm,
    /// Every client reconnects every 2 s or so, to a random gateway
    Churn,
    /// kill -9 of a gateway and a MongoDB step-down at once, then Redis FLUSHALL
    TwoFaults,
    /// kill -9 of a gateway, which comes back 5 s later, under a mixed load that is saturated
    GatewayKillMix,
    /// SIGSTOP of a gateway for 20 s, then SIGCONT, under such a load
    GatewayStopMix,
    /// The network between one gateway and MongoDB, Redis and its clients cut for 20 s, under such a load
    GatewayCutMix,
}

impl Row {
    /// All, in the order of the table.
    pub const ALL: [Self; 25] = [
        Self::None,
        Self::GatewayKill,
        Self::GatewayStop,
        Self::Drain,
        Self::RedisRestart,
        Self::Flushall,
        Self::PubsubKill,
        Self::RedisStop,
        Self::RedisDown,
        Self::RedisPromote,
        Self::RedisLagging,
        Self::RedisSnapshot,
        Self::PresenceDel,
        Self::MongoStepdown,
        Self::MongoKill,
        Self::MongoRollback,
        Self::MongoDown,
        Self::RedisCut,
        Self::MongoCut,
        Self::Storm,
        Self::Churn,
        Self::TwoFaults,
        Self::GatewayKillMix,
        Self::GatewayStopMix,
        Self::GatewayCutMix,
    ];

    /// Those of the short matrix: one of each kind.
    pub const SHORT: [Self; 11] = [
        Self::None,
        Self::GatewayKill,
        Self::Drain,
        Self::RedisRestart,
        Self::Flushall,
        Self::PubsubKill,
        Self::RedisLagging,
        Self::MongoStepdown,
        Self::MongoKill,
        Self::Storm,
        Self::GatewayKillMix,
    ];

    /// The name on the command line and in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::GatewayKill => "gateway-kill",
            Self::GatewayStop => "gateway-stop",
            Self::Drain => "drain",
            Self::RedisRestart => "redis-restart",
            Self::Flushall => "flushall",
            Self::PubsubKill => "pubsub-kill",
            Self::RedisStop => "redis-stop",
            Self::RedisDown => "redis-down",
            Self::RedisPromote => "redis-promote",
            Self::RedisLagging => "redis-lagging",
            Self::RedisSnapshot => "redis-snapshot",
            Self::PresenceDel => "presence-del",
            Self::MongoStepdown => "mongo-stepdown",
            Self::MongoKill => "mongo-kill",
            Self::MongoRollback => "mongo-rollback",
            Self::MongoDown => "mongo-down",
            Self::RedisCut => "redis-cut",
            Self::MongoCut => "mongo-cut",
            Self::Storm => "storm",
            Self::Churn => "churn",
            Self::TwoFaults => "two-faults",
            Self::GatewayKillMix => "gateway-kill-mix",
            Self::GatewayStopMix => "gateway-stop-mix",
            Self::GatewayCutMix => "gateway-cut-mix",
        }
    }

    /// What is done, for readers of the table.
    #[must_use]
    pub const fn fault(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::GatewayKill => "gateway kill -9, back 5 s later",
            Self::GatewayStop => "gateway SIGSTOP 20 s, SIGCONT",
            Self::Drain => "rolling drain and restart of all gateways",
            Self::RedisRestart => "Redis kill -9, back empty 1 s later",
            Self::Flushall => "Redis FLUSHALL",
            Self::PubsubKill => "Redis CLIENT KILL TYPE pubsub every 2 s",
            Self::RedisStop => "Redis SIGSTOP 10 s, SIGCONT",
            Self::RedisDown => "Redis down 30 s",
            Self::RedisPromote => "Redis replica promoted in its place",
            Self::RedisLagging => "Redis replica promoted that is 2 s behind",
            Self::RedisSnapshot => "Redis kill -9, back from a snapshot 2 s old",
            Self::PresenceDel => "Redis DEL of all presence, CLIENT KILL",
            Self::MongoStepdown => "MongoDB primary steps down",
            Self::MongoKill => "MongoDB primary kill -9, back 5 s later",
            Self::MongoRollback => "MongoDB rollback by an election",
            Self::MongoDown => "MongoDB all down 10 s",
            Self::RedisCut => "network cut gateway–Redis 10 s",
            Self::MongoCut => "network cut gateway–MongoDB 10 s",
            Self::Storm => "all client connections cut at once, 3 times",
            Self::Churn => "every client reconnects every 2 s",
            Self::TwoFaults => "gateway kill -9 + MongoDB step-down, then FLUSHALL",
            Self::GatewayKillMix => "gateway kill -9, back 5 s later, mixed load",
            Self::GatewayStopMix => "gateway SIGSTOP 20 s, SIGCONT, mixed load",
            Self::GatewayCutMix => "network cut around a gateway 20 s, mixed load",
        }
    }

    /// By when after the row's fault everybody is promised to agree who is there. Whoever was on a gateway that was killed
    /// or cut off is shown as there until its lease has ended, 15 s, and somebody has noticed.
    pub(super) const fn presence_right_within(self) -> Duration {
        match self {
            Self::GatewayKill | Self::TwoFaults | Self::GatewayKillMix | Self::GatewayCutMix => {
                Duration::from_secs(20)
            }
            _ => Duration::from_secs(10),
        }
    }

    /// Whether the row brings a load of its own: [`super::mixed`].
    pub(crate) const fn is_mixed(self) -> bool {
        matches!(
            self,
            Self::GatewayKillMix | Self::GatewayStopMix | Self::GatewayCutMix
        )
    }

    /// How long messages are sent, in seconds: the fault, and a while after it.
    pub(super) const fn seconds(self, is_short: bool) -> u64 {
        match self {
            Self::None if is_short => 8,
            Self::RedisDown => 45,
            Self::GatewayStop | Self::Drain | Self::GatewayStopMix | Self::GatewayCutMix => 35,
            Self::GatewayKillMix if is_short => 12,
            Self::MongoRollback | Self::TwoFaults => 30,
            _ if is_short => 14,
            _ => 25,
        }
    }
}
