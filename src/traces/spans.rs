//! The spans of one sampled message, each a value that is handed along with the message and ends where it does. They are
//! made of what a message passes anyway: nothing here looks anything up.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanKind, Status};
use opentelemetry_sdk::trace::Span;

use super::context::TraceContext;
use super::exporting::{Exporting, now};
use crate::domain::{ConversationId, Seq};

/// A sampled message's place in its trace, while it is on this gateway.
#[derive(Clone)]
pub struct Trace {
    exporting: Arc<Exporting>,
    context: TraceContext,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.context.fmt(f)
    }
}

/// A message is being received: until its answer is known.
#[derive(Debug)]
pub struct Receiving {
    trace: Trace,
    span: Span,
    is_answered: bool,
}

impl Receiving {
    pub(super) fn new(exporting: Arc<Exporting>, span: Span) -> Self {
        let context = TraceContext::of(span.span_context());
        Self {
            trace: Trace { exporting, context },
            span,
            is_answered: false,
        }
    }

    /// The message has got its place in its conversation's queue.
    #[must_use]
    pub fn store(&self) -> Storing {
        Storing::continued(Arc::clone(&self.trace.exporting), self.trace.context)
    }

    /// The message is stored here, perhaps by an earlier attempt.
    pub fn stored(mut self, conversation: ConversationId, seq: Seq) {
        self.is_answered = true;
        self.span.set_attributes(place(conversation, seq));
    }

    /// The message is refused, or its outcome not known in time.
    pub fn failed(mut self, code: &'static str) {
        self.is_answered = true;
        self.span
            .set_attribute(KeyValue::new("hobnob.error.code", code));
        self.span.set_status(Status::error(code));
    }
}

impl Drop for Receiving {
    /// What was never answered was refused before it was queued, or its request was given up.
    fn drop(&mut self) {
        if !self.is_answered {
            self.span.set_status(Status::error("not accepted"));
        }
        self.span.end();
    }
}

/// A message waits for its place in its log.
#[derive(Debug)]
pub struct Storing {
    trace: Trace,
    since: SystemTime,
    conflicts: i64,
}

impl Storing {
    pub(super) fn continued(exporting: Arc<Exporting>, context: TraceContext) -> Self {
        Self {
            trace: Trace { exporting, context },
            since: now(),
            conflicts: 0,
        }
    }

    /// What its span hangs on, for another gateway that writes it instead.
    #[must_use]
    pub const fn context(&self) -> TraceContext {
        self.trace.context
    }

    /// Its place was taken by another gateway's event: it is tried again.
    pub const fn conflict(&mut self) {
        self.conflicts += 1;
    }

    /// It is in its log. `batch` is how many messages shared the write, if it was this attempt that wrote it.
    #[must_use]
    pub fn stored(self, conversation: ConversationId, seq: Seq, batch: Option<usize>) -> Trace {
        let mut attributes = place(conversation, seq);
        attributes.push(KeyValue::new("hobnob.append.conflicts", self.conflicts));
        match batch {
            Some(batch) => attributes.push(KeyValue::new("hobnob.batch.size", count(batch))),
            None => attributes.push(KeyValue::new("hobnob.stored.before", true)),
        }
        let Trace { exporting, context } = &self.trace;
        exporting.finish(
            "message store",
            SpanKind::Client,
            self.since,
            attributes,
            *context,
        );
        self.trace
    }
}

impl Trace {
    /// The event is about to be offered here and published to other gateways.
    #[must_use]
    pub fn publish(&self, conversation: ConversationId, seq: Seq) -> Option<Publishing> {
        let attributes = place(conversation, seq);
        let span = self.exporting.begin(
            "message publish",
            SpanKind::Producer,
            now(),
            attributes,
            Some(self.context),
        )?;
        Some(Publishing(span))
    }
}

/// An event is on its way to the bus: dropped, it ends as one of which nobody knows whether the bus has it.
#[derive(Debug)]
pub struct Publishing(Span);

impl Publishing {
    /// What its deliveries hang on.
    #[must_use]
    pub fn context(&self) -> TraceContext {
        TraceContext::of(self.0.span_context())
    }

    /// Whether the bus has taken it; if not, or not surely, it is found in the log (D10).
    pub fn ended(mut self, is_taken: bool) {
        if !is_taken {
            self.0
                .set_status(Status::error("not known to be published"));
        }
    }
}

/// A traced event on this gateway, and since when it has been here.
#[derive(Debug, Clone, Copy)]
pub struct Traced {
    /// Where its trace is.
    pub context: TraceContext,
    pub(super) since: SystemTime,
}

impl Traced {
    /// A hint that has arrived at this moment.
    #[must_use]
    pub fn now(context: TraceContext) -> Self {
        let since = now();
        Self { context, since }
    }
}

/// The attributes of the span of one event's delivery on this gateway.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryAttributes {
    /// The conversation whose event was delivered.
    pub conversation: ConversationId,
    /// The event's seq.
    pub seq: Seq,
    /// How many sessions of this gateway it was given to.
    pub sessions: usize,
    /// Whether it was committed on this gateway.
    pub is_local: bool,
}

impl DeliveryAttributes {
    pub(super) fn list(&self) -> Vec<KeyValue> {
        let origin = if self.is_local { "local" } else { "remote" };
        let mut attributes = place(self.conversation, self.seq);
        attributes.push(KeyValue::new("hobnob.fan_out", count(self.sessions)));
        attributes.push(KeyValue::new("hobnob.origin", origin));
        attributes
    }
}

fn place(conversation: ConversationId, seq: Seq) -> Vec<KeyValue> {
    vec![
        KeyValue::new("hobnob.conversation.id", conversation.to_string()),
        KeyValue::new("hobnob.seq", i64::try_from(seq.get()).unwrap_or(i64::MAX)),
    ]
}

/// A number as an attribute's type, `i64`; saturates.
fn count(things: usize) -> i64 {
    i64::try_from(things).unwrap_or(i64::MAX)
}
