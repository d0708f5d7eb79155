//! Traces: what became of one message, as spans for an OpenTelemetry collector. Off unless `OTEL_*` variables say where to
//! export; then a message that is not sampled, like every message while traces are off, costs one look at an `Option`.
//!
//! A message's spans are `message receive`, its children `message store` and `message publish`, and below the latter one
//! `message deliver` for each gateway with sessions in the conversation; the envelope carries the place between gateways.
//! Spans say which conversation and seq, never what was written or by whom. Knows nothing of how a message travels.

mod client;
mod context;
mod exporting;
mod queue;
mod settings;
mod spans;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, TracerProvider};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::domain::SessionId;
use crate::metrics::Metrics;

pub use context::{TRACE_PARENT, TraceContext};
use exporting::{Exporting, now};
pub use settings::{InvalidSetting, TraceSettings};
pub use spans::{DeliveryAttributes, Publishing, Receiving, Storing, Trace, Traced};

/// The traces of one gateway. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Exporting>>);

impl Traces {
    /// Nothing is sampled or exported.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// Exports as the settings say, or not at all without any. Connects to nothing yet.
    ///
    /// # Errors
    /// When the exporter cannot be made of the settings.
    pub fn start(
        settings: Option<&TraceSettings>,
        gateway: &str,
        metrics: &Metrics,
    ) -> Result<Self, InvalidSetting> {
        let Some(settings) = settings else {
            return Ok(Self::off());
        };
        let resource = resource(settings, gateway);
        let (processor, export) = queue::start(settings, &resource, metrics)?;
        // The sampler, and the limits of spans, are read from `OTEL_*` variables by the library.
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_span_processor(processor)
            .build();
        Ok(Self(Some(Arc::new(Exporting {
            tracer: provider.tracer("hobnob"),
            export,
            _provider: provider,
        }))))
    }

    /// Whether messages are traced at all.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A message is being received over this protocol, by this session if it came over one; `client` is where the
    /// client's own trace is. None when it is not sampled: that is for our sampler to say, so the trace is a new one, with
    /// a link to the client's. As its child, it would be sampled at any stranger's word.
    #[must_use]
    pub fn receive(
        &self,
        protocol: &'static str,
        session: Option<SessionId>,
        client: Option<TraceContext>,
    ) -> Option<Receiving> {
        use opentelemetry::trace::Span as _;
        let exporting = self.0.as_ref()?;
        let mut attributes = vec![KeyValue::new("hobnob.protocol", protocol)];
        attributes
            .extend(session.map(|session| KeyValue::new("hobnob.session.id", session.to_string())));
        let kind = SpanKind::Server;
        let mut span = exporting.begin("message receive", kind, now(), attributes, None)?;
        if let Some(client) = client {
            span.add_link(client.to_span_context(), Vec::new());
        }
        Some(Receiving::new(Arc::clone(exporting), span))
    }

    /// A message that another gateway is receiving has got its place in its conversation's queue here.
    #[must_use]
    pub fn store(&self, context: TraceContext) -> Option<Storing> {
        let exporting = self.0.as_ref()?;
        Some(Storing::continued(Arc::clone(exporting), context))
    }

    /// A traced event was given to sessions of this gateway.
    pub fn deliver(&self, delivered: &Traced, attributes: &DeliveryAttributes) {
        if let Some(exporting) = &self.0 {
            exporting.finish(
                "message deliver",
                SpanKind::Consumer,
                delivered.since,
                attributes.list(),
                delivered.context,
            );
        }
    }

    /// Exports what is waiting, for at most so long; what is left then is counted as dropped.
    pub async fn close(&self, limit: Duration) {
        if let Some(exporting) = &self.0 {
            exporting.export.close(limit).await;
        }
    }
}

/// Who exports: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` over what we know ourselves.
fn resource(settings: &TraceSettings, gateway: &str) -> Resource {
    let ours = [
        KeyValue::new("service.name", "hobnob"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", gateway.to_owned()),
    ];
    let builder = Resource::builder_empty()
        .with_attributes(ours)
        .with_detector(Box::new(EnvResourceDetector::new()));
    match &settings.service_name {
        Some(name) => builder.with_service_name(name.clone()).build(),
        None => builder.build(),
    }
}
