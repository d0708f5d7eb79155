//! How spans are made and where they go. Knows no message.

use std::time::SystemTime;

use opentelemetry::trace::{SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};

use super::context::TraceContext;
use super::queue::Export;

/// How ended spans reach the collector: their queue and its client.
#[derive(Debug)]
pub(super) struct Exporting {
    pub(super) tracer: SdkTracer,
    pub(super) export: Export,
    /// Keeps the tracer alive: one whose provider has gone makes no spans.
    pub(super) _provider: SdkTracerProvider,
}

impl Exporting {
    /// Begins a span; none when the sampler does not want it.
    pub(super) fn begin(
        &self,
        name: &'static str,
        kind: SpanKind,
        since: SystemTime,
        attributes: Vec<KeyValue>,
        parent: Option<TraceContext>,
    ) -> Option<Span> {
        use opentelemetry::trace::Span as _;
        let builder = self
            .tracer
            .span_builder(name)
            .with_kind(kind)
            .with_start_time(since)
            .with_attributes(attributes);
        let parent = match parent {
            Some(parent) => Context::new().with_remote_span_context(parent.to_span_context()),
            None => Context::new(),
        };
        let span = self.tracer.build_with_context(builder, &parent);
        span.is_recording().then_some(span)
    }

    /// A span that ends now.
    pub(super) fn finish(
        &self,
        name: &'static str,
        kind: SpanKind,
        since: SystemTime,
        attributes: Vec<KeyValue>,
        parent: TraceContext,
    ) {
        // Dropping it ends it.
        let _ = self.begin(name, kind, since, attributes, Some(parent));
    }
}

/// Spans of several machines are put side by side: they have the time of day, in more than the milliseconds of our
/// clock.
pub(super) fn now() -> SystemTime {
    opentelemetry::time::now()
}
