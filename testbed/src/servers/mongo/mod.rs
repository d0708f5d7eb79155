//! A real MongoDB replica set of one or three members that may be killed, frozen and deposed.
//!
//! Knows elections, rollbacks and processes; refuses to know the product's collections.

use std::process::Command;
use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ServerAddress};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::leash::{Leashed, free_port, freeze, scratch, signal, tool};
use crate::until;

/// How long a silent primary is waited for, not the default's 10 s.
const ELECTION: Duration = Duration::from_secs(2);
/// A new primary waits for every member's heartbeat, to catch up with it: so long for a frozen one, not the default's 10 s.
const HEARTBEAT_SECONDS: i32 = 2;
/// A frozen member does not answer: the limit keeps it from hiding the others.
const ANSWER: Duration = Duration::from_secs(1);
/// For tests: indexes that expire soon, and fail points (`configureFailPoint`), the only way to provoke some answers.
const TESTED: &[&str] = &["ttlMonitorSleepSecs=1", "enableTestCommands=1"];
/// For the load generator: as in production, but that else the primary pushes its oplog into the sockets of frozen
/// secondaries, which find it there when they wake, and nothing is left to roll back.
const LOADED: &[&str] = &["oplogFetcherUsesExhaust=false"];

/// A replica set that lives as long as this value, or as the test process.
#[derive(Debug)]
pub struct Mongo {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    process: Option<Leashed>,
    port: u16,
    parameters: &'static [&'static str],
    directory: TempDir,
}

/// The one-member replica set shared by all tests that do not break it. Use a database of your own in it.
pub async fn shared_mongo() -> &'static Mongo {
    static SHARED: OnceCell<Mongo> = OnceCell::const_new();
    SHARED.get_or_init(|| Mongo::start_replica_set(1)).await
}

impl Mongo {
    /// Starts 1 or 3 members with an election timeout of 2 s, and waits until a majority write succeeds.
    pub async fn start_replica_set(members: usize) -> Self {
        Self::start_with_election_timeout(members, ELECTION).await
    }

    /// The same with another election timeout: the time a silent primary is waited for.
    pub async fn start_with_election_timeout(members: usize, election_timeout: Duration) -> Self {
        Self::start_with(members, election_timeout, TESTED).await
    }

    /// The same as it runs in production, without what tests need.
    pub async fn start_to_measure(members: usize) -> Self {
        Self::start_with(members, ELECTION, LOADED).await
    }

