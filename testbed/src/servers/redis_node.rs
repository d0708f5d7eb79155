//! A `redis-server` of any kind: a primary, a replica, a node of a cluster or a Sentinel, with or without TLS.
//!
//! Asks by `redis-cli`; refuses to know what the nodes are to each other, which is `redis_group.rs`.

use std::process::Command;

use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::leash::{Leashed, free_port, scratch, tool};

/// One process.
#[derive(Debug)]
pub struct RedisNode {
    process: Option<Leashed>,
    _directory: TempDir,
    /// Where it listens.
    pub port: u16,
    /// What its clients must believe in, when it speaks TLS.
    ca: Option<String>,
}

impl RedisNode {
    /// Starts one with these lines of configuration besides address, port and TLS.
    pub fn start(tls: Option<&Certificates>, configuration: &str, arguments: &[&str]) -> Self {
        let (directory, port) = (scratch("redis-node"), free_port());
        let file = directory.path().join("redis.conf");
        let text = format!(
            "bind 127.0.0.1\ndir {}\n{}\n{configuration}\n",
            directory.path().display(),
            listening(port, tls)
        );
        std::fs::write(&file, text).expect("a file");
        let mut command = Command::new(tool("redis-server"));
        command.arg(&file).args(arguments);
        Self {
            process: Some(Leashed::start(directory.path(), &command)),
            _directory: directory,
            port,
            ca: tls.map(|tls| tls.ca().display().to_string()),
        }
    }

    /// What `redis-cli` prints for a command.
    pub fn ask(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(tool("redis-cli"));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        if let Some(ca) = &self.ca {
            command.args(["--tls", "--cacert", ca]);
        }
        let output = command.args(arguments).output().expect("redis-cli runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Whether it does.
    pub fn answers(&self) -> bool {
        self.ask(&["PING"]) == "PONG"
    }

    /// Whether a gateway subscribes here.
    pub fn has_gateways(&self) -> bool {
        !self.ask(&["PUBSUB", "CHANNELS", "hobnob:*"]).is_empty()
    }

    /// `kill -9`; returns when the process is gone.
    pub fn kill9(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill9();
        }
    }
}

fn listening(port: u16, tls: Option<&Certificates>) -> String {
    let Some(tls) = tls else {
        return format!("port {port}");
    };
    format!(
        "port 0\ntls-port {port}\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\ntls-auth-clients no\n\
         tls-replication yes\ntls-cluster yes",
        tls.certificate().display(),
        tls.key().display(),
        tls.ca().display()
    )
}
