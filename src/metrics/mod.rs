//! Metrics: handles that the parts of the gateway count with, and their rendering for Prometheus. Knows no part.
//!
//! A recorder belongs to one [`Metrics`], not to the process, so that several gateways in one process (tests) count
//! apart. Handles are kept: using one costs about 10 ns, looking one up about 70.

mod process;
mod table;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, NoopRecorder, Recorder,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

pub use process::open_file_limit;
use table::Kind;

/// How often histograms are drained into their buckets; without it their memory grows with every sample.
pub const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

static METADATA: Metadata<'static> = Metadata::new("hobnob", Level::INFO, None);

type SharedRecorder = Arc<dyn Recorder + Send + Sync>;

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

/// One handle per protocol that clients speak.
#[derive(Debug)]
pub struct ByProtocol<T> {
    /// Socket.IO over a WebSocket.
    pub socketio: T,
    /// Socket.IO over long-polling.
    pub polling: T,
    /// Plain JSON over a WebSocket.
    pub websocket: T,
    /// REST.
    pub rest: T,
}

/// What is counted. `src/metrics/table.rs` says what each means.
#[expect(missing_docs, reason = "the table documents the metrics, once")]
pub struct Handles {
    recorder: SharedRecorder,
    pub ready: Gauge,
    pub connections_open: Gauge,
    pub connections_refused: Counter,
    pub sessions: ByProtocol<Gauge>,
    pub slow_consumers: Counter,
    pub topics: Gauge,
    pub messages_in: ByProtocol<Counter>,
    pub deliveries_out: ByProtocol<Counter>,
    /// In seconds.
    pub send_seconds: Histogram,
    /// In seconds.
    pub commit_seconds: Histogram,
    /// In events.
    pub commit_batch: Histogram,
    pub append_conflicts: Counter,
    pub unknown_outcomes: Counter,
    pub unknown_held: Gauge,
    pub retries_recognised: Counter,
    pub topic_gaps: Counter,
    /// In seconds.
    pub resync_seconds: Histogram,
    pub bus_published: Counter,
    pub bus_received: Counter,
    pub bus_dropped: Counter,
    pub heads_republished: Counter,
    pub cursor_moves: Counter,
    pub leases_lost: Counter,
}

impl Handles {
    /// A session ended; the reason is one of the table of close codes.
    pub fn session_closed(&self, reason: &'static str) {
        counter(
            &self.recorder,
            table::CLOSED,
            vec![Label::from_static_parts("reason", reason)],
        )
        .increment(1);
    }

    /// A request was answered with this error code.
    pub fn request_failed(&self, code: &'static str) {
        let labels = vec![Label::from_static_parts("code", code)];
        counter(&self.recorder, table::REQUESTS_FAILED, labels).increment(1);
    }

    /// Hints may have been lost, for this reason.
    pub fn gap(&self, reason: &'static str) {
        counter(
            &self.recorder,
            table::GAPS,
            vec![Label::from_static_parts("reason", reason)],
        )
        .increment(1);
    }

    /// A resync ended: `done`, or how else.
    pub fn resynced(&self, outcome: &'static str, took: Duration) {
        let labels = vec![Label::from_static_parts("outcome", outcome)];
        counter(&self.recorder, table::RESYNCS, labels).increment(1);
        self.resync_seconds.record(took);
    }

    /// An HTTP request was answered. The route is the router's pattern, never the path, so that labels stay few.
    pub fn http_request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let labels = vec![
            Label::new("method", method.to_owned()),
            Label::new("route", route.to_owned()),
            Label::new("status", status.to_string()),
        ];
        let key = Key::from_parts(table::HTTP_SECONDS, labels);
        self.recorder
            .register_histogram(&key, &METADATA)
            .record(took);
    }
}

impl Metrics {
    /// Metrics nobody reads, for tests and tools.
    #[must_use]
    pub fn none() -> Self {
        Self::over(Arc::new(NoopRecorder))
    }

