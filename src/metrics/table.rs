//! The table of metrics: every name, its type and its meaning. Part of the operator's interface; knows nothing of who
//! counts.

/// A metric's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

use Kind::{Counter, Gauge, Histogram};

/// Buckets of durations, in seconds: 1 ms to 10 s.
pub(super) const SECONDS: &[f64] = &[
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];

/// Buckets of counts of events in one batch.
pub(super) const EVENTS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

pub(super) const BUILD_INFO: &str = "hobnob_build_info";
pub(super) const READY: &str = "hobnob_ready";
pub(super) const CONNECTIONS_OPEN: &str = "hobnob_connections_open";
pub(super) const CONNECTIONS_REFUSED: &str = "hobnob_connections_refused_total";
pub(super) const SESSIONS: &str = "hobnob_sessions";
pub(super) const CLOSED: &str = "hobnob_sessions_closed_total";
pub(super) const SLOW_CONSUMERS: &str = "hobnob_slow_consumers_total";
pub(super) const TOPICS: &str = "hobnob_topics";
pub(super) const MESSAGES_IN: &str = "hobnob_messages_in_total";
pub(super) const DELIVERIES_OUT: &str = "hobnob_deliveries_out_total";
pub(super) const REQUESTS_FAILED: &str = "hobnob_requests_failed_total";
pub(super) const SEND_SECONDS: &str = "hobnob_send_seconds";
pub(super) const COMMIT_SECONDS: &str = "hobnob_commit_seconds";
pub(super) const COMMIT_BATCH: &str = "hobnob_commit_batch_events";
pub(super) const APPEND_CONFLICTS: &str = "hobnob_append_conflicts_total";
pub(super) const UNKNOWN_OUTCOMES: &str = "hobnob_append_unknown_total";
pub(super) const UNKNOWN_HELD: &str = "hobnob_append_unknown_held";
pub(super) const RETRIES_RECOGNISED: &str = "hobnob_retries_recognised_total";
pub(super) const GAPS: &str = "hobnob_gaps_total";
pub(super) const HOLES: &str = "hobnob_topic_gaps_total";
pub(super) const RESYNCS: &str = "hobnob_resyncs_total";
pub(super) const RESYNC_SECONDS: &str = "hobnob_resync_seconds";
pub(super) const BUS_PUBLISHED: &str = "hobnob_bus_published_total";
pub(super) const BUS_RECEIVED: &str = "hobnob_bus_received_total";
pub(super) const BUS_DROPPED: &str = "hobnob_bus_dropped_total";
pub(super) const HEADS_REPUBLISHED: &str = "hobnob_heads_republished_total";
pub(super) const CURSOR_MOVES: &str = "hobnob_cursor_moves_total";
pub(super) const LEASES_LOST: &str = "hobnob_leases_lost_total";
pub(super) const HTTP_SECONDS: &str = "hobnob_http_request_seconds";
pub(super) const TASKS: &str = "hobnob_tasks";
pub(super) const MEMORY: &str = "process_resident_memory_bytes";
pub(super) const CPU: &str = "process_cpu_seconds_total";
pub(super) const OPEN_FILES: &str = "process_open_fds";
pub(super) const MOST_FILES: &str = "process_max_fds";
pub(super) const THREADS: &str = "process_threads";

/// Every metric. Ours begin with `hobnob_`; those of the process have the names every Prometheus client gives them.
#[rustfmt::skip]
pub(super) const METRICS: &[(&str, Kind, &str)] = &[
    (BUILD_INFO, Gauge, "1, with the version as a label."),
    (READY, Gauge, "1 while /readyz answers 200, else 0."),
    (CONNECTIONS_OPEN, Gauge, "Client TCP connections open now."),
    (CONNECTIONS_REFUSED, Counter, "Client TCP connections closed at once, because of connection_limit."),
    (SESSIONS, Gauge, "Sessions, by protocol."),
    (CLOSED, Counter, "Sessions ended, by reason (the table of close codes)."),
    (SLOW_CONSUMERS, Counter, "Sessions closed because their outbox overflowed."),
    (TOPICS, Gauge, "Conversations with sessions on this gateway."),
    (MESSAGES_IN, Counter, "Messages clients sent that were accepted, by protocol."),
    (DELIVERIES_OUT, Counter, "Events put into sessions' outboxes, by protocol."),
    (REQUESTS_FAILED, Counter, "Requests answered with an error, by its code."),
    (SEND_SECONDS, Histogram, "From accepting a message to its acknowledgement, commit included."),
    (COMMIT_SECONDS, Histogram, "One write of a batch to the store."),
    (COMMIT_BATCH, Histogram, "Events in one batch."),
    (APPEND_CONFLICTS, Counter, "Appends that found their place in the log taken."),
    (UNKNOWN_OUTCOMES, Counter, "Appends whose outcome was unknown at first (time-out, election)."),
    (UNKNOWN_HELD, Gauge, "Appends whose outcome is unknown now."),
    (RETRIES_RECOGNISED, Counter, "Sends that repeated a stored clientMessageId."),
    (GAPS, Counter, "Times that hints may have been lost, by reason."),
    (HOLES, Counter, "Events that arrived before their predecessor, so that a topic read the log."),
    (RESYNCS, Counter, "Resyncs with the log, by outcome."),
    (RESYNC_SECONDS, Histogram, "One resync."),
    (BUS_PUBLISHED, Counter, "Payloads published to other gateways."),
    (BUS_RECEIVED, Counter, "Payloads heard from gateways, this one included."),
    (BUS_DROPPED, Counter, "Times payloads published here may have been lost; heads are published again then."),
    (HEADS_REPUBLISHED, Counter, "Recent heads published again after a doubt."),
    (CURSOR_MOVES, Counter, "Cursor moves stored."),
    (LEASES_LOST, Counter, "Times this gateway's lease ended under it."),
    (HTTP_SECONDS, Histogram, "HTTP requests, by method, route and status."),
    (TASKS, Gauge, "Tasks alive in the runtime."),
    (MEMORY, Gauge, "Resident memory in bytes."),
    (CPU, Counter, "User and system CPU time in whole seconds."),
    (OPEN_FILES, Gauge, "Open file descriptors."),
    (MOST_FILES, Gauge, "The limit of open file descriptors."),
    (THREADS, Gauge, "Threads of the process."),
];
