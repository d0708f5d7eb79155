//! The gate before a server: counts its connections, and turns away those over the limit at once, so that a
//! client tries another gateway instead of waiting in a queue nobody sees. A connection whose client takes nothing for
//! too long, or too little, is broken off. Of HTTP it knows one answer.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Sleep, sleep, timeout};

use super::guard::Guard;
use crate::metrics::Metrics;

/// How long to wait after `accept` failed for want of files or memory; there is nothing else to do about it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many clients that are turned away are told so at once; more are closed without a word.
const TELLING: usize = 64;

/// For the request of a client that is turned away, and its taking the answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The slowest client whose connection is kept while more waits for it, in bytes a second.
const SLOWEST: usize = 1024;

/// The most read of such a request, in bytes.
const REQUEST: usize = 4 * 1024;

/// What it is told: the code `busy` of docs/errors.md.
const BUSY: &str = concat!(
    "HTTP/1.1 503 Service Unavailable\r\n",
    "content-type: application/json\r\n",
    "retry-after: 1\r\n",
    "connection: close\r\n",
    "content-length: 82\r\n\r\n",
    r#"{"error":{"code":"busy","message":"this gateway has all the clients it can take"}}"#,
);

/// How many connections there are, and may be.
#[derive(Debug)]
pub(super) struct Connections {
    open: AtomicUsize,
    limit: AtomicUsize,
    /// How many of those turned away may be told why at the same time.
    telling: Arc<Semaphore>,
    metrics: Metrics,
}

impl Connections {
    pub(super) fn new(limit: usize, metrics: Metrics) -> Arc<Self> {
        let open = AtomicUsize::new(0);
        metrics.connections.limit.set(limit as f64);
        Arc::new(Self {
            open,
            limit: AtomicUsize::new(limit),
            telling: Arc::new(Semaphore::new(TELLING)),
            metrics,
        })
    }

    /// Whether new clients should go elsewhere: nine tenths of the limit are taken.
    pub(super) fn is_nearly_full(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        self.open.load(Ordering::Relaxed) >= limit - limit / 10
    }

    /// Another limit from now on; connections that are open stay.
    pub(super) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
        self.metrics.connections.limit.set(limit as f64);
    }

    /// Tells a client that is one too many. When many are told already, the connection is just closed.
    fn turn_away(&self, stream: TcpStream) {
        if let Ok(permit) = Arc::clone(&self.telling).try_acquire_owned() {
            tokio::spawn(async move {
                // Whoever does not listen is not waited for.
                let _ = timeout(PATIENCE, tell_busy(stream)).await;
                drop(permit);
            });
        }
    }

    fn enter(self: &Arc<Self>) -> Option<Place> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.limit.load(Ordering::Relaxed) {
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

/// A listener with its limits.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) listener: TcpListener,
    pub(super) connections: Arc<Connections>,
    /// How long a write may make less progress than [`SLOWEST`]. Longer than a session's heartbeat: a session has its own ways to end.
    pub(super) patience: Duration,
    /// What requests must be.
    pub(super) guard: Guard,
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
                                taken: 0,
                                _place: place,
                            },
                            peer,
                        );
                    }
                    self.connections.turn_away(stream);
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

/// Reads the request first: closing with unread bytes would reset the connection before the answer arrives.
async fn tell_busy(mut stream: TcpStream) -> io::Result<()> {
    let mut request = [0; REQUEST];
    let _ = stream.read(&mut request).await?;
    stream.write_all(BUSY.as_bytes()).await?;
    stream.shutdown().await
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
    /// Ends when the client has taken too little for too long; none while nothing waits for it.
    stalled: Option<Pin<Box<Sleep>>>,
    /// What it has taken since then, in bytes.
    taken: usize,
    _place: Place,
}

impl Admitted {
    /// A write of so many bytes that was tried: an error when the client has been taking too little for too long.
    fn progress(
        &mut self,
        context: &mut Context<'_>,
        bytes: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.taken += written.as_ref().copied().unwrap_or(0);
            let enough = SLOWEST * usize::try_from(self.patience.as_secs()).unwrap_or(usize::MAX);
            if written.as_ref().is_ok_and(|written| *written == bytes) || self.taken >= enough {
                self.stalled = None;
            }
            return Poll::Ready(written);
        }
        let patience = self.patience;
        if self.stalled.is_none() {
            self.taken = 0;
        }
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
        self.progress(context, bytes.len(), written)
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
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.progress(context, bytes, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
