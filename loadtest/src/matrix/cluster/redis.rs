//! A real `redis-server` that can be killed, frozen, flushed and copied. Speaks just enough of its protocol to order it
//! about.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::leash::{Leashed, free_port, tool};
use super::until::wait_until;
use crate::Invalid;

const ANSWER: Duration = Duration::from_secs(5);

/// One server without persistence: after a restart it is empty, which is what P5 is about.
#[derive(Debug)]
pub(crate) struct Redis {
    process: Option<Leashed>,
    port: u16,
    directory: TempDir,
}

impl Redis {
    pub(crate) async fn start() -> Result<Self, Invalid> {
        let directory = tempfile::Builder::new()
            .prefix("hobnob-load-redis-")
            .tempdir()?;
        let mut redis = Self {
            process: None,
            port: free_port()?,
            directory,
        };
        redis.launch().await?;
        Ok(redis)
    }

    /// Starts a copy of another server, and returns when it is in step.
    pub(crate) async fn start_replica(of: &Self) -> Result<Self, Invalid> {
        let replica = Self::start().await?;
        replica
            .command(&format!("REPLICAOF 127.0.0.1 {}", of.port))
            .await?;
        wait_until("the Redis replica is not in step", async || {
            let info = replica.command("INFO replication").await;
            info.is_ok_and(|info| info.contains("master_link_status:up"))
        })
        .await?;
        Ok(replica)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Leashed::pid)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) async fn launch(&mut self) -> Result<(), Invalid> {
        let mut command = Command::new(tool("redis-server"));
        command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args([
                "--save",
                "",
                "--appendonly",
                "no",
                "--daemonize",
                "no",
                "--dir",
            ])
            .arg(self.directory.path());
        self.process = Some(Leashed::start(self.directory.path(), &command)?);
        wait_until("redis-server does not answer", async || {
            self.command("PING").await.is_ok()
        })
        .await
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Lets the next start begin empty again.
    pub(crate) fn forget_snapshot(&self) -> Result<(), Invalid> {
        std::fs::remove_file(self.directory.path().join("dump.rdb")).map_err(Into::into)
    }

    pub(crate) fn signal(&self, name: &str) -> Result<(), Invalid> {
        match &self.process {
            Some(process) => process.signal(name),
            None => Err(Invalid("redis-server was killed".to_owned())),
        }
    }

    /// Sends one command as one types it, and returns the answer's text.
    pub(crate) async fn command(&self, command: &str) -> Result<String, Invalid> {
        ask(self.port, command).await
    }
}

/// The same of whatever Redis listens on that port of 127.0.0.1.
pub(crate) async fn ask(port: u16, command: &str) -> Result<String, Invalid> {
    let answer = timeout(ANSWER, exchange(port, command)).await;
    answer.map_err(|_| Invalid(format!("redis-server: {command}: no answer")))?
}

async fn exchange(port: u16, command: &str) -> Result<String, Invalid> {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await?);
    stream
        .write_all(format!("{command}\r\n").as_bytes())
        .await?;
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let line = line.trim_end();
    match line
        .strip_prefix('$')
        .and_then(|length| length.parse::<usize>().ok())
    {
        Some(length) => {
            let mut text = vec![0; length];
            stream.read_exact(&mut text).await?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        }
        None if line.starts_with('-') => Err(Invalid(format!("redis-server: {command}: {line}"))),
        None => Ok(line.to_owned()),
    }
}
