//! Real gateway processes: the `hobnob` binary on free ports, alone on its embedded store or several over one Redis
//! and one MongoDB.
//!
//! Knows how gateways are configured, started, signalled and brought back; refuses to know what clients do with them.

use std::ops::{Deref, DerefMut};
use std::process::Command;

use testbed::gateway::Place;
use testbed::until;
use tokio::sync::OnceCell;

use super::rest::unique;
use super::servers::{Redis, shared_mongo};

/// The secret that signs the tokens of every gateway of the tests.
pub(crate) const SECRET: &str = "the-secret-of-the-end-to-end-tests";

/// One process of the binary under test.
#[derive(Debug)]
pub(crate) struct Gateway(testbed::gateway::Gateway);

impl Deref for Gateway {
    type Target = testbed::gateway::Gateway;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Gateway {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Gateway {
    /// A gateway alone, on an embedded store of its own.
    pub(crate) async fn embedded() -> Self {
        Self::embedded_with(&[]).await
    }

    /// The same with further settings (`HOBNOB_…`).
    pub(crate) async fn embedded_with(settings: &[(&str, &str)]) -> Self {
        Self::start(None, settings).await
    }

    /// The same, with no more than so many open files.
    pub(crate) async fn embedded_under(files: u32, settings: &[(&str, &str)]) -> Self {
        Self::start(Some(files), settings).await
    }

    async fn start(files: Option<u32>, settings: &[(&str, &str)]) -> Self {
        let command = |place: &mut Place| command(place, files, settings);
        Self(testbed::gateway::Gateway::start(command).await)
    }

    /// What `/metrics` shows.
    pub(crate) async fn metrics(&self) -> String {
        let answer = reqwest::get(self.admin_url("/metrics")).await;
        let answer = answer.expect("the gateway answers");
        assert_eq!(answer.status(), 200);
        answer.text().await.expect("a whole answer")
    }

    /// The value of a series of `/metrics`, named with its labels.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        metric(&self.metrics().await, series)
    }

    /// Waits until a series has at least this value.
    pub(crate) async fn until_metric(&self, series: &str, least: f64) {
        until(&format!("{series} is {least}"), async || {
            let metrics = self.metrics().await;
            let is_there = metric(&metrics, series) >= least;
            is_there.then_some(()).ok_or(metrics)
        })
        .await;
    }

    /// Waits until it is ready, or is not.
    pub(crate) async fn until_ready(&self, wanted: bool) {
        until(&format!("ready: {wanted}"), async || {
            self.is_ready().await == wanted
        })
        .await;
    }

    /// Its resident memory.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).expect("a running gateway");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.expect("VmRSS").trim_end_matches("kB").trim();
        1024 * kilobytes.parse::<u64>().expect("a number")
    }

    /// Waits until this check of `/readyz` reports a trouble that all gateways may share.
    pub(crate) async fn until_degraded(&self, check: &str) {
        let url = self.admin_url("/readyz?verbose");
        until(&format!("{check} is degraded"), async || {
            let answer = reqwest::get(&url).await.expect("an admin port");
            let report: serde_json::Value = answer.json().await.expect("a report");
            let is_degraded = report["checks"][check]["status"] == "degraded";
            is_degraded.then_some(()).ok_or(report)
        })
        .await;
    }
}

/// The value of a series in the text of `/metrics`, named with its labels.
#[track_caller]
pub(crate) fn metric(metrics: &str, series: &str) -> f64 {
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let value = value.unwrap_or_else(|| panic!("{series} is not in {metrics}"));
    value.parse().expect("a number")
}

/// The sum over all series of this name and whatever labels.
pub(crate) fn metric_sum(metrics: &str, name: &str) -> f64 {
    let of_name = |line: &str| {
        let (series, value) = line.rsplit_once(' ')?;
        let is_it = series.split('{').next() == Some(name);
        is_it.then(|| value.parse::<f64>().expect("a number"))
    };
    metrics.lines().filter_map(of_name).sum()
}

/// How a gateway is started.
fn command(place: &Place, files: Option<u32>, settings: &[(&str, &str)]) -> Command {
    let mut command = program(files);
    let on = |port: u16| format!("127.0.0.1:{port}");
    command
        .env("HOBNOB_LISTEN", on(place.port))
        .env("HOBNOB_ADMIN_LISTEN", on(place.admin_port))
        .env("HOBNOB_DATA_DIR", place.data())
        .env("HOBNOB_JWT_SECRET", SECRET)
        // Everybody's people register, and everybody's strangers come, from one address.
        .env("HOBNOB_SIGN_IN_RATE", "0")
        .env("HOBNOB_HANDSHAKE_RATE", "0")
        .envs(settings.iter().copied());
    command
}

