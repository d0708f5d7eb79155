//! The handles that the parts of a gateway count with, kept by each part: using one costs about 10 ns. What has labels
//! has one handle per value, made at the start; only what is rare (an error, an HTTP request) is looked up.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder};
use parking_lot::Mutex;

use super::groups::{
    ByProtocol, ByTransport, ConnectionMetrics, Dependency, Hints, RefusedClients, RefusedHints,
};
use super::table::{self, MetricKind};

static METADATA: Metadata<'static> = Metadata::new("hobnob", Level::INFO, None);

pub(super) type SharedRecorder = Arc<dyn Recorder + Send + Sync>;

type Sampler = Box<dyn Fn(&Handles) + Send + Sync>;

/// What is counted. `src/metrics/table.rs` says what each means.
#[expect(missing_docs, reason = "the table documents the metrics, once")]
pub struct Handles {
    pub(super) recorder: SharedRecorder,
    samplers: Mutex<Vec<Sampler>>,
    pub ready: Gauge,
    pub live: Gauge,
    pub draining: Gauge,
    pub reloads_applied: Counter,
    pub reloads_refused: Counter,
    pub connections: ConnectionMetrics,
    pub refused: RefusedClients,
    pub anonymous: Gauge,
    pub sessions: ByProtocol<Gauge>,
    pub transports: ByTransport<Gauge>,
    pub users: Gauge,
    pub sessions_opened: ByProtocol<Counter>,
    pub handshake_seconds: ByProtocol<Histogram>,
    pub ping_seconds: Histogram,
    pub bytes_in: ByProtocol<Counter>,
    pub bytes_out: ByProtocol<Counter>,
    pub outbox_bytes: Gauge,
    pub outbox_largest: Gauge,
    pub messages_in: ByProtocol<Counter>,
    pub messages_in_rest: Counter,
    pub socket_requests: ByProtocol<Counter>,
    pub deliveries_out: ByProtocol<Counter>,
    pub ack_seconds: Histogram,
    pub delivery_local_seconds: Histogram,
    pub delivery_remote_seconds: Histogram,
    pub fan_out: Histogram,
    pub commit_seconds: Histogram,
    pub commit_batch: Histogram,
    pub commit_queue: Gauge,
    pub append_conflicts: Counter,
    pub delegated_stored: Counter,
    pub delegated_refused: Counter,
    pub delegated_declined: Counter,
    pub delegated_unknown: Counter,
    pub unknown_outcomes: Counter,
    pub unknown_held: Gauge,
    /// Sends that repeated a stored clientMessageId.
    pub duplicate_sends: Counter,
    /// Events that were offered already: the echo of this gateway's own, mostly.
    pub duplicate_events: Counter,
    pub topics: Gauge,
    pub gaps_found: Counter,
    pub gaps_repaired: Counter,
    pub gaps_given_up: Counter,
    pub gaps_standing_still: Gauge,
    pub resync_seconds: Histogram,
    pub resumes_from_cursor: Counter,
    pub resumes_from_since: Counter,
    pub events_replayed: Counter,
    pub cursor_moves: Counter,
    pub presence_online: Counter,
    pub presence_offline: Counter,
    pub ghosts_reaped: Counter,
    pub leases_lost: Counter,
    pub hints: Hints,
    pub store: Dependency,
    pub bus: Dependency,
    pub presence: Dependency,
    pub throttled_alone: Counter,
    pub spans_exported: Counter,
    pub spans_dropped: Counter,
    pub runtime_lag_seconds: Histogram,
    /// See [`ROOM_SEND`].
    room_send_seconds: Histogram,
}

/// Why topics are compared with the log. What the parts say, and there is a series of each from the start.
const RESYNC_CAUSES: [&str; 9] = [
    "reconnected",
    "lagged",
    "deaf",
    "late",
    "lease_lost",
    "primary_changed",
    "gateway_gone",
    "publisher_lost",
    "periodic",
];

/// The one HTTP request that may come as often as messages do: a message for a room, stored.
const ROOM_SEND: (&str, &str, u16) = ("POST", "/group", 201);