    async fn start_with(
        members: usize,
        election_timeout: Duration,
        parameters: &'static [&'static str],
    ) -> Self {
        let launch = |_| Member::launch_on_a_free_port(parameters);
        let mut started: Vec<Member> = (0..members).map(launch).collect();
        for member in &mut started {
            member.wait_ready().await;
        }
        let mongo = Self { members: started };
        mongo.initiate(election_timeout).await;
        mongo.wait_for_primary().await;
        mongo
    }

    /// The connection string of the whole set with `database` as its default.
    pub fn uri(&self, database: &str) -> String {
        let hosts: Vec<String> = self.members.iter().map(Member::address).collect();
        format!("mongodb://{}/{database}?replicaSet=rs0", hosts.join(","))
    }

    /// The number of members, dead ones included.
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// The process id of a member.
    ///
    /// # Panics
    /// When it has been killed.
    pub fn pid(&self, member: usize) -> u32 {
        self.members[member].pid()
    }

    /// The port of a member, the same after a restart.
    pub fn port(&self, member: usize) -> u16 {
        self.members[member].port
    }

    /// `kill -9` of a member; returns when the process is gone.
    pub fn kill9(&mut self, member: usize) {
        if let Some(process) = self.members[member].process.take() {
            process.kill9();
        }
    }

    /// `kill -9` of all members.
    pub fn kill9_all(&mut self) {
        (0..self.members.len()).for_each(|member| self.kill9(member));
    }

    /// Starts every member that was killed. [`Mongo::wait_for_primary`] waits until they can write.
    pub fn relaunch(&mut self) {
        let gone = self.members.iter_mut();
        gone.filter(|member| member.process.is_none())
            .for_each(Member::launch);
    }

    /// The process ids of all members that were not killed.
    pub fn pids(&self) -> Vec<u32> {
        let running = self.members.iter();
        let running = running.filter_map(|member| member.process.as_ref());
        running.map(Leashed::pid).collect()
    }

    /// The other members.
    pub fn others(&self, member: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.members.len()).filter(move |other| *other != member)
    }

    /// Freezes a member (SIGSTOP): connections stay open, nothing answers.
    pub fn stop(&self, member: usize) {
        freeze(self.pid(member));
    }

    /// Lets a frozen member go on (SIGCONT).
    pub fn cont(&self, member: usize) {
        signal(self.pid(member), "CONT");
    }

    /// Kills a member if it still runs, and starts it again with its data on the same port. Returns when it answers;
    /// [`Mongo::wait_for_primary`] waits until the set can write.
    pub async fn restart(&mut self, member: usize) {
        self.kill9(member);
        self.members[member].launch();
        self.members[member].wait_ready().await;
    }

    /// Waits until a majority write succeeds, and returns the index of the primary that took it.
    ///
    /// # Panics
    /// When there is none within the start deadline.
    pub async fn wait_for_primary(&self) -> usize {
        let uri = self.uri("admin");
        until(&format!("a majority write to {uri}"), async || {
            let primary = self.find_primary().await?;
            let written = self.members[primary].majority_write().await;
            written.ok().map(|_| primary)
        })
        .await
    }

    /// Makes the primary step down for `seconds`, and returns the index it had. Another member, or after that time
    /// the same one, is elected; `wait_for_primary` waits for it.
    pub async fn step_down(&self, seconds: u32) -> usize {
        let primary = self.wait_for_primary().await;
        let command =
            doc! { "replSetStepDown": seconds, "secondaryCatchUpPeriodSecs": 0, "force": true };
        // The old primary may close the connection instead of answering; its role is what counts.
        let _answer_or_closed = self.members[primary].admin(command).await;
        primary
    }

    /// Runs an administrative command on one member, for example a fail point (test commands are enabled).
    ///
    /// # Panics
    /// When the member refuses or does not answer.
    pub async fn admin(&self, member: usize, command: Document) -> Document {
        self.members[member]
            .admin(command)
            .await
            .expect("the member answers")
    }

    /// How often it was tried to elect; grows with every election.
    pub async fn term(&self) -> i64 {
        let primary = self.wait_for_primary().await;
        let status = self.admin(primary, doc! { "replSetGetStatus": 1 }).await;
        status.get_i64("term").expect("a term")
    }

    /// A number that grows with every rollback of a member; `None` when it does not answer.
    pub async fn rollback_id(&self, member: usize) -> Option<i32> {
        let asked = self.members[member].asked(doc! { "replSetGetRBID": 1 });
        asked.await?.get_i32("rbid").ok()
    }

    /// How many inserts a member's last rollback undid, once its log tells of it; none when it undid none.
    pub fn rolled_back_inserts(&self, member: usize) -> Option<i64> {
        let log = self.members[member].output();
        let mut lines = log.lines();
        let summary = lines.rfind(|line| line.contains("Rollback summary"))?;
        let summary: Value = serde_json::from_str(summary).ok()?;
        let inserts = &summary["attr"]["rollbackCommandCounts"]["insert"];
        inserts.as_i64().filter(|count| *count > 0)
    }

    async fn find_primary(&self) -> Option<usize> {
        for (index, member) in self.members.iter().enumerate() {
            if member.process.is_none() {
                continue;
            }
            if let Some(hello) = member.asked(doc! { "hello": 1 }).await
                && hello.get_bool("isWritablePrimary").unwrap_or(false)
            {
                return Some(index);
            }
        }
        None
    }

    async fn initiate(&self, election_timeout: Duration) {
        let members: Vec<Document> = (0_i32..)
            .zip(&self.members)
            .map(|(id, member)| doc! { "_id": id, "host": member.address() })
            .collect();
        let settings = doc! {
            "electionTimeoutMillis": i64::try_from(election_timeout.as_millis()).expect("a short time"),
            "heartbeatIntervalMillis": 500,
            "heartbeatTimeoutSecs": HEARTBEAT_SECONDS,
        };
        let config = doc! { "_id": "rs0", "members": members, "settings": settings };
        self.members[0]
            .admin(doc! { "replSetInitiate": config })
            .await
            .expect("replSetInitiate");
    }
}

