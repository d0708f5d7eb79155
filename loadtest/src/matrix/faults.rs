//! How each fault is made. Knows the servers and their weak points; knows nothing of messages.

use std::time::Duration;

use testbed::cable::Cable;
use testbed::gateway::Gateway;
use testbed::servers::{Redis, Reply};
use testbed::until;
use tokio::time::{Instant, sleep};

use super::cluster::Cluster;
use super::row::Row;
use crate::Invalid;
use crate::check::Cutter;
use crate::gateways::Gateways;

/// The load runs this long before anything happens.
pub(crate) const BEFORE: Duration = Duration::from_secs(3);

/// How long the primary takes writes that are not copied: less than the election timeout, with room for a slow machine.
const UNCOPIED: Duration = Duration::from_millis(1200);

/// How much a copy of Redis lacks: while people come and go.
const BEHIND: Duration = Duration::from_secs(2);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What a row needs besides the cluster, put up before its load begins.
#[derive(Debug, Default)]
pub(crate) struct Props {
    replica: Option<Redis>,
    mongo_cable: Option<Cable>,
    /// Between the clients and the first gateway.
    client_cable: Option<Cable>,
    /// That the fault really came about, where that can be doubted.
    pub(super) evidence: Option<String>,
}

impl Props {
    /// Where clients find the gateways.
    pub(crate) fn addresses(&self, cluster: &Cluster) -> Gateways {
        let mut ports: Vec<u16> = cluster.gateways.iter().map(Gateway::port).collect();
        if let (Some(first), Some(cable)) = (ports.first_mut(), &self.client_cable) {
            *first = cable.port();
        }
        Gateways::local(ports)
    }
}

/// Puts up what a row needs.
pub(crate) async fn prepare(row: Row, cluster: &mut Cluster) -> Props {
    let mut props = Props::default();
    match row {
        Row::RedisPromote | Row::RedisLagging => {
            props.replica = Some(Redis::start_replica(&cluster.redis).await);
        }
        Row::MongoCut | Row::GatewayCutMix => {
            // Drivers learn the members' own addresses from the set, past any proxy; unless told to stay where they are.
            let primary = cluster.mongo.wait_for_primary().await;
            let cable = Cable::start(cluster.mongo.port(primary)).await;
            let uri = format!(
                "mongodb://127.0.0.1:{}/hobnob?directConnection=true",
                cable.port()
            );
            cluster.lead_first_gateway(&uri).await;
            props.mongo_cable = Some(cable);
            if row == Row::GatewayCutMix {
                let port = cluster.gateways[0].port();
                props.client_cable = Some(Cable::start(port).await);
            }
        }
        _ => {}
    }
    props
}

/// Puts the cluster back as it was.
pub(crate) async fn clean_up(cluster: &mut Cluster, props: Props) {
    if props.mongo_cable.is_some() {
        let uri = cluster.mongodb_uri();
        cluster.lead_first_gateway(&uri).await;
    }
    cluster.ready().await;
}

/// Breaks the cluster, and mends it.
pub(crate) async fn make(
    row: Row,
    cluster: &mut Cluster,
    props: &mut Props,
    cutter: &Cutter,
) -> Result<(), Invalid> {
    sleep(BEFORE).await;
    match row {
        Row::None | Row::Churn => Ok(()),
        Row::GatewayKill | Row::GatewayKillMix => gateway_kill(cluster).await,
        Row::GatewayStop | Row::GatewayStopMix => gateway_stop(cluster).await,
        Row::Drain => drain(cluster).await,
        Row::RedisRestart => redis_down(cluster, seconds(1)).await,
        Row::Flushall => flushall(cluster).await,
        Row::PubsubKill => pubsub_kill(cluster).await,
        Row::RedisStop => redis_stop(cluster).await,
        Row::RedisDown => redis_down(cluster, seconds(30)).await,
        Row::RedisPromote => redis_promote(cluster, props).await,
        Row::RedisLagging => redis_lagging(cluster, props).await,
        Row::RedisSnapshot => redis_snapshot(cluster).await,
        Row::PresenceDel => presence_del(cluster).await,
        Row::MongoStepdown => {
            cluster.mongo.step_down(10).await;
            Ok(())
        }
        Row::MongoKill => mongo_kill(cluster).await,
        Row::MongoRollback => mongo_rollback(cluster, props).await,
        Row::MongoDown => mongo_down(cluster).await,
        Row::RedisCut => cut(&[cluster.redis_cables.first()], 10).await,
        Row::MongoCut => cut(&[props.mongo_cable.as_ref()], 10).await,
        Row::GatewayCutMix => {
            let (mongo, clients) = (props.mongo_cable.as_ref(), props.client_cable.as_ref());
            cut(&[cluster.redis_cables.first(), mongo, clients], 20).await
        }
        Row::Storm => storm(cutter).await,
        Row::TwoFaults => two_faults(cluster).await,
    }
}

async fn gateway_kill(cluster: &mut Cluster) -> Result<(), Invalid> {
    cluster.gateways[0].kill9();
    sleep(seconds(5)).await;
    cluster.gateways[0].restart().await;
    Ok(())
}

async fn gateway_stop(cluster: &Cluster) -> Result<(), Invalid> {
    cluster.gateways[0].stop();
    sleep(seconds(20)).await;
    cluster.gateways[0].cont();
    Ok(())
}

async fn drain(cluster: &mut Cluster) -> Result<(), Invalid> {
    for gateway in &mut cluster.gateways {
        gateway.terminate();
        gateway.ended().await;
        gateway.restart().await;
    }
    Ok(())
}

