//! One real gateway on the embedded store, and accounts on it. Knows the program's log and the REST side of accounts;
//! refuses to know any socket.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::leash::{Leashed, START_DEADLINE, scratch, signal};

/// Every account's password.
const PASSWORD: &str = "correct horse battery";

/// A gateway of its own, killed when dropped.
pub(crate) struct Embedded {
    process: Leashed,
    address: String,
    _home: TempDir,
}

/// Somebody registered.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl Embedded {
    /// Starts one with these variables of the environment and waits until it serves clients.
    pub(crate) async fn start(environment: &[(&str, &str)]) -> Self {
        let home = scratch("embedded");
        let mut command = Command::new(env!("CARGO_BIN_EXE_hobnob"));
        // A developer's own settings would make it another gateway.
        let foreign = std::env::vars_os().map(|(name, _)| name);
        for name in foreign.filter(|name| name.to_string_lossy().starts_with("HOBNOB_")) {
            command.env_remove(name);
        }
        command
            .env("HOBNOB_LISTEN", "127.0.0.1:0")
            .env("HOBNOB_ADMIN_LISTEN", "127.0.0.1:0")
            .env("HOBNOB_DATA_DIR", home.path().join("data"))
            .env("HOBNOB_LOG_FORMAT", "json")
            .envs(environment.iter().copied())
            .current_dir(home.path());
        let process = Leashed::start(home.path(), &command);
        let address = address(&process, &home.path().join("output.log")).await;
        Self {
            process,
            address,
            _home: home,
        }
    }

    /// A URL of it; `scheme` is `http` or `ws`.
    pub(crate) fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://{}{path}", self.address)
    }

    /// What a path answers, as text.
    pub(crate) async fn text(&self, path: &str) -> String {
        let answer = reqwest::get(self.url("http", path)).await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.text().await.unwrap()
    }

    /// Posts JSON; the answer must be a success.
    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Value {
        let request = Client::new().post(self.url("http", path)).json(body);
        let answer = request.bearer_auth(token).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    /// A new account.
    pub(crate) async fn register(&self, name: &str) -> Account {
        let body = json!({"username": name, "password": PASSWORD});
        let answer = self.post("/register", "", &body).await;
        let text = |field: &str| answer[field].as_str().unwrap().to_owned();
        Account {
            id: text("userId"),
            token: text("token"),
        }
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        signal(self.process.pid(), "TERM");
    }
}

/// Reads the log until it names the address for clients.
async fn address(process: &Leashed, log: &Path) -> String {
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        let is_running = process.is_running();
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let records = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut serving = records.filter(|record| record["message"] == "serving clients");
        if let Some(address) =
            serving.find_map(|record| Some(record["address"].as_str()?.to_owned()))
        {
            return address;
        }
        assert!(
            is_running && Instant::now() < deadline,
            "it does not serve: {text}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
