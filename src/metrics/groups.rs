//! Handles that belong together: one per value of a label, or all of one part. Knows nothing of how they are made.

use metrics::{Counter, Gauge, Histogram};

/// One handle per protocol of sessions.
#[derive(Debug, Clone)]
pub struct ByProtocol<T> {
    /// Socket.IO, over either transport.
    pub socketio: T,
    /// Plain JSON over a WebSocket.
    pub websocket: T,
}

/// One handle per transport of Socket.IO.
#[derive(Debug, Clone)]
pub struct ByTransport<T> {
    /// Long-polling.
    pub polling: T,
    /// A WebSocket.
    pub websocket: T,
}

/// One handle per reason for turning a client away.
#[derive(Debug, Clone)]
pub struct RefusedClients {
    /// More connections than connection_limit.
    pub connection_limit: Counter,
    /// More from one address than address_connection_limit.
    pub address_connection_limit: Counter,
    /// More sessions than session_limit.
    pub session_limit: Counter,
    /// More of one user than user_session_limit.
    pub user_session_limit: Counter,
    /// More from one address than address_session_limit.
    pub address_session_limit: Counter,
    /// More who have not said who they are than anonymous_limit, or than an address' share of it.
    pub anonymous_limit: Counter,
    /// More of them from one address than handshake_rate.
    pub handshake_rate: Counter,
    /// This gateway is draining.
    pub draining: Counter,
    /// The token is missing or wrong.
    pub unauthorized: Counter,
}

/// Client connections.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the table documents the metrics, once")]
pub struct ConnectionMetrics {
    pub open: Gauge,
    pub limit: Gauge,
    pub accepted: Counter,
}

/// Hints between gateways.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the table documents the metrics, once")]
pub struct Hints {
    pub subscriptions: Gauge,
    pub published: Counter,
    pub received: Counter,
    pub refused: RefusedHints,
    pub doubts: Counter,
    pub lag_seconds: Histogram,
    pub heads_republished: Counter,
}

/// Payloads that count for nothing, by why.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the table documents the metrics, once")]
pub struct RefusedHints {
    pub unproved: Counter,
    pub stale: Counter,
    pub repeated: Counter,
}

/// What is counted of something this gateway depends on.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// 1 while it answers.
    pub up: Gauge,
    /// Of one call, in seconds.
    pub seconds: Histogram,
    /// Calls that failed, connections lost.
    pub errors: Counter,
}

/// What is counted of a dependency in a process where nobody reads it.
impl Default for Dependency {
    fn default() -> Self {
        Self {
            up: Gauge::noop(),
            seconds: Histogram::noop(),
            errors: Counter::noop(),
        }
    }
}
