//! Whether this gateway should be given new clients: a registry of named checks. Knows no check's meaning.
//!
//! A fault of this gateway alone makes it unready. A fault all gateways share (Redis or MongoDB away) only degrades
//! it: taking every gateway out of service would turn a slow hour into an outage.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use super::Liveness;
use crate::metrics::Metrics;

/// What a check finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// All is well.
    Well,
    /// Something all gateways share is not well: stay in service, and say so.
    Degraded(String),
    /// Something of this gateway is not well: no new clients.
    Failed(String),
}

type Check = Box<dyn Fn() -> Health + Send + Sync>;

/// The checks, and where in its life the process is.
pub struct Readiness {
    started: AtomicBool,
    draining: AtomicBool,
    checks: RwLock<Vec<(&'static str, Check)>>,
    metrics: Metrics,
    liveness: Liveness,
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.report().fmt(f)
    }
}

/// What all checks find at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Each check's name and finding, in the order they were added.
    pub checks: Vec<(&'static str, Health)>,
}

impl Report {
    /// Whether no check has failed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self
            .checks
            .iter()
            .any(|(_, health)| matches!(health, Health::Failed(_)))
    }

    /// `ready`, `degraded` or `unready`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        let well = self
            .checks
            .iter()
            .all(|(_, health)| *health == Health::Well);
        match (self.is_ready(), well) {
            (false, _) => "unready",
            (true, false) => "degraded",
            (true, true) => "ready",
        }
    }
}

impl Readiness {
    /// Of a process that has not started serving.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        metrics.ready.set(0.0);
        Self {
            started: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            checks: RwLock::new(Vec::new()),
            liveness: Liveness::new(metrics.clone()),
            metrics,
        }
    }

    /// Whether the process works at all.
    #[must_use]
    pub const fn liveness(&self) -> &Liveness {
        &self.liveness
    }

    /// Adds a check. It runs at every question, so it only looks at what is known already, and never waits.
    pub fn check(&self, name: &'static str, check: impl Fn() -> Health + Send + Sync + 'static) {
        self.checks.write().push((name, Box::new(check)));
    }

    /// The process serves clients now.
    pub fn set_started(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// The process is stopping: no new clients from now on.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
        self.metrics.draining.set(1.0);
    }

    /// Whether the process is stopping.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Runs every check.
    #[must_use]
    pub fn report(&self) -> Report {
        let life = [
            (
                "started",
                verdict(self.started.load(Ordering::Acquire), "still starting"),
            ),
            ("draining", verdict(!self.is_draining(), "stopping")),
        ];
        let checks = self.checks.read();
        let found = checks.iter().map(|(name, check)| (*name, check()));
        let report = Report {
            checks: life.into_iter().chain(found).collect(),
        };
        self.metrics
            .ready
            .set(if report.is_ready() { 1.0 } else { 0.0 });
        report
    }
}

fn verdict(well: bool, otherwise: &str) -> Health {
    if well {
        Health::Well
    } else {
        Health::Failed(otherwise.to_owned())
    }
}