async fn redis_down(cluster: &mut Cluster, time: Duration) -> Result<(), Invalid> {
    cluster.redis.kill9();
    sleep(time).await;
    cluster.redis.launch();
    until("redis-server answers", async || cluster.redis.answers()).await;
    Ok(())
}

async fn flushall(cluster: &Cluster) -> Result<(), Invalid> {
    order(&cluster.redis, &["FLUSHALL"])
}

async fn pubsub_kill(cluster: &Cluster) -> Result<(), Invalid> {
    let end = Instant::now() + seconds(8);
    while Instant::now() < end {
        order(&cluster.redis, &["CLIENT", "KILL", "TYPE", "pubsub"])?;
        sleep(seconds(2)).await;
    }
    Ok(())
}

async fn redis_stop(cluster: &Cluster) -> Result<(), Invalid> {
    cluster.redis.stop();
    sleep(seconds(10)).await;
    cluster.redis.cont();
    Ok(())
}

/// The replica has what was written until it stopped copying, and nothing since.
async fn redis_lagging(cluster: &mut Cluster, props: &mut Props) -> Result<(), Invalid> {
    if let Some(replica) = &props.replica {
        order(replica, &["REPLICAOF", "NO", "ONE"])?;
    }
    sleep(BEHIND).await;
    redis_promote(cluster, props).await
}

async fn redis_snapshot(cluster: &mut Cluster) -> Result<(), Invalid> {
    order(&cluster.redis, &["SAVE"])?;
    sleep(BEHIND).await;
    redis_down(cluster, seconds(1)).await?;
    cluster.redis.forget_snapshot();
    Ok(())
}

async fn presence_del(cluster: &Cluster) -> Result<(), Invalid> {
    let delete =
        "for _,key in ipairs(redis.call('KEYS',ARGV[1])) do redis.call('DEL',key) end return 'OK'";
    order(&cluster.redis, &["EVAL", delete, "0", "*presence:*"])?;
    for kind in ["normal", "pubsub"] {
        order(&cluster.redis, &["CLIENT", "KILL", "TYPE", kind])?;
    }
    Ok(())
}

/// As a failover does it that keeps the address: the clients' connections break and lead to the replica then.
async fn redis_promote(cluster: &mut Cluster, props: &mut Props) -> Result<(), Invalid> {
    let replica = props.replica.take();
    let replica = replica.ok_or_else(|| Invalid("there is no replica".to_owned()))?;
    cluster.redis.kill9();
    sleep(seconds(1)).await;
    order(&replica, &["REPLICAOF", "NO", "ONE"])?;
    for cable in &cluster.redis_cables {
        cable.switch(replica.port());
    }
    cluster.redis = replica;
    Ok(())
}

async fn mongo_kill(cluster: &mut Cluster) -> Result<(), Invalid> {
    let primary = cluster.mongo.wait_for_primary().await;
    cluster.mongo.kill9(primary);
    sleep(seconds(5)).await;
    cluster.mongo.relaunch();
    Ok(())
}

async fn mongo_down(cluster: &mut Cluster) -> Result<(), Invalid> {
    cluster.mongo.kill9_all();
    sleep(seconds(10)).await;
    cluster.mongo.relaunch();
    Ok(())
}

/// The primary takes writes that nobody copies, and is frozen; the others elect one of theirs, which takes writes of its
/// own; the old one wakes, and has to roll back. It is frozen within the election timeout: after that a primary without a
/// majority resigns by itself.
async fn mongo_rollback(cluster: &Cluster, props: &mut Props) -> Result<(), Invalid> {
    let mongo = &cluster.mongo;
    let old = mongo.wait_for_primary().await;
    let before = until("a number", async || mongo.rollback_id(old).await).await;
    for other in mongo.others(old) {
        mongo.stop(other);
    }
    sleep(UNCOPIED).await;
    mongo.stop(old);
    for other in mongo.others(old) {
        mongo.cont(other);
    }
    let new = mongo.wait_for_primary().await;
    sleep(seconds(2)).await;
    mongo.cont(old);
    if new == old {
        return Err(Invalid("the frozen primary was elected again".to_owned()));
    }
    let rolled_back = async || mongo.rollback_id(old).await > Some(before);
    until("a rollback", rolled_back).await;
    // The number grows at the rollback's beginning, the summary is its end.
    let summary = async || mongo.rolled_back_inserts(old);
    let count = until("inserts rolled back", summary).await;
    props.evidence = Some(format!(
        "{count} inserts were rolled back on the old primary"
    ));
    Ok(())
}

/// Has Redis do something.
fn order(redis: &Redis, command: &[&str]) -> Result<(), Invalid> {
    match redis.command(command) {
        Reply::Error(why) => Err(Invalid(format!("redis-server: {command:?}: {why}"))),
        _ => Ok(()),
    }
}

/// Cuts all cables at once, for so many seconds.
async fn cut(cables: &[Option<&Cable>], time: u64) -> Result<(), Invalid> {
    let there: Option<Vec<&Cable>> = cables.iter().copied().collect();
    let cables = there.ok_or_else(|| Invalid("there is no cable".to_owned()))?;
    cables.iter().for_each(|cable| cable.set_cut(true));
    sleep(seconds(time)).await;
    cables.iter().for_each(|cable| cable.set_cut(false));
    Ok(())
}

async fn storm(cutter: &Cutter) -> Result<(), Invalid> {
    for _ in 0..3 {
        cutter.cut();
        sleep(seconds(3)).await;
    }
    Ok(())
}

async fn two_faults(cluster: &mut Cluster) -> Result<(), Invalid> {
    cluster.gateways[0].kill9();
    cluster.mongo.step_down(10).await;
    sleep(seconds(4)).await;
    flushall(cluster).await?;
    cluster.gateways[0].restart().await;
    Ok(())
}