    /// Metrics, and what renders them.
    ///
    /// # Errors
    /// Never with the buckets of the table.
    pub fn exported() -> Result<(Self, Exporter), BuildError> {
        let batch = Matcher::Full(table::COMMIT_BATCH.to_owned());
        let recorder = PrometheusBuilder::new()
            .set_buckets(table::SECONDS)?
            .set_buckets_for_metric(batch, table::EVENTS)?
            .build_recorder();
        let handle = recorder.handle();
        let recorder: SharedRecorder = Arc::new(recorder);
        describe(&recorder);
        let version = Label::from_static_parts("version", env!("CARGO_PKG_VERSION"));
        gauge(&recorder, table::BUILD_INFO, vec![version]).set(1.0);
        let exporter = Exporter {
            handle,
            recorder: Arc::clone(&recorder),
        };
        Ok((Self::over(recorder), exporter))
    }

    fn over(recorder: SharedRecorder) -> Self {
        let count = |name| counter(&recorder, name, Vec::new());
        let measure = |name| gauge(&recorder, name, Vec::new());
        let distribute =
            |name| recorder.register_histogram(&Key::from_static_name(name), &METADATA);
        Self(Arc::new(Handles {
            ready: measure(table::READY),
            connections_open: measure(table::CONNECTIONS_OPEN),
            connections_refused: count(table::CONNECTIONS_REFUSED),
            sessions: by_protocol(|label| gauge(&recorder, table::SESSIONS, label)),
            slow_consumers: count(table::SLOW_CONSUMERS),
            topics: measure(table::TOPICS),
            messages_in: by_protocol(|label| counter(&recorder, table::MESSAGES_IN, label)),
            deliveries_out: by_protocol(|label| counter(&recorder, table::DELIVERIES_OUT, label)),
            send_seconds: distribute(table::SEND_SECONDS),
            commit_seconds: distribute(table::COMMIT_SECONDS),
            commit_batch: distribute(table::COMMIT_BATCH),
            append_conflicts: count(table::APPEND_CONFLICTS),
            unknown_outcomes: count(table::UNKNOWN_OUTCOMES),
            unknown_held: measure(table::UNKNOWN_HELD),
            retries_recognised: count(table::RETRIES_RECOGNISED),
            topic_gaps: count(table::HOLES),
            resync_seconds: distribute(table::RESYNC_SECONDS),
            bus_published: count(table::BUS_PUBLISHED),
            bus_received: count(table::BUS_RECEIVED),
            bus_dropped: count(table::BUS_DROPPED),
            heads_republished: count(table::HEADS_REPUBLISHED),
            cursor_moves: count(table::CURSOR_MOVES),
            leases_lost: count(table::LEASES_LOST),
            recorder,
        }))
    }
}

fn by_protocol<T>(register: impl Fn(Vec<Label>) -> T) -> ByProtocol<T> {
    let register = |protocol| register(vec![Label::from_static_parts("protocol", protocol)]);
    ByProtocol {
        socketio: register("socketio"),
        polling: register("socketio-polling"),
        websocket: register("websocket"),
        rest: register("rest"),
    }
}

fn counter(recorder: &SharedRecorder, name: &'static str, labels: Vec<Label>) -> Counter {
    recorder.register_counter(&Key::from_parts(name, labels), &METADATA)
}

fn gauge(recorder: &SharedRecorder, name: &'static str, labels: Vec<Label>) -> Gauge {
    recorder.register_gauge(&Key::from_parts(name, labels), &METADATA)
}

fn describe(recorder: &SharedRecorder) {
    for &(name, kind, help) in table::METRICS {
        let name = KeyName::from_const_str(name);
        match kind {
            Kind::Counter => recorder.describe_counter(name, None, help.into()),
            Kind::Gauge => recorder.describe_gauge(name, None, help.into()),
            Kind::Histogram => recorder.describe_histogram(name, None, help.into()),
        }
    }
}

/// Renders the metrics in Prometheus' text format.
#[derive(Clone)]
pub struct Exporter {
    handle: PrometheusHandle,
    recorder: SharedRecorder,
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exporter")
    }
}