impl Handles {
    pub(super) fn new(recorder: SharedRecorder) -> Self {
        let make = &Make(&Arc::clone(&recorder));
        make.resync_causes();
        Self {
            ready: make.gauge(table::READY),
            live: make.gauge(table::LIVE),
            draining: make.gauge(table::DRAINING),
            reloads_applied: make.counter_of(table::RELOADS, "outcome", "applied"),
            reloads_refused: make.counter_of(table::RELOADS, "outcome", "refused"),
            connections: make.connections(),
            refused: make.refused(),
            anonymous: make.gauge(table::ANONYMOUS),
            sessions: make.by_protocol(|label| make.gauge_with(table::SESSIONS, label)),
            transports: make.by_transport(),
            users: make.gauge(table::USERS),
            sessions_opened: make.counters_by_protocol(table::OPENED),
            handshake_seconds: make
                .by_protocol(|label| make.histogram_with(table::HANDSHAKE_SECONDS, label)),
            ping_seconds: make.histogram(table::PING_SECONDS),
            bytes_in: make.counters_by_protocol(table::BYTES_IN),
            bytes_out: make.counters_by_protocol(table::BYTES_OUT),
            outbox_bytes: make.gauge(table::OUTBOX_BYTES),
            outbox_largest: make.gauge(table::OUTBOX_LARGEST),
            messages_in: make.counters_by_protocol(table::MESSAGES_IN),
            messages_in_rest: make.counter_of(table::MESSAGES_IN, "protocol", "rest"),
            socket_requests: make.counters_by_protocol(table::SOCKET_REQUESTS),
            deliveries_out: make.counters_by_protocol(table::DELIVERIES_OUT),
            ack_seconds: make.histogram(table::ACK_SECONDS),
            delivery_local_seconds: make.histogram_of(table::DELIVERY_SECONDS, "origin", "local"),
            delivery_remote_seconds: make.histogram_of(table::DELIVERY_SECONDS, "origin", "remote"),
            fan_out: make.histogram(table::FAN_OUT),
            commit_seconds: make.histogram(table::COMMIT_SECONDS),
            commit_batch: make.histogram(table::COMMIT_BATCH),
            commit_queue: make.gauge(table::COMMIT_QUEUE),
            append_conflicts: make.counter(table::APPEND_CONFLICTS),
            delegated_stored: make.counter_of(table::DELEGATED, "outcome", "stored"),
            delegated_refused: make.counter_of(table::DELEGATED, "outcome", "refused"),
            delegated_declined: make.counter_of(table::DELEGATED, "outcome", "declined"),
            delegated_unknown: make.counter_of(table::DELEGATED, "outcome", "unknown"),
            unknown_outcomes: make.counter(table::UNKNOWN_OUTCOMES),
            unknown_held: make.gauge(table::UNKNOWN_HELD),
            duplicate_sends: make.counter_of(table::DUPLICATES, "kind", "send"),
            duplicate_events: make.counter_of(table::DUPLICATES, "kind", "event"),
            topics: make.gauge(table::TOPICS),
            gaps_found: make.counter(table::GAPS_FOUND),
            gaps_repaired: make.counter(table::GAPS_REPAIRED),
            gaps_given_up: make.counter(table::GAPS_GIVEN_UP),
            gaps_standing_still: make.gauge(table::GAPS_STANDING_STILL),
            resync_seconds: make.histogram(table::RESYNC_SECONDS),
            resumes_from_cursor: make.counter_of(table::RESUMES, "from", "cursor"),
            resumes_from_since: make.counter_of(table::RESUMES, "from", "since"),
            events_replayed: make.counter(table::EVENTS_REPLAYED),
            cursor_moves: make.counter(table::CURSOR_MOVES),
            presence_online: make.counter_of(table::PRESENCE_TRANSITIONS, "to", "online"),
            presence_offline: make.counter_of(table::PRESENCE_TRANSITIONS, "to", "offline"),
            ghosts_reaped: make.counter(table::GHOSTS_REAPED),
            leases_lost: make.counter(table::LEASES_LOST),
            hints: make.hints(),
            store: make.dependency("store"),
            bus: make.dependency("bus"),
            presence: make.dependency("presence"),
            throttled_alone: make.counter(table::THROTTLED_ALONE),
            spans_exported: make.counter(table::SPANS_EXPORTED),
            spans_dropped: make.counter(table::SPANS_DROPPED),
            runtime_lag_seconds: make.histogram(table::RUNTIME_LAG_SECONDS),
            room_send_seconds: make.http_seconds(ROOM_SEND.0, ROOM_SEND.1, ROOM_SEND.2),
            samplers: Mutex::default(),
            recorder,
        }
    }

