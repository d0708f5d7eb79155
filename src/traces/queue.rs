//! Between spans that ended and the collector: a bounded queue, and the task that exports what is in it. Whoever ends a
//! span never waits; what finds no room, or what the collector does not take in time, is dropped and counted.
//!
//! Of our own, since the library's counts nothing and sleeps in a thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter as _, SpanProcessor};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::client::CollectorClient;
use super::settings::{InvalidSetting, TraceSettings};
use crate::metrics::Metrics;

/// How many spans are on their way: in the queue, or in a request.
#[derive(Debug)]
struct Count {
    waiting: AtomicUsize,
    metrics: Metrics,
}

impl Count {
    fn exported(&self, spans: usize) {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        self.metrics.spans_exported.increment(spans as u64);
    }

    fn dropped(&self, spans: usize) {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        self.metrics.spans_dropped.increment(spans as u64);
    }
}

/// The end of the queue where spans go in.
#[derive(Debug)]
pub(super) struct Processor {
    queue: mpsc::Sender<SpanData>,
    count: Arc<Count>,
}

impl SpanProcessor for Processor {
    fn on_start(&self, _span: &mut Span, _context: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        self.count.waiting.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send(span).is_err() {
            self.count.dropped(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    /// [`Export::close`] is what waits; this is called when the last tracer goes, perhaps on a thread that must not.
    fn shutdown_with_timeout(&self, _limit: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// A handle of the task that exports spans, to end it.
#[derive(Debug)]
pub(super) struct Export {
    task: Mutex<Option<JoinHandle<()>>>,
    stop: CancellationToken,
    count: Arc<Count>,
}

/// Starts the task, which connects when there is something to export.
pub(super) fn start(
    settings: &TraceSettings,
    resource: &Resource,
    metrics: &Metrics,
) -> Result<(Processor, Export), InvalidSetting> {
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(CollectorClient)
        .build()
        .map_err(|error| InvalidSetting::new("OTEL_EXPORTER_OTLP_ENDPOINT", error.to_string()))?;
    exporter.set_resource(resource);
    let (queue, spans) = mpsc::channel(settings.queue);
    let count = Arc::new(Count {
        waiting: AtomicUsize::new(0),
        metrics: metrics.clone(),
    });
    let stop = CancellationToken::new();
    let exporting = SpanExportTask {
        exporter,
        settings: settings.clone(),
        spans,
        stop: stop.clone(),
        count: Arc::clone(&count),
        is_failing: false,
    };
    let export = Export {
        task: Mutex::new(Some(tokio::spawn(exporting.run()))),
        stop,
        count: Arc::clone(&count),
    };
    Ok((Processor { queue, count }, export))
}

impl Export {
    /// Exports what is waiting, for at most so long. Spans that end later are dropped.
    pub(super) async fn close(&self, limit: Duration) {
        self.stop.cancel();
        let Some(mut task) = self.task.lock().take() else {
            return;
        };
        if timeout(limit, &mut task).await.is_err() {
            task.abort();
            let left = self.count.waiting.load(Ordering::Relaxed);
            self.count.dropped(left);
            tracing::warn!(spans = left, "the collector did not take the last spans");
        }
    }
}

struct SpanExportTask {
    exporter: SpanExporter,
    settings: TraceSettings,
    spans: mpsc::Receiver<SpanData>,
    stop: CancellationToken,
    count: Arc<Count>,
    is_failing: bool,
}

impl SpanExportTask {
    async fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled(), if !self.spans.is_closed() => {
                    self.spans.close();
                    continue;
                }
                taken = self.spans.recv_many(&mut batch, self.settings.batch) => {
                    if taken == 0 {
                        return;
                    }
                }
            }
            self.wait_for_more(&mut batch).await;
            self.export(std::mem::take(&mut batch)).await;
        }
    }

    /// Fills the batch until it is full, or its first span has waited long enough, or the gateway stops.
    async fn wait_for_more(&mut self, batch: &mut Vec<SpanData>) {
        let due = Instant::now() + self.settings.delay;
        while batch.len() < self.settings.batch {
            let room = self.settings.batch - batch.len();
            let more = timeout_at(due, self.spans.recv_many(batch, room));
            match self.stop.run_until_cancelled(more).await {
                Some(Ok(taken)) if taken > 0 => {}
                _ => return,
            }
        }
    }

    async fn export(&mut self, batch: Vec<SpanData>) {
        let spans = batch.len();
        let failure = match timeout(self.settings.limit, self.exporter.export(batch)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer in time".to_owned()),
        };
        let was_failing = std::mem::replace(&mut self.is_failing, failure.is_some());
        match failure {
            None => {
                self.count.exported(spans);
                if was_failing {
                    tracing::info!("the collector takes spans again");
                }
            }
            Some(cause) => {
                self.count.dropped(spans);
                // Once, not for every batch: the metric goes on counting.
                if !was_failing {
                    tracing::warn!(cause, spans, "the collector does not take spans");
                }
            }
        }
    }
}
