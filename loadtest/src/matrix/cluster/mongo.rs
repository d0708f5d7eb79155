//! A real MongoDB replica set of three members that can be deposed, killed and frozen. Knows elections; refuses to know
//! what the product stores.

use std::process::Command;
use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Document, doc};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::timeout;

use super::leash::{Leashed, free_port, tool};
use super::until::wait_until;
use crate::Invalid;

/// Short, so that a row of the matrix does not wait for the default's 10 s.
const ELECTION_MILLIS: i32 = 2000;
/// A new primary waits for every member's heartbeat, to catch up with it: so long for a frozen one, not the default's 10 s.
const HEARTBEAT_SECONDS: i32 = 2;
/// A frozen member does not answer; the others must not wait for it.
const ANSWER: Duration = Duration::from_secs(1);

/// A replica set.
#[derive(Debug)]
pub(crate) struct Mongo {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    process: Option<Leashed>,
    port: u16,
    directory: TempDir,
}

impl Mongo {
    /// Starts this many members, and waits until one is elected.
    pub(crate) async fn start(count: usize) -> Result<Self, Invalid> {
        let mut members = Vec::new();
        for _ in 0..count {
            let directory = tempfile::Builder::new()
                .prefix("hobnob-load-mongo-")
                .tempdir()?;
            let mut member = Member {
                process: None,
                port: free_port()?,
                directory,
            };
            member.launch()?;
            members.push(member);
        }
        let mongo = Self { members };
        for member in &mongo.members {
            wait_until("mongod does not answer", async || {
                member.admin(doc! { "ping": 1 }).await.is_ok()
            })
            .await?;
        }
        mongo.initiate().await?;
        mongo.primary().await?;
        Ok(mongo)
    }

    /// The connection string of the whole set.
    pub(crate) fn uri(&self) -> String {
        let hosts: Vec<_> = self.members.iter().map(Member::address).collect();
        format!("mongodb://{}/hobnob?replicaSet=rs0", hosts.join(","))
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        let processes = self
            .members
            .iter()
            .filter_map(|member| member.process.as_ref());
        processes.map(Leashed::pid).collect()
    }

    pub(crate) fn port(&self, member: usize) -> u16 {
        self.members[member].port
    }

    /// The primary, once there is one.
    pub(crate) async fn primary(&self) -> Result<usize, Invalid> {
        let mut primary = 0;
        wait_until("no MongoDB primary was elected", async || {
            for (index, member) in self.members.iter().enumerate() {
                if member.is_primary().await {
                    primary = index;
                    return true;
                }
            }
            false
        })
        .await?;
        Ok(primary)
    }

    /// Deposes the primary; another is elected.
    pub(crate) async fn step_down(&self) -> Result<(), Invalid> {
        let primary = self.primary().await?;
        let command =
            doc! { "replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 0, "force": true };
        // It may close the connection instead of answering.
        let _ = self.members[primary].admin(command).await;
        Ok(())
    }

    /// `kill -9` of a member.
    pub(crate) fn kill(&mut self, member: usize) {
        self.members[member].process = None;
    }

    /// `kill -9` of all members.
    pub(crate) fn kill_all(&mut self) {
        (0..self.members.len()).for_each(|member| self.kill(member));
    }

    /// Starts every member that was killed.
    pub(crate) fn restart(&mut self) -> Result<(), Invalid> {
        let gone = self.members.iter_mut();
        gone.filter(|member| member.process.is_none())
            .try_for_each(Member::launch)
    }

    pub(crate) fn signal(&self, member: usize, name: &str) -> Result<(), Invalid> {
        match &self.members[member].process {
            Some(process) => process.signal(name),
            None => Err(Invalid("mongod was killed".to_owned())),
        }
    }

    /// The other members.
    pub(crate) fn others(&self, member: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.members.len()).filter(move |other| *other != member)
    }

    /// A number that grows with every rollback of a member.
    pub(crate) async fn rollback_id(&self, member: usize) -> Result<i32, Invalid> {
        let answer = self.members[member].admin(doc! { "replSetGetRBID": 1 });
        Ok(answer.await?.get_i32("rbid").unwrap_or_default())
    }

    /// How many inserts a member's last rollback undid, once its log tells of it; none when it undid none.
    pub(crate) fn rolled_back_inserts(&self, member: usize) -> Option<i64> {
        let log = self.members[member].directory.path().join("output.log");
        let log = std::fs::read_to_string(log).ok()?;
        let summary = log
            .lines()
            .rfind(|line| line.contains("Rollback summary"))?;
        let summary: Value = serde_json::from_str(summary).ok()?;
        let inserts = &summary["attr"]["rollbackCommandCounts"]["insert"];
        inserts.as_i64().filter(|count| *count > 0)
    }

    async fn initiate(&self) -> Result<(), Invalid> {
        let members: Vec<Document> = (0_i32..)
            .zip(&self.members)
            .map(|(id, member)| doc! { "_id": id, "host": member.address() })
            .collect();
        let settings = doc! {
            "electionTimeoutMillis": ELECTION_MILLIS,
            "heartbeatIntervalMillis": 500,
            "heartbeatTimeoutSecs": HEARTBEAT_SECONDS,
        };
        let config = doc! { "_id": "rs0", "members": members, "settings": settings };
        let client = self.members[0].client().await?;
        client
            .database("admin")
            .run_command(doc! { "replSetInitiate": config })
            .await?;
        Ok(())
    }
}

impl Member {
    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn launch(&mut self) -> Result<(), Invalid> {
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
            // Else the primary pushes its oplog into the sockets of frozen secondaries, which find it there when they
            // wake, and nothing is left to roll back.
            .args(["--setParameter", "oplogFetcherUsesExhaust=false"])
            .arg("--dbpath")
            .arg(self.directory.path());
        self.process = Some(Leashed::start(self.directory.path(), &command)?);
        Ok(())
    }

    async fn is_primary(&self) -> bool {
        if self.process.is_none() {
            return false;
        }
        let hello = self.admin(doc! { "hello": 1 }).await;
        hello.is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false))
    }

    async fn admin(&self, command: Document) -> Result<Document, Invalid> {
        let answer = async {
            let client = self.client().await?;
            Ok(client.database("admin").run_command(command).await?)
        };
        timeout(ANSWER, answer)
            .await
            .map_err(|_| Invalid("mongod does not answer".to_owned()))?
    }

    async fn client(&self) -> Result<Client, Invalid> {
        let uri = format!("mongodb://{}/?directConnection=true", self.address());
        Ok(Client::with_uri_str(uri).await?)
    }
}