    /// A session ended; reason and class are those of the table of close codes.
    pub fn session_closed(&self, reason: &'static str, class: &'static str) {
        self.closings(reason, class).increment(1);
    }

    /// The reasons there are, so that each has a series before it first happens: a rate needs two samples.
    pub fn expect_closings(&self, all: impl IntoIterator<Item = (&'static str, &'static str)>) {
        for (reason, class) in all {
            let _ = self.closings(reason, class);
        }
    }

    fn closings(&self, reason: &'static str, class: &'static str) -> Counter {
        let labels = vec![label("reason", reason), label("class", class)];
        Make(&self.recorder).counter_with(table::CLOSED, labels)
    }

    /// A request was answered with this error code.
    pub fn request_failed(&self, code: &'static str) {
        let counter = Make(&self.recorder).counter_of(table::REQUESTS_FAILED, "code", code);
        counter.increment(1);
    }

    /// Hints may have been lost, for this reason.
    pub fn resync(&self, cause: &'static str) {
        let counter = Make(&self.recorder).counter_of(table::RESYNCS, "cause", cause);
        counter.increment(1);
    }

    /// An HTTP request was answered. The route is the router's pattern, never the path, and a method that no route has is
    /// `other`, so that labels stay few: both are a stranger's own words.
    pub fn http_request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let method = known_method(method);
        // What is asked for every message is not looked up.
        if (method, route, status) == ROOM_SEND {
            return self.room_send_seconds.record(took);
        }
        let histogram = Make(&self.recorder).http_seconds(method, route, status);
        histogram.record(took);
    }

    /// Has this run before each rendering, to set gauges of what is cheaper to look at than to count.
    pub fn sample(&self, sampler: impl Fn(&Self) + Send + Sync + 'static) {
        self.samplers.lock().push(Box::new(sampler));
    }

    pub(super) fn run_samplers(&self) {
        for sampler in self.samplers.lock().iter() {
            sampler(self);
        }
    }
}

/// The methods that routes have, and what browsers ask before them.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"];

fn known_method(method: &str) -> &'static str {
    let known = METHODS.into_iter().find(|known| *known == method);
    known.unwrap_or("other")
}

/// Makes handles.
pub(super) struct Make<'a>(pub(super) &'a SharedRecorder);

fn label(name: &'static str, value: &'static str) -> Label {
    Label::from_static_parts(name, value)
}

