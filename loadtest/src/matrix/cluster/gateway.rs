//! One gateway as a process: its life and its log. Knows not what runs in it.

use std::time::Duration;

use tempfile::TempDir;

use super::leash::{Leashed, free_port};
use super::program::{Program, Settings};
use super::until::wait_until;
use crate::Invalid;

/// One gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    process: Option<Leashed>,
    program: Program,
    settings: Settings,
    directory: TempDir,
}

impl Gateway {
    pub(crate) fn new(
        program: Program,
        redis_port: u16,
        mongodb_uri: String,
        drain_grace: Duration,
    ) -> Result<Self, Invalid> {
        Ok(Self {
            process: None,
            program,
            settings: Settings {
                port: free_port()?,
                admin_port: free_port()?,
                redis_url: format!("redis://127.0.0.1:{redis_port}"),
                mongodb_uri,
                drain_grace,
            },
            directory: tempfile::Builder::new()
                .prefix("hobnob-load-gateway-")
                .tempdir()?,
        })
    }

    pub(crate) const fn port(&self) -> u16 {
        self.settings.port
    }

    pub(crate) fn admin(&self) -> String {
        format!("http://127.0.0.1:{}", self.settings.admin_port)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Leashed::pid)
    }

    /// Uses another way to MongoDB from its next start on; returns the present one.
    pub(crate) fn set_mongodb_uri(&mut self, uri: String) -> String {
        std::mem::replace(&mut self.settings.mongodb_uri, uri)
    }

    /// Starts it, if it does not run.
    pub(crate) fn launch(&mut self) -> Result<(), Invalid> {
        let command = self.program.command(&self.settings);
        self.process = Some(Leashed::start(self.directory.path(), &command)?);
        Ok(())
    }

    /// Waits until it takes clients.
    pub(crate) async fn ready(&self) -> Result<(), Invalid> {
        let url = self.program.readiness(&self.settings);
        let is_ready = async || {
            let answer = reqwest::get(&url).await;
            answer.is_ok_and(|answer| answer.status().is_success()) || !self.is_running()
        };
        let mut outcome = wait_until("a gateway did not become ready", is_ready).await;
        if !self.is_running() {
            outcome = Err(Invalid("a gateway ended".to_owned()));
        }
        outcome.map_err(|Invalid(why)| Invalid(format!("{why}: {}", self.last_output())))
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn signal(&self, name: &str) -> Result<(), Invalid> {
        match &self.process {
            Some(process) => process.signal(name),
            None => Err(Invalid("the gateway was killed".to_owned())),
        }
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&self) -> Result<(), Invalid> {
        let is_over = async || !self.is_running();
        wait_until("a gateway did not drain in time", is_over).await
    }

    fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(Leashed::is_running)
    }

    fn last_output(&self) -> String {
        let log = std::fs::read_to_string(self.directory.path().join("output.log"));
        let log = log.unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(3).collect();
        lines.join(" | ")
    }

    /// Copies its log to a directory, under a name.
    pub(crate) fn keep_log(&self, directory: &std::path::Path, name: &str) -> Result<(), Invalid> {
        std::fs::create_dir_all(directory)?;
        let to = directory.join(format!("{name}.log"));
        std::fs::copy(self.directory.path().join("output.log"), to)?;
        Ok(())
    }
}
