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

use metrics::{Label, NoopRecorder};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};

pub use exporter::Exporter;
pub use groups::{ByProtocol, ByTransport, Connections, Dependency, Hints, Refused, RefusedHints};
pub use handles::Handles;
pub use process::{open_file_count, open_file_limit};

use handles::{Make, SharedRecorder};
use table::Kind;

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

    /// Metrics, and what renders them.
    ///
    /// # Errors
    /// Never with the buckets of the table.
    pub fn exported() -> Result<(Self, Exporter), BuildError> {
        let mut builder = PrometheusBuilder::new().set_buckets(table::SECONDS)?;
        for (name, kind, _) in table::METRICS {
            if *kind == Kind::Numbers {
                let of = Matcher::Full((*name).to_owned());
                builder = builder.set_buckets_for_metric(of, table::NUMBERS)?;
            }
        }
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        let recorder: SharedRecorder = Arc::new(recorder);
        let make = Make(&recorder);
        make.descriptions();
        let version = Label::from_static_parts("version", env!("CARGO_PKG_VERSION"));
        make.gauge_with(table::BUILD_INFO, vec![version]).set(1.0);
        let metrics = Self(Arc::new(Handles::new(Arc::clone(&recorder))));
        let exporter = Exporter {
            handle,
            metrics: metrics.clone(),
        };
        Ok((metrics, exporter))
    }
}