impl Make<'_> {
    pub(super) fn counter(&self, name: &'static str) -> Counter {
        self.counter_with(name, Vec::new())
    }

    fn counter_of(&self, name: &'static str, key: &'static str, value: &'static str) -> Counter {
        self.counter_with(name, vec![label(key, value)])
    }

    fn counter_with(&self, name: &'static str, labels: Vec<Label>) -> Counter {
        self.0
            .register_counter(&Key::from_parts(name, labels), &METADATA)
    }

    pub(super) fn gauge(&self, name: &'static str) -> Gauge {
        self.gauge_with(name, Vec::new())
    }

    pub(super) fn gauge_with(&self, name: &'static str, labels: Vec<Label>) -> Gauge {
        self.0
            .register_gauge(&Key::from_parts(name, labels), &METADATA)
    }

    fn histogram(&self, name: &'static str) -> Histogram {
        self.histogram_with(name, Vec::new())
    }

    fn histogram_of(
        &self,
        name: &'static str,
        key: &'static str,
        value: &'static str,
    ) -> Histogram {
        self.histogram_with(name, vec![label(key, value)])
    }

    fn histogram_with(&self, name: &'static str, labels: Vec<Label>) -> Histogram {
        self.0
            .register_histogram(&Key::from_parts(name, labels), &METADATA)
    }

    fn http_seconds(&self, method: &'static str, route: &str, status: u16) -> Histogram {
        let labels = vec![
            label("method", method),
            Label::new("route", route.to_owned()),
            Label::new("status", status.to_string()),
        ];
        self.histogram_with(table::HTTP_SECONDS, labels)
    }

    fn by_protocol<T>(&self, make: impl Fn(Vec<Label>) -> T) -> ByProtocol<T> {
        ByProtocol {
            socketio: make(vec![label("protocol", "socketio")]),
            websocket: make(vec![label("protocol", "websocket")]),
        }
    }

    fn counters_by_protocol(&self, name: &'static str) -> ByProtocol<Counter> {
        self.by_protocol(|label| self.counter_with(name, label))
    }

    fn by_transport(&self) -> ByTransport<Gauge> {
        let of = |value| self.gauge_with(table::TRANSPORTS, vec![label("transport", value)]);
        ByTransport {
            polling: of("polling"),
            websocket: of("websocket"),
        }
    }

    fn refused(&self) -> RefusedClients {
        let of = |reason| self.counter_of(table::CONNECTIONS_REFUSED, "reason", reason);
        RefusedClients {
            connection_limit: of("connection_limit"),
            address_connection_limit: of("address_connection_limit"),
            session_limit: of("session_limit"),
            user_session_limit: of("user_session_limit"),
            address_session_limit: of("address_session_limit"),
            anonymous_limit: of("anonymous_limit"),
            handshake_rate: of("handshake_rate"),
            draining: of("draining"),
            unauthorized: of("unauthorized"),
        }
    }

    fn connections(&self) -> ConnectionMetrics {
        ConnectionMetrics {
            open: self.gauge(table::CONNECTIONS_OPEN),
            limit: self.gauge(table::CONNECTION_LIMIT),
            accepted: self.counter(table::CONNECTIONS_ACCEPTED),
        }
    }

    fn hints(&self) -> Hints {
        Hints {
            subscriptions: self.gauge(table::SUBSCRIPTIONS),
            published: self.counter(table::BUS_PUBLISHED),
            received: self.counter(table::BUS_RECEIVED),
            refused: RefusedHints {
                unproved: self.counter_of(table::BUS_REFUSED, "reason", "unproved"),
                stale: self.counter_of(table::BUS_REFUSED, "reason", "stale"),
                repeated: self.counter_of(table::BUS_REFUSED, "reason", "repeated"),
            },
            doubts: self.counter(table::BUS_DOUBTS),
            lag_seconds: self.histogram(table::BUS_LAG_SECONDS),
            heads_republished: self.counter(table::HEADS_REPUBLISHED),
        }
    }

    fn resync_causes(&self) {
        for cause in RESYNC_CAUSES {
            let _ = self.counter_of(table::RESYNCS, "cause", cause);
        }
    }

    fn dependency(&self, name: &'static str) -> Dependency {
        let labels = || vec![label("dependency", name)];
        Dependency {
            up: self.gauge_with(table::DEPENDENCY_UP, labels()),
            seconds: self.histogram_with(table::DEPENDENCY_SECONDS, labels()),
            errors: self.counter_with(table::DEPENDENCY_ERRORS, labels()),
        }
    }

    pub(super) fn descriptions(&self) {
        for &(name, kind, help) in table::METRICS {
            let name = KeyName::from_const_str(name);
            match kind {
                MetricKind::Counter => self.0.describe_counter(name, None, help.into()),
                MetricKind::Gauge => self.0.describe_gauge(name, None, help.into()),
                MetricKind::Seconds | MetricKind::Numbers => {
                    self.0.describe_histogram(name, None, help.into());
                }
            }
        }
    }
}