impl Exporter {
    /// The text, with the process's figures as of now.
    #[must_use]
    pub fn render(&self) -> String {
        self.sample_process();
        self.handle.render()
    }

    /// Drains histograms every [`UPKEEP_INTERVAL`], for ever: drop it to stop.
    pub async fn upkeep(self) {
        let mut interval = tokio::time::interval(UPKEEP_INTERVAL);
        loop {
            interval.tick().await;
            self.handle.run_upkeep();
        }
    }

    fn sample_process(&self) {
        let reading = process::Reading::take();
        let set = |name, value: Option<u64>| {
            if let Some(value) = value {
                gauge(&self.recorder, name, Vec::new()).set(value as f64);
            }
        };
        set(table::MEMORY, reading.memory_bytes);
        set(table::OPEN_FILES, reading.open_files);
        set(table::MOST_FILES, open_file_limit());
        set(table::THREADS, reading.threads);
        let tasks =
            tokio::runtime::Handle::try_current().map(|handle| handle.metrics().num_alive_tasks());
        set(table::TASKS, tasks.ok().map(|tasks| tasks as u64));
        if let Some(seconds) = reading.cpu_seconds {
            counter(&self.recorder, table::CPU, Vec::new()).absolute(seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rendered_metric_is_in_the_table_and_explained() {
        let (metrics, exporter) = Metrics::exported().unwrap();
        metrics.session_closed("slow_consumer");
        metrics.request_failed("busy");
        metrics.gap("lagged");
        metrics.resynced("done", Duration::from_millis(3));
        metrics.http_request("GET", "/rooms/{id}", 200, Duration::from_millis(3));
        for histogram in [
            &metrics.send_seconds,
            &metrics.commit_seconds,
            &metrics.commit_batch,
        ] {
            histogram.record(3.0);
        }
        let text = exporter.render();
        let typed: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .collect();
        for name in &typed {
            assert!(
                table::METRICS.iter().any(|(known, ..)| known == name),
                "{name}"
            );
        }
        for (name, kind, help) in table::METRICS {
            // Tasks are known only inside a runtime.
            if *name == table::TASKS {
                continue;
            }
            assert!(typed.contains(name), "{name} is never registered");
            assert!(text.contains(&format!("# HELP {name} {help}")), "{name}");
            let kind = format!("{kind:?}").to_lowercase();
            assert!(
                text.contains(&format!("# TYPE {name} {kind}\n")),
                "{name} is no {kind}"
            );
            assert!(
                name.starts_with("hobnob_") || name.starts_with("process_"),
                "{name}"
            );
        }
        assert!(
            text.contains("hobnob_sessions_closed_total{reason=\"slow_consumer\"} 1"),
            "{text}"
        );
    }

    #[test]
    fn durations_and_batches_have_real_buckets() {
        let (metrics, exporter) = Metrics::exported().unwrap();
        metrics.send_seconds.record(Duration::from_millis(3));
        metrics.commit_batch.record(60.0);
        let text = exporter.render();
        assert!(
            text.contains("hobnob_send_seconds_bucket{le=\"0.002\"} 0"),
            "{text}"
        );
        assert!(
            text.contains("hobnob_send_seconds_bucket{le=\"0.005\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("hobnob_commit_batch_events_bucket{le=\"50\"} 0"),
            "{text}"
        );
        assert!(
            text.contains("hobnob_commit_batch_events_bucket{le=\"100\"} 1"),
            "{text}"
        );
    }

    #[test]
    fn metrics_of_two_gateways_are_apart_and_none_costs_nothing() {
        let (one, first) = Metrics::exported().unwrap();
        let (_two, second) = Metrics::exported().unwrap();
        one.messages_in.websocket.increment(3);
        Metrics::none().messages_in.websocket.increment(5);
        let line =
            |count: u32| format!("hobnob_messages_in_total{{protocol=\"websocket\"}} {count}\n");
        assert!(first.render().contains(&line(3)));
        assert!(second.render().contains(&line(0)));
    }
}
