//! Real gateway processes: the `hobnob` binary on free ports, alone on its embedded store or several over one Redis
//! and one MongoDB.
//!
//! Knows how gateways are configured, started, signalled and brought back; refuses to know what clients do with them.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::leash::{Leashed, START_DEADLINE, free_port, scratch, signal};
use super::rest::unique;
use super::servers::{Redis, shared_mongo};

/// The secret that signs the tokens of every gateway of the tests.
pub(crate) const SECRET: &str = "the-secret-of-the-end-to-end-tests";

/// One gateway process. It may be restarted on its ports and data; it ends with this value.
#[derive(Debug)]
pub(crate) struct Gateway {
    process: Option<Leashed>,
    port: u16,
    admin_port: u16,
    environment: Vec<(String, String)>,
    /// How many files it may have open; as many as this process, unless it is said.
    files: Option<u32>,
    directory: TempDir,
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
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut gateway = Self {
            process: None,
            port: 0,
            admin_port: 0,
            environment: settings.iter().map(owned).collect(),
            files,
            directory: scratch("gateway"),
        };
        for _ in 0..5 {
            (gateway.port, gateway.admin_port) = (free_port(), free_port());
            gateway.launch();
            // Another process may have taken a port in between: then this one exits at once.
            if gateway.wait_ready().await {
                return gateway;
            }
        }
        panic!("no gateway started: {}", gateway.output());
    }

    /// `http://127.0.0.1:port` and this path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The same on the operators' port.
    pub(crate) fn admin_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.admin_port)
    }

    /// The operators' port, the same after a restart.
    pub(crate) fn admin_port(&self) -> u16 {
        self.admin_port
    }

    /// The port for clients, the same after a restart.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The process id.
    ///
    /// # Panics
    /// When it was killed.
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("a running gateway").pid()
    }

    /// Whether the process still runs.
    pub(crate) fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(Leashed::is_running)
    }

    /// `kill -9`; returns when the process is gone.
    pub(crate) fn kill9(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill9();
        }
    }

    /// Asks it to drain and stop (SIGTERM).
    pub(crate) fn terminate(&self) {
        signal(self.pid(), "TERM");
    }

    /// Freezes it (SIGSTOP): its connections stay open, and nothing answers.
    pub(crate) fn stop(&self) {
        signal(self.pid(), "STOP");
    }

    /// Lets a frozen gateway go on (SIGCONT).
    pub(crate) fn cont(&self) {
        signal(self.pid(), "CONT");
    }

    /// Waits until it has ended by itself; its exit status.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let process = self.process.take().expect("a running gateway");
        process.ended().await
    }

    /// Kills it if it still runs, and starts it again with its data on the same ports. Returns when it is ready.
    pub(crate) async fn restart(&mut self) {
        self.kill9();
        self.launch();
        let back = self.wait_ready().await;
        assert!(back, "the gateway did not come back: {}", self.output());
    }

    /// Whether `/readyz` says yes.
    pub(crate) async fn is_ready(&self) -> bool {
        matches!(reqwest::get(self.admin_url("/readyz")).await, Ok(answer) if answer.status() == 200)
    }

    /// What `/metrics` shows.
    pub(crate) async fn metrics(&self) -> String {
        let url = format!("http://127.0.0.1:{}/metrics", self.admin_port);
        let answer = reqwest::get(url).await.expect("the gateway answers");
        answer.text().await.expect("a whole answer")
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
        let url = format!("http://127.0.0.1:{}/readyz?verbose", self.admin_port);
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            let answer = reqwest::get(&url).await.expect("an admin port");
            let report: serde_json::Value = answer.json().await.expect("a report");
            if report["checks"][check]["status"] == "degraded" {
                return;
            }
            assert!(Instant::now() < deadline, "{check} is well: {report}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What it logged.
    pub(crate) fn output(&self) -> String {
        let path = self.directory.path().join("output.log");
        std::fs::read_to_string(path).unwrap_or_default()
    }

    fn launch(&mut self) {
        let mut command = self.program();
        command
            .env("HOBNOB_LISTEN", format!("127.0.0.1:{}", self.port))
            .env(
                "HOBNOB_ADMIN_LISTEN",
                format!("127.0.0.1:{}", self.admin_port),
            )
            .env("HOBNOB_DATA_DIR", self.data())
            .env("HOBNOB_JWT_SECRET", SECRET)
            // Everybody's people register, and everybody's strangers come, from one address.
            .env("HOBNOB_SIGN_IN_RATE", "0")
            .env("HOBNOB_HANDSHAKE_RATE", "0")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.process = Some(Leashed::start(self.directory.path(), &command));
    }

    fn program(&self) -> Command {
        let binary = env!("CARGO_BIN_EXE_hobnob");
        let Some(files) = self.files else {
            return Command::new(binary);
        };
        let mut command = Command::new("bash");
        command.args(["-c", "ulimit -n \"$0\" && exec \"$1\""]);
        command.args([&files.to_string(), binary]);
        command
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> &Path {
        self.directory.path()
    }

    async fn wait_ready(&self) -> bool {
        let deadline = Instant::now() + START_DEADLINE;
        while self.is_running() && Instant::now() < deadline {
            if self.is_ready().await {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }
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

/// A gateway on an embedded store, shared by all tests that do not break it. Users are your own.
pub(crate) async fn shared_embedded() -> &'static Gateway {
    static SHARED: OnceCell<Gateway> = OnceCell::const_new();
    SHARED.get_or_init(Gateway::embedded).await
}