impl Member {
    fn launch_on_a_free_port(parameters: &'static [&'static str]) -> Self {
        let mut member = Self {
            process: None,
            port: free_port(),
            parameters,
            directory: scratch("mongo"),
        };
        member.launch();
        member
    }

    fn launch(&mut self) {
        let mut command = Command::new(tool("mongod"));
        command
            .args([
                "--bind_ip",
                "127.0.0.1",
                "--port",
                &self.port.to_string(),
                "--nounixsocket",
            ])
            .args([
                "--replSet",
                "rs0",
                "--oplogSize",
                "64",
                "--wiredTigerCacheSizeGB",
                "0.25",
                "--quiet",
            ])
            .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
            .arg("--dbpath")
            .arg(self.directory.path());
        for parameter in self.parameters {
            command.args(["--setParameter", parameter]);
        }
        self.process = Some(Leashed::start(self.directory.path(), &command));
    }

    /// Waits until our own process answers; a port taken by another in between is replaced.
    async fn wait_ready(&mut self) {
        let mut attempts = 0;
        until("mongod answers", async || {
            if self.is_ours().await {
                return Ok(());
            }
            if !self.process.as_ref().is_some_and(Leashed::is_running) {
                attempts += 1;
                assert!(attempts < 5, "mongod ends at once: {}", self.last_output());
                // A set that has been initiated is known by its ports: only an empty one may move.
                if !self.directory.path().join("WiredTiger").exists() {
                    self.port = free_port();
                }
                self.launch();
            }
            Err(self.last_output())
        })
        .await;
    }

    async fn is_ours(&self) -> bool {
        let status = self.asked(doc! { "serverStatus": 1 }).await;
        status.is_some_and(|status| status.get_i64("pid").ok() == Some(i64::from(self.pid())))
    }

    /// What it answers in time.
    async fn asked(&self, command: Document) -> Option<Document> {
        let answer = tokio::time::timeout(ANSWER, self.admin(command)).await;
        answer.ok()?.ok()
    }

    async fn majority_write(&self) -> mongodb::error::Result<Document> {
        let write = doc! {
            "insert": "ready", "documents": [{}],
            "writeConcern": { "w": "majority", "j": true, "wtimeout": 2_000 },
        };
        let answer = self
            .client()
            .await
            .database("hobnob_ready")
            .run_command(write)
            .await?;
        if answer.contains_key("writeConcernError") {
            return Err(mongodb::error::Error::custom("no majority"));
        }
        Ok(answer)
    }

    async fn admin(&self, command: Document) -> mongodb::error::Result<Document> {
        self.client()
            .await
            .database("admin")
            .run_command(command)
            .await
    }

    /// A client per call: a shared one would belong to the runtime of the test that made it.
    async fn client(&self) -> Client {
        let options = ClientOptions::builder()
            .hosts(vec![ServerAddress::Tcp {
                host: "127.0.0.1".to_owned(),
                port: Some(self.port),
            }])
            .direct_connection(true)
            .server_selection_timeout(Duration::from_secs(1))
            .build();
        Client::with_options(options).expect("valid options")
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn pid(&self) -> u32 {
        self.process.as_ref().expect("a running mongod").pid()
    }

    fn output(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("output.log")).unwrap_or_default()
    }

    fn last_output(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

#[cfg(test)]
mod tests;
