//! The table of metrics: every name, its type and its meaning. Part of the operator's interface, and the same as
//! `docs/metrics.md`, which a test compares with a live gateway. Knows nothing of who counts.

/// A metric's type; a histogram's buckets are its unit's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetricKind {
    Counter,
    Gauge,
    /// A histogram of durations, in seconds.
    Seconds,
    /// A histogram of counts of things.
    Numbers,
}

use MetricKind::{Counter, Gauge, Numbers, Seconds};

impl MetricKind {
    /// The type's name in Prometheus' text format.
    #[cfg(test)]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Counter => "counter",
            Gauge => "gauge",
            Seconds | Numbers => "histogram",
        }
    }
}

/// Buckets of durations, in seconds: 1 ms to 10 s.
pub(super) const SECONDS: &[f64] = &[
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];

/// Buckets of numbers: events in a batch, sessions reached by an event.
pub(super) const NUMBERS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0,
];

pub(super) const BUILD_INFO: &str = "hobnob_build_info";
pub(super) const READY: &str = "hobnob_ready";
pub(super) const LIVE: &str = "hobnob_live";
pub(super) const DRAINING: &str = "hobnob_draining";
pub(super) const RELOADS: &str = "hobnob_config_reloads_total";
pub(super) const CONNECTIONS_OPEN: &str = "hobnob_connections_open";
pub(super) const CONNECTION_LIMIT: &str = "hobnob_connection_limit";
pub(super) const CONNECTIONS_ACCEPTED: &str = "hobnob_connections_accepted_total";
pub(super) const CONNECTIONS_REFUSED: &str = "hobnob_connections_refused_total";
pub(super) const ANONYMOUS: &str = "hobnob_connections_anonymous";
pub(super) const SESSIONS: &str = "hobnob_sessions";
pub(super) const TRANSPORTS: &str = "hobnob_socketio_transports";
pub(super) const USERS: &str = "hobnob_users";
pub(super) const OPENED: &str = "hobnob_sessions_opened_total";
pub(super) const CLOSED: &str = "hobnob_sessions_closed_total";
pub(super) const HANDSHAKE_SECONDS: &str = "hobnob_handshake_seconds";
pub(super) const PING_SECONDS: &str = "hobnob_ping_seconds";
pub(super) const BYTES_IN: &str = "hobnob_bytes_in_total";
pub(super) const BYTES_OUT: &str = "hobnob_bytes_out_total";
pub(super) const OUTBOX_BYTES: &str = "hobnob_outbox_bytes";
pub(super) const OUTBOX_LARGEST: &str = "hobnob_outbox_largest_bytes";
pub(super) const MESSAGES_IN: &str = "hobnob_messages_in_total";
pub(super) const DELIVERIES_OUT: &str = "hobnob_deliveries_out_total";
pub(super) const SOCKET_REQUESTS: &str = "hobnob_socket_requests_total";
pub(super) const REQUESTS_FAILED: &str = "hobnob_requests_failed_total";
pub(super) const ACK_SECONDS: &str = "hobnob_ack_seconds";
pub(super) const DELIVERY_SECONDS: &str = "hobnob_delivery_seconds";
pub(super) const FAN_OUT: &str = "hobnob_fan_out_sessions";
pub(super) const COMMIT_SECONDS: &str = "hobnob_commit_seconds";
pub(super) const COMMIT_BATCH: &str = "hobnob_commit_batch_events";
pub(super) const COMMIT_QUEUE: &str = "hobnob_commit_queue_events";
pub(super) const APPEND_CONFLICTS: &str = "hobnob_append_conflicts_total";
pub(super) const DELEGATED: &str = "hobnob_appends_delegated_total";
pub(super) const UNKNOWN_OUTCOMES: &str = "hobnob_append_unknown_total";
pub(super) const UNKNOWN_HELD: &str = "hobnob_append_unknown_held";
pub(super) const DUPLICATES: &str = "hobnob_duplicates_suppressed_total";
pub(super) const TOPICS: &str = "hobnob_topics";
pub(super) const GAPS_FOUND: &str = "hobnob_gaps_found_total";
pub(super) const GAPS_STANDING_STILL: &str = "hobnob_gaps_standing_still";
pub(super) const GAPS_GIVEN_UP: &str = "hobnob_gaps_given_up_total";
pub(super) const GAPS_REPAIRED: &str = "hobnob_gaps_repaired_total";
pub(super) const RESYNCS: &str = "hobnob_resyncs_total";
pub(super) const RESYNC_SECONDS: &str = "hobnob_resync_seconds";
pub(super) const RESUMES: &str = "hobnob_resumes_total";
pub(super) const EVENTS_REPLAYED: &str = "hobnob_events_replayed_total";
pub(super) const CURSOR_MOVES: &str = "hobnob_cursor_moves_total";
pub(super) const PRESENCE_TRANSITIONS: &str = "hobnob_presence_transitions_total";
pub(super) const GHOSTS_REAPED: &str = "hobnob_ghosts_reaped_total";
pub(super) const LEASES_LOST: &str = "hobnob_leases_lost_total";
pub(super) const SUBSCRIPTIONS: &str = "hobnob_subscriptions";
pub(super) const BUS_PUBLISHED: &str = "hobnob_bus_published_total";
pub(super) const BUS_RECEIVED: &str = "hobnob_bus_received_total";
pub(super) const BUS_REFUSED: &str = "hobnob_bus_refused_total";
pub(super) const BUS_DOUBTS: &str = "hobnob_bus_publish_doubts_total";
pub(super) const BUS_LAG_SECONDS: &str = "hobnob_bus_lag_seconds";
pub(super) const HEADS_REPUBLISHED: &str = "hobnob_heads_republished_total";
pub(super) const THROTTLED_ALONE: &str = "hobnob_throttle_alone_total";
pub(super) const SPANS_EXPORTED: &str = "hobnob_spans_exported_total";
pub(super) const SPANS_DROPPED: &str = "hobnob_spans_dropped_total";
pub(super) const DEPENDENCY_UP: &str = "hobnob_dependency_up";
pub(super) const DEPENDENCY_SECONDS: &str = "hobnob_dependency_seconds";
pub(super) const DEPENDENCY_ERRORS: &str = "hobnob_dependency_errors_total";
pub(super) const HTTP_SECONDS: &str = "hobnob_http_request_seconds";
pub(super) const RUNTIME_WORKERS: &str = "hobnob_runtime_workers";
pub(super) const RUNTIME_TASKS: &str = "hobnob_runtime_tasks";
pub(super) const RUNTIME_QUEUE: &str = "hobnob_runtime_queue_tasks";
pub(super) const RUNTIME_BUSY: &str = "hobnob_runtime_busy_seconds_total";
pub(super) const RUNTIME_LAG_SECONDS: &str = "hobnob_runtime_lag_seconds";
pub(super) const MEMORY: &str = "process_resident_memory_bytes";
pub(super) const VIRTUAL_MEMORY: &str = "process_virtual_memory_bytes";
pub(super) const CPU: &str = "process_cpu_seconds_total";
pub(super) const OPEN_FILES: &str = "process_open_fds";
pub(super) const MOST_FILES: &str = "process_max_fds";
pub(super) const THREADS: &str = "process_threads";
pub(super) const START_TIME: &str = "process_start_time_seconds";

