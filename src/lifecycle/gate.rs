//! The gate before a server: counts its connections, and turns away those over the limit at once, so that a
//! client tries another gateway instead of waiting in a queue nobody sees. A connection whose client takes nothing for
//! too long, or too little, is broken off. Of HTTP it knows one answer.

use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::HeaderMap;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::files::{Shortage, is_shortage};
use super::guard::Guard;
use super::pace::Pace;
use super::peer::TrustedProxies;
use super::seldom::Seldom;
use crate::domain::{ClientNetwork, Origin, Tally};
use crate::metrics::Metrics;

/// How long to wait after `accept` failed for want of files or memory; there is nothing else to do about it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is held open for a connection that finds no file left.
const NOTHING: &str = "/dev/null";

/// How many clients that are turned away are told so at once; more are closed without a word.
const TELLING: usize = 64;

/// For the request of a client that is turned away, and its taking the answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most read of such a request, in bytes.
const REQUEST: usize = 4 * 1024;

/// What it is told: the code `busy` of docs/errors.md.
const BUSY: &str = concat!(
    "HTTP/1.1 503 Service Unavailable\r\n",
    "content-type: application/json\r\n",
    "x-content-type-options: nosniff\r\n",
    "retry-after: 1\r\n",
    "connection: close\r\n",
    "content-length: 82\r\n\r\n",
    r#"{"error":{"code":"busy","message":"this gateway has all the clients it can take"}}"#,
);

/// How many connections there are, and may be.
#[derive(Debug)]
pub(super) struct OpenConnections {
    open: AtomicUsize,
    limit: AtomicUsize,
    /// The most open connections of one network.
    share: AtomicUsize,
    of: Mutex<Tally<ClientNetwork>>,
    /// Whose connections are not counted by network: everybody's come from there.
    proxies: TrustedProxies,
    /// How many of those turned away may be told why at the same time.
    telling: Arc<Semaphore>,
    crowded: Seldom,
    metrics: Metrics,
}

/// How many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConnectionBounds {
    /// The most connections open at a time.
    pub(super) all: usize,
    /// The most of them from one network.
    pub(super) share: usize,
}

impl OpenConnections {
    pub(super) fn new(
        bounds: ConnectionBounds,
        proxies: TrustedProxies,
        metrics: Metrics,
    ) -> Arc<Self> {
        metrics.connections.limit.set(bounds.all as f64);
        Arc::new(Self {
            open: AtomicUsize::new(0),
            limit: AtomicUsize::new(bounds.all),
            share: AtomicUsize::new(bounds.share),
            of: Mutex::default(),
            proxies,
            telling: Arc::new(Semaphore::new(TELLING)),
            crowded: Seldom::default(),
            metrics,
        })
    }

    /// Where a request comes from that this peer brought.
    pub(super) fn origin(&self, peer: SocketAddr, headers: &HeaderMap) -> Origin {
        self.proxies.origin(peer.ip(), headers)
    }

    /// Whether new clients should go elsewhere: nine tenths of the limit are taken.
    pub(super) fn is_nearly_full(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        self.open.load(Ordering::Relaxed) >= limit - limit / 10
    }

    /// Other limits from now on; connections that are open stay.
    pub(super) fn set_bounds(&self, bounds: ConnectionBounds) {
        self.limit.store(bounds.all, Ordering::Relaxed);
        self.share.store(bounds.share, Ordering::Relaxed);
        self.metrics.connections.limit.set(bounds.all as f64);
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

    fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<OpenConnection> {
        let network = (!self.proxies.trusts(peer)).then(|| ClientNetwork::of(peer));
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.limit.load(Ordering::Relaxed) {
            self.open.fetch_sub(1, Ordering::Relaxed);
            self.metrics.refused.connection_limit.increment(1);
            return None;
        }
        if network.is_some_and(|network| !self.share(network)) {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        self.metrics.connections.accepted.increment(1);
        self.metrics.connections.open.increment(1.0);
        Some(OpenConnection {
            connections: Arc::clone(self),
            network,
        })
    }

    /// One more from a network, within its share.
    fn share(&self, network: ClientNetwork) -> bool {
        let share = self.share.load(Ordering::Relaxed);
        let is_within = self.of.lock().add(network, share);
        if !is_within {
            self.metrics.refused.address_connection_limit.increment(1);
            if let Some(times) = self.crowded.happened() {
                tracing::warn!(
                    address = %network,
                    share,
                    times,
                    "connections are refused: one address has as many as address_connection_limit; \
                     if it is a proxy, name it in trusted_proxies"
                );
            }
        }
        is_within
    }
}

/// One connection's place among the open ones; free again when dropped.
#[derive(Debug)]
struct OpenConnection {
    connections: Arc<OpenConnections>,
    network: Option<ClientNetwork>,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let connections = &self.connections;
        if let Some(network) = &self.network {
            connections.of.lock().remove(network);
        }
        connections.open.fetch_sub(1, Ordering::Relaxed);
        connections.metrics.connections.open.decrement(1.0);
    }
}

/// A listener with its limits.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) listener: TcpListener,
    pub(super) connections: Arc<OpenConnections>,
    /// How long a write may make less progress than [`super::pace`] asks for. Longer than a session's heartbeat: a session
    /// has its own ways to end.
    pub(super) patience: Duration,
    /// The checks of a request's head.
    pub(super) guard: Guard,
    /// Told when there is no file left.
    pub(super) shortage: Arc<Shortage>,
    /// Whether a file is kept open that gives way to a connection for which there is none left.
    pub(super) keeps_spare: bool,
    pub(super) spare: Option<File>,
    pub(super) failed: Seldom,
}

impl Gate {
    pub(super) fn new(
        listener: TcpListener,
        connections: Arc<OpenConnections>,
        patience: Duration,
        guard: Guard,
        shortage: Arc<Shortage>,
    ) -> Self {
        Self {
            listener,
            connections,
            patience,
            guard,
            shortage,
            keeps_spare: false,
            spare: None,
            failed: Seldom::default(),
        }
    }
}

impl Gate {
    /// The next connection within the limits.
    pub(super) async fn accept(&mut self) -> (Admitted, SocketAddr) {
        loop {
            if self.keeps_spare && self.spare.is_none() {
                self.spare = File::open(NOTHING).ok();
            }
            match self.listener.accept().await {
                Ok((stream, peer)) => match self.connections.enter(peer.ip()) {
                    Some(place) => return (self.admit(stream, place), peer),
                    None => self.connections.turn_away(stream),
                },
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => self.recover(&error).await,
            }
        }
    }

    fn admit(&self, stream: TcpStream, place: OpenConnection) -> Admitted {
        // Small frames must not wait for each other's acknowledgement.
        let _ = stream.set_nodelay(true);
        Admitted {
            stream,
            pace: Pace::new(self.patience),
            _place: place,
        }
    }

    /// Accepting failed for want of files or memory: makes room where some is kept, or waits.
    async fn recover(&mut self, error: &io::Error) {
        if is_shortage(error) {
            self.shortage.note();
        }
        if let Some(times) = self.failed.happened() {
            tracing::error!(%error, times, "cannot accept connections");
        }
        if self.spare.take().is_none() {
            sleep(ACCEPT_PAUSE).await;
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
    pace: Pace,
    _place: OpenConnection,
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
        self.pace.progress(context, bytes.len(), written)
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
        self.pace.progress(context, bytes, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
