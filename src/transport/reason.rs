//! Why a session ends. Knows no close code: each protocol maps these itself.

/// Why a session ended. The protocol above maps it to a close code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The client did not read fast enough: the outbox was full. What was queued is dropped.
    SlowConsumer,
    /// The client did not answer a ping in time.
    PingTimeout,
    /// The client closed the connection, or went away.
    TransportClosed,
    /// The connection broke, or a request was repeated or given up half-way.
    TransportError,
    /// The client broke the protocol.
    ProtocolError,
    /// A kind of data the endpoint does not take.
    UnsupportedData,
    /// Text that is not UTF-8.
    InvalidUtf8,
    /// A frame or body larger than allowed.
    TooLarge,
    /// The client did not say in time what it wants.
    ConnectTimeout,
    /// The application ended the session.
    ServerClosed,
    /// This gateway is shutting down; the client should reconnect elsewhere.
    Draining,
    /// This user, or their address, has as many sessions as one may have.
    TooManySessions,
    /// A newer decision about this user ended the session (expired token, removed account).
    Unauthorized,
}

impl Reason {
    /// Every reason, for tables of metrics.
    pub const ALL: [Self; 13] = [
        Self::SlowConsumer,
        Self::PingTimeout,
        Self::TransportClosed,
        Self::TransportError,
        Self::ProtocolError,
        Self::UnsupportedData,
        Self::InvalidUtf8,
        Self::TooLarge,
        Self::ConnectTimeout,
        Self::ServerClosed,
        Self::Draining,
        Self::Unauthorized,
        Self::TooManySessions,
    ];

    /// Whether what was queued before the close is still written: true where the client is believed to read.
    #[must_use]
    pub const fn is_graceful(self) -> bool {
        matches!(
            self,
            Self::ServerClosed
                | Self::Draining
                | Self::Unauthorized
                | Self::ConnectTimeout
                | Self::TooManySessions
        )
    }

    /// The reason's name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SlowConsumer => "slow_consumer",
            Self::PingTimeout => "ping_timeout",
            Self::TransportClosed => "transport_closed",
            Self::TransportError => "transport_error",
            Self::ProtocolError => "protocol_error",
            Self::UnsupportedData => "unsupported_data",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::TooLarge => "too_large",
            Self::ConnectTimeout => "connect_timeout",
            Self::ServerClosed => "server_closed",
            Self::Draining => "draining",
            Self::Unauthorized => "unauthorized",
            Self::TooManySessions => "too_many_sessions",
        }
    }
}

/// The session has ended; nothing more can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session has ended")]
pub struct Closed;
