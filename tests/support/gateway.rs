//! Real gateway processes: the program of this very build, over real servers or on the embedded store.
//!
//! Knows how a gateway is configured, started, drained and killed; refuses to know what clients say to it.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::leash::{Leashed, START_DEADLINE, free_port, scratch, signal};

/// One gateway. Dropping it kills the process.
pub(crate) struct Gateway {
    process: Option<Leashed>,
    settings: Vec<(String, String)>,
    port: u16,
    admin_port: u16,
    directory: TempDir,
}

impl Gateway {
    /// Starts a gateway over Redis and MongoDB, and waits until it is ready. `settings` are further `HOBNOB_*`
    /// variables. All gateways of the tests share one token secret.
    pub(crate) async fn start(
        redis_url: &str,
        mongodb_uri: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let backends = [
            ("HOBNOB_REDIS_URL", redis_url),
            ("HOBNOB_MONGODB_URI", mongodb_uri),
            (
                "HOBNOB_JWT_SECRET",
                "a secret of the tests that all gateways know",
            ),
        ];
        Self::start_with([&backends, settings].concat()).await
    }

    /// Starts a gateway on an embedded store of its own, which `restart` keeps.
    pub(crate) async fn start_embedded(settings: &[(&str, &str)]) -> Self {
        Self::start_with(settings.to_vec()).await
    }

    async fn start_with(settings: Vec<(&str, &str)>) -> Self {
        let settings = settings
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut gateway = Self {
            process: None,
            settings: settings.collect(),
            port: 0,
            admin_port: 0,
            directory: scratch("gateway"),
        };
        for _ in 0..5 {
            (gateway.port, gateway.admin_port) = (free_port(), free_port());
            gateway.launch();
            // Another process may have taken a port in between: then this one exits at once.
            if gateway.becomes_ready().await {
                return gateway;
            }
        }
        panic!("the gateway does not become ready:\n{}", gateway.log());
    }

    /// Where clients connect: `http://127.0.0.1:port`.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Health and metrics: `http://127.0.0.1:port`.
    pub(crate) fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.admin_port)
    }

    /// The process id.
    ///
    /// # Panics
    /// When it has ended.
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("a running gateway").pid()
    }

    /// Everything it has logged, over all its lives.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("output.log")).unwrap_or_default()
    }

    /// `kill -9`; returns when the process is gone.
    pub(crate) fn kill9(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill9();
        }
    }

    /// Freezes the process (SIGSTOP): its connections stay open, nothing answers.
    pub(crate) fn stop(&self) {
        signal(self.pid(), "STOP");
    }

    /// Lets a frozen process go on (SIGCONT).
    pub(crate) fn cont(&self) {
        signal(self.pid(), "CONT");
    }

    /// SIGTERM; returns the exit status when it has drained.
    pub(crate) async fn terminate(&mut self) -> i32 {
        let process = self.process.take().expect("a running gateway");
        process.terminate(START_DEADLINE).await
    }

    /// Kills the gateway if it still runs, and starts it again on the same ports.
    pub(crate) async fn restart(&mut self) {
        self.kill9();
        self.launch();
        assert!(
            self.becomes_ready().await,
            "the gateway does not come back:\n{}",
            self.log()
        );
    }

    /// POSTs JSON without a token and returns the answer.
    ///
    /// # Panics
    /// When the gateway refuses it.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let request = reqwest::Client::new().post(self.url() + path).json(body);
        let answer = request.send().await.expect("the gateway answers");
        let status = answer.status();
        let body: Value = answer.json().await.expect("a JSON answer");
        assert!(status.is_success(), "POST {path}: {status} {body}");
        body
    }

    fn launch(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hobnob"));
        // Unknown settings are errors, and known ones of the developer's shell would change the tests.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HOBNOB_")) {
            command.env_remove(name);
        }
        command
            .env("HOBNOB_LISTEN", format!("127.0.0.1:{}", self.port))
            .env(
                "HOBNOB_ADMIN_LISTEN",
                format!("127.0.0.1:{}", self.admin_port),
            )
            .env("HOME", self.directory.path())
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .current_dir(self.directory.path());
        self.process = Some(Leashed::start(self.directory.path(), &command));
    }

    async fn becomes_ready(&self) -> bool {
        let started = Instant::now();
        let process = self.process.as_ref().expect("launched");
        while process.is_running() && started.elapsed() < START_DEADLINE {
            let answer = reqwest::get(self.admin_url() + "/readyz").await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_gateway_freezes_dies_and_comes_back_on_its_ports() {
        let mut gateway = Gateway::start_embedded(&[]).await;
        let (url, first) = (gateway.url(), gateway.pid());
        gateway.stop();
        let impatient = reqwest::Client::builder()
            .timeout(Duration::from_millis(200))
            .build()
            .unwrap();
        let asked = impatient.get(gateway.admin_url() + "/livez").send().await;
        assert!(asked.is_err_and(|error| error.is_timeout()));
        gateway.cont();
        assert!(
            reqwest::get(gateway.admin_url() + "/livez")
                .await
                .unwrap()
                .status()
                .is_success()
        );

        gateway.kill9();
        assert!(reqwest::get(gateway.admin_url() + "/livez").await.is_err());
        gateway.restart().await;
        assert_ne!(gateway.pid(), first);
        assert_eq!(gateway.url(), url);
    }
}