/// The binary; it may have so many files open, else as many as this process.
fn program(files: Option<u32>) -> Command {
    let binary = env!("CARGO_BIN_EXE_hobnob");
    let Some(files) = files else {
        return Command::new(binary);
    };
    let mut command = Command::new("bash");
    command.args(["-c", "ulimit -n \"$0\" && exec \"$1\""]);
    command.args([&files.to_string(), binary]);
    command
}

/// Several gateways over one Redis of their own and one database of the shared MongoDB.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) gateways: Vec<Gateway>,
    /// Their Redis. Channels and keys have fixed names, so no two clusters may share one.
    pub(crate) redis: Redis,
    /// The URI of their database.
    pub(crate) mongodb_uri: String,
}

impl Cluster {
    /// Starts this many gateways and waits until they are ready.
    pub(crate) async fn start(gateways: usize) -> Self {
        Self::start_with(gateways, &[]).await
    }

    /// The same with further settings (`HOBNOB_…`).
    pub(crate) async fn start_with(gateways: usize, settings: &[(&str, &str)]) -> Self {
        let redis = Redis::start();
        let mongodb_uri = shared_mongo().await.uri(&unique("e2e"));
        let mut all = vec![("HOBNOB_MONGODB_URI", mongodb_uri.as_str())];
        all.extend(settings);
        let mut started = Vec::new();
        for number in 0..gateways {
            redis.grant(&redis_user(number));
            let own = redis.url_of(&redis_user(number));
            let name = format!("gateway{}", number + 1);
            let own = [
                ("HOBNOB_REDIS_URL", own.as_str()),
                ("HOBNOB_SESSION_PREFIX", &name),
            ];
            started.push(Gateway::start(None, &[&all[..], &own].concat()).await);
        }
        Self {
            gateways: started,
            redis,
            mongodb_uri,
        }
    }

    /// Their database.
    pub(crate) async fn database(&self) -> mongodb::Database {
        let client = mongodb::Client::with_uri_str(&self.mongodb_uri).await;
        let database = client.expect("a client").default_database();
        database.expect("a name in the URI")
    }

    /// Cuts one gateway off from Redis: its connections are closed, and it may not log in again.
    pub(crate) fn cut_from_redis(&self, number: usize) {
        let user = redis_user(number);
        self.redis.command(&["ACL", "SETUSER", &user, "off"]);
        self.redis.command(&["CLIENT", "KILL", "USER", &user]);
    }

    /// Lets it come back, and publish.
    pub(crate) fn let_back_to_redis(&self, number: usize) {
        self.redis
            .command(&["ACL", "SETUSER", &redis_user(number), "on", "+publish"]);
    }

    /// Refuses what one gateway publishes; it goes on to hear.
    pub(crate) fn refuse_publishing(&self, number: usize) {
        self.redis
            .command(&["ACL", "SETUSER", &redis_user(number), "-publish"]);
    }

    /// The gateway of this number, from 0.
    pub(crate) fn gateway(&self, number: usize) -> &Gateway {
        &self.gateways[number]
    }
}

/// Each gateway logs in to Redis as a user of its own, so that one alone can be cut off.
fn redis_user(number: usize) -> String {
    format!("gateway-{number}")
}

/// Three gateways shared by all tests that do not break them. Users are your own.
pub(crate) async fn shared_cluster() -> &'static Cluster {
    static SHARED: OnceCell<Cluster> = OnceCell::const_new();
    SHARED.get_or_init(|| Cluster::start(3)).await
}

/// The gateways of that cluster.
pub(crate) async fn shared_gateways() -> [&'static Gateway; 3] {
    let cluster = shared_cluster().await;
    [0, 1, 2].map(|number| cluster.gateway(number))
}

/// A gateway on an embedded store, shared by all tests that do not break it. Users are your own.
pub(crate) async fn shared_embedded() -> &'static Gateway {
    static SHARED: OnceCell<Gateway> = OnceCell::const_new();
    SHARED.get_or_init(Gateway::embedded).await
}
