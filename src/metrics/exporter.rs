//! Renders the metrics in Prometheus' text format, with what is known only when somebody asks: the process, the
//! runtime, and what the samplers look at.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use metrics::Label;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::{Instant, MissedTickBehavior};

use super::Metrics;
use super::handles::{Handles, Make, SharedRecorder};
use super::process::{Reading, open_file_limit};
use super::table::{self, MetricKind};

/// How often histograms are drained into their buckets; without it their memory grows with every sample.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// How often it is looked at how late a timer fires.
const LAG_INTERVAL: Duration = Duration::from_millis(250);

/// See the module's documentation. Cheap to clone.
#[derive(Clone)]
pub struct Exporter {
    handle: PrometheusHandle,
    metrics: Metrics,
}

impl Metrics {
    /// Metrics, and what renders them.
    ///
    /// # Errors
    /// Never with the buckets of the table.
    pub fn exported() -> Result<(Self, Exporter), BuildError> {
        let mut builder = PrometheusBuilder::new().set_buckets(table::SECONDS)?;
        for (name, kind, _) in table::METRICS {
            if *kind == MetricKind::Numbers {
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

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exporter")
    }
}

impl Exporter {
    /// The text, as of now.
    #[must_use]
    pub fn render(&self) -> String {
        self.metrics.run_samplers();
        let reading = Reading::take();
        self.sample_process(&reading);
        let busy = self.sample_runtime();
        let mut text = self.handle.render();
        append_seconds(&mut text, table::CPU, reading.cpu_seconds);
        append_seconds(&mut text, table::RUNTIME_BUSY, busy);
        text
    }

    /// Keeps the histograms small and the runtime watched, for ever: drop it to stop.
    pub async fn upkeep(self) {
        let mut ticks = tokio::time::interval(LAG_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut drained = Instant::now();
        loop {
            let due = ticks.tick().await;
            let late = Instant::now().duration_since(due);
            self.metrics.runtime_lag_seconds.record(late);
            if drained.elapsed() >= UPKEEP_INTERVAL {
                drained = Instant::now();
                self.handle.run_upkeep();
            }
        }
    }

    fn sample_process(&self, reading: &Reading) {
        let numbers = [
            (table::MEMORY, reading.memory_bytes),
            (table::VIRTUAL_MEMORY, reading.virtual_bytes),
            (table::OPEN_FILES, reading.open_files),
            (table::MOST_FILES, open_file_limit()),
            (table::THREADS, reading.threads),
        ];
        for (name, number) in numbers {
            self.set(name, number.map(|number| number as f64));
        }
        self.set(table::START_TIME, reading.started_seconds);
    }

    /// Outside a runtime there is nothing to say. Returns the workers' busy seconds.
    fn sample_runtime(&self) -> Option<f64> {
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        let runtime = runtime.metrics();
        let workers = runtime.num_workers();
        self.set(table::RUNTIME_WORKERS, Some(workers as f64));
        self.set(table::RUNTIME_TASKS, Some(runtime.num_alive_tasks() as f64));
        self.set(
            table::RUNTIME_QUEUE,
            Some(runtime.global_queue_depth() as f64),
        );
        let busy = (0..workers).map(|worker| runtime.worker_total_busy_duration(worker));
        Some(busy.sum::<Duration>().as_secs_f64())
    }

    fn set(&self, name: &'static str, value: Option<f64>) {
        if let Some(value) = value {
            Make(&self.metrics.recorder).gauge(name).set(value);
        }
    }
}

/// A counter of fractions, which the recorder's counters cannot be.
fn append_seconds(text: &mut String, name: &str, seconds: Option<f64>) {
    let row = table::METRICS.iter().find(|(known, ..)| *known == name);
    if let (Some(seconds), Some((.., help))) = (seconds, row) {
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "# HELP {name} {help}\n# TYPE {name} counter\n{name} {seconds}\n\n"
        );
    }
}
