//! How each fault is made. Knows the servers and their weak points; knows nothing of messages.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::cluster::{Cluster, Gateway, Proxy, Redis};
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
    mongo_cable: Option<Proxy>,
    /// Between the clients and the first gateway.
    client_cable: Option<Proxy>,
    mongodb_uri: Option<String>,
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
pub(crate) async fn prepare(row: Row, cluster: &mut Cluster) -> Result<Props, Invalid> {
    let mut props = Props::default();
    match row {
        Row::RedisPromote | Row::RedisLagging => {
            props.replica = Some(Redis::start_replica(&cluster.redis).await?);
        }
        Row::MongoCut | Row::GatewayCutMix => {
            // Drivers learn the members' own addresses from the set, past any proxy; unless told to stay where they are.
            let primary = cluster.mongo.primary().await?;
            let cable = Proxy::start(cluster.mongo.port(primary)).await?;
            let uri = format!(
                "mongodb://127.0.0.1:{}/hobnob?directConnection=true",
                cable.port()
            );
            props.mongodb_uri = Some(restart_with(cluster, uri).await?);
            props.mongo_cable = Some(cable);
            if row == Row::GatewayCutMix {
                let port = cluster.gateways[0].port();
                props.client_cable = Some(Proxy::start(port).await?);
            }
        }
        _ => {}
    }
    Ok(props)
}

/// Puts the cluster back as it was.
pub(crate) async fn clean_up(cluster: &mut Cluster, props: Props) -> Result<(), Invalid> {
    if let Some(uri) = props.mongodb_uri {
        restart_with(cluster, uri).await?;
    }
    cluster.ready().await
}

async fn restart_with(cluster: &mut Cluster, uri: String) -> Result<String, Invalid> {
    let gateway = &mut cluster.gateways[0];
    gateway.kill();
    let before = gateway.set_mongodb_uri(uri);
    gateway.launch()?;
    gateway.ready().await?;
    Ok(before)
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
        Row::MongoStepdown => cluster.mongo.step_down().await,
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
    cluster.gateways[0].kill();
    sleep(seconds(5)).await;
    cluster.gateways[0].launch()?;
    cluster.gateways[0].ready().await
}

async fn gateway_stop(cluster: &Cluster) -> Result<(), Invalid> {
    cluster.gateways[0].signal("STOP")?;
    sleep(seconds(20)).await;
    cluster.gateways[0].signal("CONT")
}

async fn drain(cluster: &mut Cluster) -> Result<(), Invalid> {
    for gateway in &mut cluster.gateways {
        gateway.signal("TERM")?;
        gateway.ended().await?;
        gateway.launch()?;
        gateway.ready().await?;
    }
    Ok(())
}

async fn redis_down(cluster: &mut Cluster, time: Duration) -> Result<(), Invalid> {
    cluster.redis.kill();
    sleep(time).await;
    cluster.redis.launch().await
}

async fn flushall(cluster: &Cluster) -> Result<(), Invalid> {
    cluster.redis.command("FLUSHALL").await.map(drop)
}

async fn pubsub_kill(cluster: &Cluster) -> Result<(), Invalid> {
    let end = Instant::now() + seconds(8);
    while Instant::now() < end {
        cluster.redis.command("CLIENT KILL TYPE pubsub").await?;
        sleep(seconds(2)).await;
    }
    Ok(())
}

async fn redis_stop(cluster: &Cluster) -> Result<(), Invalid> {
    cluster.redis.signal("STOP")?;
    sleep(seconds(10)).await;
    cluster.redis.signal("CONT")
}

/// The replica has what was written until it stopped copying, and nothing since.
async fn redis_lagging(cluster: &mut Cluster, props: &mut Props) -> Result<(), Invalid> {
    if let Some(replica) = &props.replica {
        replica.command("REPLICAOF NO ONE").await?;
    }
    sleep(BEHIND).await;
    redis_promote(cluster, props).await
}

async fn redis_snapshot(cluster: &mut Cluster) -> Result<(), Invalid> {
    cluster.redis.command("SAVE").await?;
    sleep(BEHIND).await;
    redis_down(cluster, seconds(1)).await?;
    cluster.redis.forget_snapshot()
}

async fn presence_del(cluster: &Cluster) -> Result<(), Invalid> {
    let delete = r#"EVAL "for _,key in ipairs(redis.call('KEYS',ARGV[1])) do redis.call('DEL',key) end return 'OK'" 0 *presence:*"#;
    cluster.redis.command(delete).await?;
    for kind in ["normal", "pubsub"] {
        let kill = format!("CLIENT KILL TYPE {kind}");
        cluster.redis.command(&kill).await?;
    }
    Ok(())
}

/// As a failover does it that keeps the address: the clients' connections break and lead to the replica then.
async fn redis_promote(cluster: &mut Cluster, props: &mut Props) -> Result<(), Invalid> {
    let replica = props.replica.take();
    let replica = replica.ok_or_else(|| Invalid("there is no replica".to_owned()))?;
    cluster.redis.kill();
    sleep(seconds(1)).await;
    replica.command("REPLICAOF NO ONE").await?;
    for cable in &cluster.redis_cables {
        cable.switch(replica.port());
    }
    cluster.redis = replica;
    Ok(())
}

async fn mongo_kill(cluster: &mut Cluster) -> Result<(), Invalid> {
    let primary = cluster.mongo.primary().await?;
    cluster.mongo.kill(primary);
    sleep(seconds(5)).await;
    cluster.mongo.restart()
}

async fn mongo_down(cluster: &mut Cluster) -> Result<(), Invalid> {
    cluster.mongo.kill_all();
    sleep(seconds(10)).await;
    cluster.mongo.restart()
}

/// The primary takes writes that nobody copies, and is frozen; the others elect one of theirs, which takes writes of its
/// own; the old one wakes, and has to roll back. It is frozen within the election timeout: after that a primary without a
/// majority resigns by itself.
async fn mongo_rollback(cluster: &Cluster, props: &mut Props) -> Result<(), Invalid> {
    let mongo = &cluster.mongo;
    let old = mongo.primary().await?;
    let before = mongo.rollback_id(old).await?;
    for other in mongo.others(old) {
        mongo.signal(other, "STOP")?;
    }
    sleep(UNCOPIED).await;
    mongo.signal(old, "STOP")?;
    for other in mongo.others(old) {
        mongo.signal(other, "CONT")?;
    }
    let new = mongo.primary().await?;
    sleep(seconds(2)).await;
    mongo.signal(old, "CONT")?;
    if new == old {
        return Err(Invalid("the frozen primary was elected again".to_owned()));
    }
    let rolled_back = async || matches!(mongo.rollback_id(old).await, Ok(id) if id > before);
    super::cluster::wait_until("nothing was rolled back", rolled_back).await?;
    // The number grows at the rollback's beginning, the summary is its end.
    let mut inserts = None;
    super::cluster::wait_until("no insert was rolled back", async || {
        inserts = mongo.rolled_back_inserts(old);
        inserts.is_some()
    })
    .await?;
    props.evidence =
        inserts.map(|count| format!("{count} inserts were rolled back on the old primary"));
    Ok(())
}

/// Cuts all cables at once, for so many seconds.
async fn cut(cables: &[Option<&Proxy>], time: u64) -> Result<(), Invalid> {
    let there: Option<Vec<&Proxy>> = cables.iter().copied().collect();
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
    cluster.gateways[0].kill();
    cluster.mongo.step_down().await?;
    sleep(seconds(4)).await;
    flushall(cluster).await?;
    cluster.gateways[0].launch()?;
    cluster.gateways[0].ready().await
}
