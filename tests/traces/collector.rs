//! A double of an OpenTelemetry collector: takes OTLP over HTTP, decodes it, and keeps the spans. Or takes requests and
//! never answers.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use parking_lot::Mutex;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::until;

/// A span, with what its gateway says of itself.
#[derive(Debug, Clone)]
pub(super) struct Exported {
    pub(super) service: String,
    pub(super) instance: String,
    pub(super) name: String,
    pub(super) trace: Vec<u8>,
    pub(super) span: Vec<u8>,
    pub(super) parent: Vec<u8>,
    /// Traces and spans that it is linked to.
    pub(super) links: Vec<(Vec<u8>, Vec<u8>)>,
    /// Attributes as text, in order of their names.
    pub(super) attributes: Vec<(String, String)>,
    pub(super) took_nanos: i128,
}

impl Exported {
    /// An attribute; empty when there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Collector {
    port: u16,
    spans: Arc<Mutex<Vec<Exported>>>,
    requests: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Kept {
    spans: Arc<Mutex<Vec<Exported>>>,
    requests: Arc<Mutex<usize>>,
    hangs: bool,
}

impl Collector {
    pub(super) async fn start() -> Self {
        Self::serve(false).await
    }

    /// One that takes requests and never answers.
    pub(super) async fn hanging() -> Self {
        Self::serve(true).await
    }

    async fn serve(hangs: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept = Kept {
            spans: Arc::default(),
            requests: Arc::default(),
            hangs,
        };
        let (spans, requests) = (Arc::clone(&kept.spans), Arc::clone(&kept.requests));
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(kept);
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            port,
            spans,
            requests,
            task,
        }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many requests came.
    pub(super) fn requests(&self) -> usize {
        *self.requests.lock()
    }

    /// All spans so far.
    pub(super) fn all(&self) -> Vec<Exported> {
        self.spans.lock().clone()
    }

    /// The spans of the message at this place, so far.
    fn so_far_of(&self, conversation: &str, seq: u64) -> Vec<Exported> {
        let seq = seq.to_string();
        let is_meant = |span: &&Exported| {
            span.get("hobnob.conversation.id") == conversation && span.get("hobnob.seq") == seq
        };
        self.spans.lock().iter().filter(is_meant).cloned().collect()
    }

    /// The same once there are so many.
    pub(super) async fn spans_of(
        &self,
        conversation: &str,
        seq: u64,
        least: usize,
    ) -> Vec<Exported> {
        until(&format!("{least} spans"), async || {
            let found = self.so_far_of(conversation, seq);
            let is_enough = found.len() >= least;
            is_enough.then_some(found).ok_or_else(|| self.all())
        })
        .await
    }

    /// The spans of a message whose spans are whole. Says one after the other until that is so, since who has just joined
    /// may still read the log, where deliveries have no spans. `say` returns the seq.
    pub(super) async fn live(
        &self,
        conversation: &str,
        say: impl AsyncFn() -> u64,
        is_whole: impl Fn(&[Exported]) -> bool,
    ) -> Vec<Exported> {
        let mut said = Vec::new();
        until("a message whose spans are whole", async || {
            said.push(say().await);
            // Time to export, so that not too much is said.
            tokio::time::sleep(Duration::from_millis(200)).await;
            let mut found = said.iter().map(|seq| self.so_far_of(conversation, *seq));
            found
                .find(|spans| is_whole(spans))
                .ok_or_else(|| self.all())
        })
        .await
    }
}

async fn take(State(kept): State<Kept>, headers: HeaderMap, body: Bytes) -> StatusCode {
    *kept.requests.lock() += 1;
    if kept.hangs {
        return std::future::pending().await;
    }
    if headers[CONTENT_TYPE] != "application/x-protobuf" {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE;
    }
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    for of_resource in request.resource_spans {
        let resource = texts(of_resource.resource.unwrap_or_default().attributes);
        let own = |name: &str| {
            let found = resource.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let spans = of_resource.scope_spans.into_iter();
        kept.spans
            .lock()
            .extend(spans.flat_map(|scope| scope.spans).map(|span| {
                Exported {
                    service: own("service.name"),
                    instance: own("service.instance.id"),
                    name: span.name,
                    trace: span.trace_id,
                    span: span.span_id,
                    parent: span.parent_span_id,
                    links: span
                        .links
                        .into_iter()
                        .map(|link| (link.trace_id, link.span_id))
                        .collect(),
                    attributes: texts(span.attributes),
                    took_nanos: i128::from(span.end_time_unix_nano)
                        - i128::from(span.start_time_unix_nano),
                }
            }));
    }
    StatusCode::OK
}

fn texts(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(is)) => is.to_string(),
        other => format!("{other:?}"),
    };
    let all = attributes.into_iter();
    all.map(|attribute| (attribute.key, text(attribute.value)))
        .collect()
}
