//! Metrics: handles that the parts of the gateway count with, and their rendering for Prometheus. Knows no part.
//!
//! A recorder belongs to one [`Metrics`], not to the process, so that several gateways in one process (tests) count
//! apart. Handles are kept: using one costs about 10 ns, looking one up about 70.

mod exporter;
mod groups;
mod handles;
mod process;
mod table;
#[cfg(test)]
mod tests;

use std::ops::Deref;
use std::sync::Arc;

use metrics::NoopRecorder;

pub use exporter::Exporter;
pub use groups::{
    ByProtocol, ByTransport, ConnectionMetrics, Dependency, Hints, RefusedClients, RefusedHints,
};
pub use handles::Handles;
pub use process::{open_file_count, open_file_limit};

/// The metrics of one gateway. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Handles>);

impl Deref for Metrics {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.0
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Metrics nobody reads, for tests and tools.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::new(Handles::new(Arc::new(NoopRecorder))))
    }
}
