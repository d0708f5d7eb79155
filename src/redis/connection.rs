//! One connection to Redis, used until its first trouble and then replaced whole. Knows nothing of what is sent.
//!
//! fred could reconnect by itself, and it is not used for that: its routing task waits inside a write to a frozen
//! server, where `force_reconnection` never reaches it; it repeats commands whose outcome is unknown; and it says
//! neither when a reconnection begins nor what was lost. A connection that ends with its first error says both.

use std::time::Duration;

use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::{ClientLike, EventInterface};
use fred::types::Message;
use fred::types::config::{ConnectionConfig, PerformanceConfig};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::RedisConfig;

/// How long a TCP connection and its TLS handshake may take. It bounds how long an attempt made during an outage keeps
/// the next one waiting (P5).
const CONNECT_LIMIT: Duration = Duration::from_millis(1_500);

/// How long an answer may take (fred's trap 6: unlimited by default).
const COMMAND_LIMIT: Duration = Duration::from_secs(1);

/// How long connecting, greeting and the first PING may take together.
const OPEN_LIMIT: Duration = Duration::from_millis(2_500);

/// Commands that wait inside fred (trap 6: unlimited by default). When it is full, commands fail at once.
const COMMAND_BUFFER: usize = 8_192;

/// How often a command is written: more than once only when a cluster redirects it. What was in flight when a connection
/// was lost is never repeated, because there is no reconnect policy.
const ATTEMPTS: u32 = 3;

/// Payloads between fred's reader and ours; this number sizes about nine channels, 12 MB in all (trap 1).
const MESSAGE_BUFFER: usize = 8_192;

/// What a connection is for, which decides its buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Commands and publishing.
    Commands,
    /// Subscriptions, and nothing else (trap 3).
    Subscriptions,
}

/// A live connection. Dropping it closes it at once.
#[derive(Debug)]
pub(crate) struct Connection {
    client: Client,
    task: Task,
    messages: Option<broadcast::Receiver<Message>>,
}

/// fred's routing task, which ends with its owner.
#[derive(Debug)]
struct Task(JoinHandle<Result<(), Error>>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// Connects, and returns when a PING was answered.
    ///
    /// # Errors
    /// When that fails or takes longer than 2.5 s.
    pub(crate) async fn open(config: &RedisConfig, purpose: Purpose) -> Result<Self, Error> {
        let client = client(config, purpose);
        // Traps 1 and 4: both before connecting, or the first events are missed.
        let messages = client.message_rx();
        let mut connected = client.reconnect_rx();
        let mut connection = Self {
            task: Task(client.connect()),
            client,
            messages: (purpose == Purpose::Subscriptions).then_some(messages),
        };
        let opening = async {
            tokio::select! {
                ended = connection.ended() => return Err(ended),
                _ = connected.recv() => {}
            }
            connection.client.ping::<()>(None).await
        };
        match timeout(OPEN_LIMIT, opening).await {
            Ok(Ok(())) => Ok(connection),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(too_slow()),
        }
    }

    /// Sends commands with this.
    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// The payloads; for [`Purpose::Subscriptions`], once.
    pub(crate) const fn take_messages(&mut self) -> Option<broadcast::Receiver<Message>> {
        self.messages.take()
    }

    /// Waits until the connection is lost.
    pub(crate) async fn ended(&mut self) -> Error {
        match (&mut self.task.0).await {
            Ok(Err(error)) => error,
            _ => Error::new(fred::error::ErrorKind::IO, "the connection was closed"),
        }
    }
}

fn too_slow() -> Error {
    Error::new(
        fred::error::ErrorKind::Timeout,
        "no answer while connecting",
    )
}

fn client(config: &RedisConfig, purpose: Purpose) -> Client {
    let performance = PerformanceConfig {
        default_command_timeout: COMMAND_LIMIT,
        broadcast_channel_capacity: match purpose {
            Purpose::Commands => PerformanceConfig::default().broadcast_channel_capacity,
            Purpose::Subscriptions => MESSAGE_BUFFER,
        },
        ..PerformanceConfig::default()
    };
    let mut connection = ConnectionConfig {
        connection_timeout: CONNECT_LIMIT,
        internal_command_timeout: COMMAND_LIMIT,
        max_command_attempts: ATTEMPTS,
        max_command_buffer_len: COMMAND_BUFFER,
        ..ConnectionConfig::default()
    };
    connection.tcp.nodelay = Some(true);
    // Trap 5, answered otherwise: without a policy the routing task ends with the connection, and everything in flight
    // fails at once; what is sent later fails because the connection is dropped.
    Client::new(
        config.server.clone(),
        Some(performance),
        Some(connection),
        None,
    )
}
