//! One gateway as a process: its ports, its life and its log. Knows not what runs in it: whoever starts one says how.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::leash::{Leashed, START_DEADLINE, free_port, freeze, scratch, signal};

/// How often other ports are tried when somebody else takes one first.
const TRIES: u32 = 5;
/// Between two looks at whether it is ready.
const PAUSE: Duration = Duration::from_millis(20);

/// One gateway process. It may be restarted on its ports and data; it ends with this value.
#[derive(Debug)]
pub struct Gateway {
    process: Option<Leashed>,
    command: Command,
    place: Place,
}

/// Where a gateway runs, the same after a restart.
#[derive(Debug)]
pub struct Place {
    /// For clients.
    pub port: u16,
    /// For operators.
    pub admin_port: u16,
    /// Where it says that it takes clients.
    pub readiness: String,
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let (port, admin_port) = (free_port(), free_port());
        Self {
            port,
            admin_port,
            readiness: format!("http://127.0.0.1:{admin_port}/readyz"),
            directory: scratch("gateway"),
        }
    }

    /// Its data directory, removed with it.
    pub fn data(&self) -> &Path {
        self.directory.path()
    }
}

impl Gateway {
    /// Starts what `command` says for a place, and returns when it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn start(command: impl Fn(&mut Place) -> Command) -> Self {
        let mut last = String::new();
        for _ in 0..TRIES {
            let mut gateway = Self::launched(&command);
            // Another process may have taken a port in between: then this one exits at once.
            if gateway.becomes_ready().await {
                return gateway;
            }
            last = gateway.output();
            gateway.kill9();
        }
        panic!("no gateway started: {last}");
    }

    /// The same without waiting.
    pub fn launched(command: impl Fn(&mut Place) -> Command) -> Self {
        let mut place = Place::new();
        let mut gateway = Self {
            process: None,
            command: command(&mut place),
            place,
        };
        gateway.launch();
        gateway
    }

    /// Starts it with its data on its ports; kills it before if it still runs.
    pub fn launch(&mut self) {
        self.kill9();
        self.process = Some(Leashed::start(self.data(), &self.command));
    }

    /// Waits until it takes clients.
    ///
    /// # Panics
    /// When it ends instead, or takes too long.
    pub async fn ready(&self) {
        let is_ready = self.becomes_ready().await;
        assert!(is_ready, "a gateway is not ready: {}", self.output());
    }

    /// Kills it if it still runs, and starts it again with its data on the same ports. Returns when it is ready.
    pub async fn restart(&mut self) {
        self.launch();
        self.ready().await;
    }

    /// Gives it another setting, from its next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.command.env(name, value);
    }

    /// `http://127.0.0.1:port` and this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.place.port)
    }

    /// The same on the operators' port.
    pub fn admin_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.place.admin_port)
    }

    /// The port for clients.
    pub const fn port(&self) -> u16 {
        self.place.port
    }

    /// The operators' port.
    pub const fn admin_port(&self) -> u16 {
        self.place.admin_port
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        self.place.data()
    }

    /// The process id.
    ///
    /// # Panics
    /// When it was killed.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a running gateway").pid()
    }

    /// Whether the process still runs.
    pub fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(Leashed::is_running)
    }

    /// `kill -9`; returns when the process is gone.
    pub fn kill9(&mut self) {
        self.process = None;
    }

    /// Asks it to drain and stop (SIGTERM).
    pub fn terminate(&self) {
        signal(self.pid(), "TERM");
    }

    /// Freezes it (SIGSTOP): its connections stay open, and nothing answers.
    pub fn stop(&self) {
        freeze(self.pid());
    }

    /// Lets a frozen gateway go on (SIGCONT).
    pub fn cont(&self) {
        signal(self.pid(), "CONT");
    }

    /// Waits until it has ended by itself; its exit status.
    ///
    /// # Panics
    /// When it takes too long.
    pub async fn ended(&mut self) -> Option<i32> {
        let process = self.process.take().expect("a running gateway");
        process.ended().await
    }

    /// Whether it says that it takes clients.
    pub async fn is_ready(&self) -> bool {
        let answer = reqwest::get(&self.place.readiness).await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    /// What it logged.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.data().join("output.log")).unwrap_or_default()
    }

    async fn becomes_ready(&self) -> bool {
        let deadline = Instant::now() + START_DEADLINE;
        while self.is_running() && Instant::now() < deadline {
            if self.is_ready().await {
                return true;
            }
            tokio::time::sleep(PAUSE).await;
        }
        false
    }
}
