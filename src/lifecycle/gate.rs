//! The gate before the public server: counts client connections, and closes those over the limit at once, so that a
//! client tries another gateway instead of waiting in a queue nobody sees. A connection whose client takes nothing for
//! too long is broken off. Knows TCP, not HTTP.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};

use crate::metrics::Metrics;

/// How long to wait after `accept` failed for want of files or memory; there is nothing else to do about it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many connections there are, and may be.
#[derive(Debug)]
pub(super) struct Connections {
    open: AtomicUsize,
    limit: usize,
    metrics: Metrics,
}

impl Connections {
    pub(super) fn new(limit: usize, metrics: Metrics) -> Arc<Self> {
        let open = AtomicUsize::new(0);
        metrics.connections.limit.set(limit as f64);
        Arc::new(Self {
            open,
            limit,
            metrics,
        })
    }

    /// Whether there is no room for another.
    pub(super) fn is_full(&self) -> bool {
        self.open.load(Ordering::Relaxed) >= self.limit
    }

    fn enter(self: &Arc<Self>) -> Option<Place> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.limit {
            self.open.fetch_sub(1, Ordering::Relaxed);
            self.metrics.refused.connection_limit.increment(1);
            return None;
        }
        self.metrics.connections.accepted.increment(1);
        self.metrics.connections.open.increment(1.0);
        Some(Place(Arc::clone(self)))
    }
}

/// One connection's place among the open ones; free again when dropped.
#[derive(Debug)]
struct Place(Arc<Connections>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.connections.open.decrement(1.0);
    }
}

/// The public listener.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) listener: TcpListener,
    pub(super) connections: Arc<Connections>,
    /// How long a write may make no progress. Longer than a session's heartbeat: a session has its own ways to end.
    pub(super) patience: Duration,
}

impl Gate {
    /// The next connection within the limit.
    pub(super) async fn accept(&mut self) -> (Admitted, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    if let Some(place) = self.connections.enter() {
                        // Small frames must not wait for each other's acknowledgement.
                        let _ = stream.set_nodelay(true);
                        return (
                            Admitted {
                                stream,
                                patience: self.patience,
                                stalled: None,
                                _place: place,
                            },
                            peer,
                        );
                    }
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// A connection that was let in.
#[derive(Debug)]
pub(super) struct Admitted {
    stream: TcpStream,
    patience: Duration,
    /// Ends when the client has taken nothing for too long; none while it takes something.
    stalled: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

impl Admitted {
    /// A write that was tried: an error when it has been waiting for too long.
    fn progress(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Admitted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Admitted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.progress(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.progress(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
