//! Runs the real program. Every wait is for a condition; the limit only ends a test that would hang.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::support::until;

/// Ends a test that would hang.
const HANG: Duration = Duration::from_secs(60);

/// What a run that ended has left.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) status: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Outcome {
    /// The one line on stderr that says why the program did not start.
    pub(super) fn only_line(&self) -> &str {
        let mut lines = self.stderr.lines();
        let line = lines.next().unwrap_or_default();
        assert_eq!(lines.next(), None, "more than one line: {}", self.stderr);
        line
    }
}

/// A home directory, and what is run in it.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) home: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Program {
    pub(super) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        // Never the ports somebody else may be using.
        let listen = ["HOBNOB_LISTEN", "HOBNOB_ADMIN_LISTEN"];
        let environment = listen.map(|name| (name.to_owned(), "127.0.0.1:0".to_owned()));
        Self {
            home,
            environment: environment.into(),
        }
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file into the home directory; returns its path.
    pub(super) fn file(&self, name: &str, text: &str) -> String {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hobnob"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs it to its end.
    pub(super) async fn run(&self, arguments: &[&str]) -> Outcome {
        let output = timeout(HANG, self.command(arguments).output()).await;
        let output = output.expect("the program does not end").unwrap();
        Outcome {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts a gateway and waits until it serves.
    pub(super) async fn serve(&self) -> Gateway {
        let mut command = self.command(&["serve"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let logs = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut gateway = Gateway {
            child,
            logs,
            public: String::new(),
            admin: String::new(),
        };
        gateway.admin = gateway.address("serving operators").await;
        gateway.public = gateway.address("serving clients").await;
        gateway
    }
}

/// A gateway that serves.
#[derive(Debug)]
pub(super) struct Gateway {
    child: Child,
    logs: Lines<BufReader<ChildStdout>>,
    pub(super) public: String,
    pub(super) admin: String,
}

impl Gateway {
    /// Reads the log up to the record with this message.
    pub(super) async fn record(&mut self, message: &str) -> Value {
        let search = async {
            while let Some(line) = self.logs.next_line().await.unwrap() {
                let record: Value = serde_json::from_str(&line).expect("a log line is JSON");
                if record["message"] == message {
                    return record;
                }
            }
            panic!("the log ended before {message:?}");
        };
        timeout(HANG, search).await.expect("the log says nothing")
    }

    async fn address(&mut self, message: &str) -> String {
        self.record(message).await["address"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Waits until it calls itself ready: the record "serving clients" comes just before.
    pub(super) async fn ready(&self) {
        let url = format!("http://{}/readyz", self.admin);
        until("it is ready", async || {
            reqwest::get(&url).await.unwrap().status() == 200
        })
        .await;
    }

    /// Sends it a signal, by name.
    pub(super) async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .await
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub(super) async fn ended(mut self) -> ExitStatus {
        // Whoever does not read the log would block it.
        let rest =
            tokio::spawn(async move { while let Ok(Some(_)) = self.logs.next_line().await {} });
        let status = timeout(HANG, self.child.wait())
            .await
            .expect("it does not end")
            .unwrap();
        rest.await.unwrap();
        status
    }
}