/// Every metric. Ours begin with `hobnob_`; those of the process have the names every Prometheus client gives them.
#[rustfmt::skip]
pub(super) const METRICS: &[(&str, MetricKind, &str)] = &[
    (BUILD_INFO, Gauge, "1, with the version as a label."),
    (READY, Gauge, "1 while /readyz answers 200, else 0."),
    (LIVE, Gauge, "1 while /livez answers 200, else 0: only a restart helps."),
    (DRAINING, Gauge, "1 from the first stop signal or /admin/drain on."),
    (RELOADS, Counter, "Times the configuration was read again (SIGHUP), by what came of it."),

    (CONNECTIONS_OPEN, Gauge, "Client TCP connections open now."),
    (CONNECTION_LIMIT, Gauge, "The most connections this gateway takes: connection_limit, or what its limit of open files allows."),
    (CONNECTIONS_ACCEPTED, Counter, "Client TCP connections let in."),
    (CONNECTIONS_REFUSED, Counter, "Connections and handshakes that were turned away, by reason."),
    (ANONYMOUS, Gauge, "Clients of both protocols that have not said who they are yet."),
    (SESSIONS, Gauge, "Sessions open now, by protocol."),
    (TRANSPORTS, Gauge, "Engine.IO connections open now, those not authenticated yet included, by transport."),
    (USERS, Gauge, "Users with a joined session on this gateway."),
    (OPENED, Counter, "Sessions opened, by protocol."),
    (CLOSED, Counter, "Sessions ended, by reason and by what the close code tells the client to do."),
    (HANDSHAKE_SECONDS, Seconds, "From a connection's first request to its authenticated session, by protocol."),
    (PING_SECONDS, Seconds, "From a ping that was due or written to its pong."),
    (BYTES_IN, Counter, "Bytes of frames read from clients' sockets and polls, by protocol."),
    (BYTES_OUT, Counter, "Bytes of frames written to clients' sockets and polls, by protocol."),
    (OUTBOX_BYTES, Gauge, "Bytes waiting to be written, in all sessions."),
    (OUTBOX_LARGEST, Gauge, "Bytes waiting to be written in the session with the most of them."),

    (MESSAGES_IN, Counter, "Messages taken from clients, by protocol."),
    (DELIVERIES_OUT, Counter, "Events put into sessions' outboxes, by protocol."),
    (SOCKET_REQUESTS, Counter, "Requests taken up on sessions, messages among them, by protocol."),
    (REQUESTS_FAILED, Counter, "Requests answered with an error, by its code."),
    (ACK_SECONDS, Seconds, "From taking a message to knowing it durable, which is when it is acknowledged."),
    (DELIVERY_SECONDS, Seconds, "From accepting a message to its sessions' outboxes here, by where it was accepted."),
    (FAN_OUT, Numbers, "Sessions of this gateway that one live event was given to."),

    (COMMIT_SECONDS, Seconds, "One write of a batch to the store."),
    (COMMIT_BATCH, Numbers, "Events in one batch."),
    (COMMIT_QUEUE, Gauge, "Messages and changes that wait for a known outcome."),
    (APPEND_CONFLICTS, Counter, "Appends that found their place in the log taken."),
    (DELEGATED, Counter, "Messages delegated to the gateway that writes in a contended conversation, by outcome."),
    (UNKNOWN_OUTCOMES, Counter, "Appends whose outcome was unknown at first (time-out, election, no answer to a delegation)."),
    (UNKNOWN_HELD, Gauge, "Appends whose outcome is unknown now."),
    (DUPLICATES, Counter, "What came a second time and was not stored or delivered again, by kind."),

    (TOPICS, Gauge, "Conversations with sessions on this gateway."),
    (GAPS_FOUND, Counter, "Gaps in a topic: an event that arrived before its predecessor, or a log found to be ahead."),
    (GAPS_GIVEN_UP, Counter, "Gaps whose log could not be understood: their sessions were closed instead, to resume."),
    (GAPS_REPAIRED, Counter, "Gaps that were filled, from the log or by what arrived late."),
    (GAPS_STANDING_STILL, Gauge, "Gaps for which the log has shown nothing for ten seconds: their topics stand still."),
    (RESYNCS, Counter, "Times that hints may have been lost, so that topics are compared with the log, by cause."),
    (RESYNC_SECONDS, Seconds, "One comparison of all topics with the log; several causes may share one."),
    (RESUMES, Counter, "Sessions that began delivery, by what they continue from."),
    (EVENTS_REPLAYED, Counter, "Events given to sessions from the log, before they were live."),
    (CURSOR_MOVES, Counter, "Cursor moves stored."),

    (PRESENCE_TRANSITIONS, Counter, "Users announced online or offline by this gateway."),
    (GHOSTS_REAPED, Counter, "Users of dead gateways that this one cleared and announced offline."),
    (LEASES_LOST, Counter, "Times this gateway's lease ended under it."),

    (SUBSCRIPTIONS, Gauge, "Channels this gateway wants to hear."),
    (BUS_PUBLISHED, Counter, "Payloads published to other gateways."),
    (BUS_RECEIVED, Counter, "Payloads heard from gateways, this one included."),
    (BUS_REFUSED, Counter, "Payloads heard and refused, by reason: not proved to be from this deployment and log, published long ago, or heard before."),
    (BUS_DOUBTS, Counter, "Times payloads published here may have been lost; heads are published again then."),
    (BUS_LAG_SECONDS, Seconds, "From publishing a probe to hearing it, over Redis."),
    (HEADS_REPUBLISHED, Counter, "Recent heads published again after a doubt."),

    (DEPENDENCY_UP, Gauge, "1 while the dependency answers, else 0."),
    (DEPENDENCY_SECONDS, Seconds, "One call: of the store, one batch of publishes, one command of presence."),
    (DEPENDENCY_ERRORS, Counter, "Calls that failed or timed out, and connections lost."),
    (THROTTLED_ALONE, Counter, "Questions about sign-ins that this gateway answered by its own count, since Redis did not answer."),
    (HTTP_SECONDS, Seconds, "HTTP requests, by method, route and status."),
    (SPANS_EXPORTED, Counter, "Spans of traces that the collector took."),
    (SPANS_DROPPED, Counter, "Spans that found no room in the queue, or that the collector did not take."),

    (RUNTIME_WORKERS, Gauge, "Threads that run tasks."),
    (RUNTIME_TASKS, Gauge, "Tasks alive."),
    (RUNTIME_QUEUE, Gauge, "Tasks that wait in the queue all workers share."),
    (RUNTIME_BUSY, Counter, "Time the workers were busy, added up, in seconds."),
    (RUNTIME_LAG_SECONDS, Seconds, "How late a timer fires, looked at four times a second."),
    (MEMORY, Gauge, "Resident memory in bytes."),
    (VIRTUAL_MEMORY, Gauge, "Virtual memory in bytes."),
    (CPU, Counter, "User and system CPU time in seconds."),
    (OPEN_FILES, Gauge, "Open file descriptors."),
    (MOST_FILES, Gauge, "The limit of open file descriptors."),
    (THREADS, Gauge, "Threads of the process."),
    (START_TIME, Gauge, "When the process started, in seconds since 1970."),
];
