//! The server's end of a WebSocket (RFC 6455): the handshake, reading, and writing that needs no task. Knows neither
//! Engine.IO nor `/ws`.
//!
//! tungstenite reads (masks, fragments, bounds, control frames); it is given the connection and owns none of it. What
//! an outbox holds is encoded and written here, by a [`Flusher`] that serves many sessions in one turn: waking the
//! session's own task for every delivery cost more than the write itself (measured, see docs/decisions.md).

mod frame;
mod handshake;
mod link;
mod ping;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use metrics::Counter;
use tokio::task::coop::consume_budget;
use tokio::time::timeout;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Error, Message, Utf8Bytes};

pub(crate) use handshake::{Handshake, NoWebSocket};
use link::{Link, Stream};
pub(crate) use ping::{Ping, PingCount};

use super::outbox::{Flusher, Outbox, Reason};

/// Limits of one WebSocket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WebSocketBounds {
    /// The largest frame or message taken, in bytes.
    pub(crate) message: usize,
    /// Bytes read at a time; kept as long as the connection lives.
    pub(crate) read_buffer: usize,
}

/// Why a session ends whose socket gave this error.
pub(crate) const fn reason_of(error: &Error) -> Reason {
    match error {
        Error::Capacity(_) => Reason::TooLarge,
        Error::Utf8(_) => Reason::InvalidUtf8,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Reason::TransportClosed,
        Error::Protocol(_) => Reason::ProtocolError,
        _ => Reason::TransportError,
    }
}

/// An open socket. Dropping it closes the connection, whoever else still holds its outbox.
#[derive(Debug)]
pub(crate) struct WebSocket {
    link: Arc<Link>,
}

impl WebSocket {
    fn new(stream: Stream, bounds: WebSocketBounds) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(bounds.read_buffer)
            .write_buffer_size(0)
            .max_message_size(Some(bounds.message))
            .max_frame_size(Some(bounds.message));
        Self {
            link: Arc::new(Link::new(stream, config)),
        }
    }

    /// The next message, control frames included (pings and closes are answered by themselves); `None` after the closing
    /// handshake. Cancelling loses nothing.
    pub(crate) async fn next(&self) -> Option<Result<Message, Error>> {
        poll_fn(|context| self.link.poll_next(context)).await
    }

    /// Writes one text, before an outbox is attached.
    pub(crate) async fn send(&self, text: &'static str) -> io::Result<()> {
        self.link.queue(text);
        poll_fn(|context| self.link.poll_rest(context)).await
    }

    /// From now on the flusher writes what the outbox holds, and counts the bytes of its frames.
    pub(crate) fn attach(
        &self,
        outbox: &Outbox,
        flusher: &Flusher,
        ping: Ping,
        bytes_out: Counter,
    ) {
        let port = Arc::clone(&self.link);
        port.prepare(ping, bytes_out);
        outbox.attach(flusher, port);
    }

    /// Keeps writing where the flusher had to stop, until the session has ended; then writes what is left, if the end is
    /// a graceful one, and closes with this code. A client that takes nothing is left after `farewell`, twice at most.
    pub(crate) async fn serve(
        &self,
        outbox: &Outbox,
        farewell: Duration,
        code: impl FnOnce(Reason) -> (u16, &'static str),
    ) {
        let reason = tokio::select! {
            reason = outbox.closed() => reason,
            // It breaks no other way than with the session.
            () = self.resume(outbox) => outbox.closed().await,
        };
        if reason.is_graceful() {
            // A stuck client never takes it; nobody waits for that long.
            let _ = timeout(farewell, self.drain(outbox)).await;
        }
        let (code, reason) = code(reason);
        let _ = timeout(farewell, self.close(Some((code, reason)))).await;
    }

    async fn resume(&self, outbox: &Outbox) {
        loop {
            consume_budget().await;
            self.link.stalled().await;
            if self.drain(outbox).await.is_err() {
                outbox.close(Reason::TransportError);
                return;
            }
        }
    }

    async fn drain(&self, outbox: &Outbox) -> io::Result<()> {
        poll_fn(|context| self.link.poll_drain(outbox, context)).await
    }

    /// Says that it is over, behind what was begun.
    pub(crate) async fn close(&self, why: Option<(u16, &'static str)>) -> io::Result<()> {
        self.link.queue_close(why.map(|(code, reason)| CloseFrame {
            code: code.into(),
            reason: Utf8Bytes::from_static(reason),
        }));
        poll_fn(|context| self.link.poll_rest(context)).await
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        self.link.cut();
    }
}
