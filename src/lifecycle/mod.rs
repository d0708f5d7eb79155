//! The life of the process: listen, serve, drain on a signal, stop. Knows sockets and signals; what is served is a
//! [`Service`], and how it drains is its own business.

mod failure;
mod files;
mod gate;
mod guard;
mod http;
mod pace;
mod peer;
mod reload;
mod seldom;
mod signals;
mod watchdog;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::{Instant, timeout_at};

use crate::admin::{self, Health, Operations, Readiness};
use crate::config::ServerSection;
pub use crate::config::StartError;
use crate::metrics::{Exporter, Metrics, open_file_limit};
pub use failure::Failure;
use files::{ADMIN_CONNECTIONS, Shortage, affordable, raise_limit};
use gate::{ConnectionBounds, Gate, OpenConnections};
use guard::Guard;
use http::HttpServer;
use peer::TrustedProxies;
pub use reload::Reload;
pub use signals::{Hangups, Signals};
use signals::{on_thread, thread_runtime};
pub use watchdog::{WatchdogPace, watch};

/// Connections that wait to be accepted: all clients of a lost gateway arrive at once.
const BACKLOG: u32 = 4096;

/// Beyond the grace: for a drain that is just finishing, and for requests in flight.
const LAST_CALL: Duration = Duration::from_secs(1);

/// How long a connection of the admin port may be idle, or its request's head take.
const ADMIN_PATIENCE: Duration = Duration::from_secs(10);

/// What the process serves on its public port.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// The public routes.
    fn router(&self) -> Router;

    /// Hands the clients over to other gateways and stores what is in memory; done at the deadline at the latest.
    /// Readiness has failed already; the listener stays open meanwhile.
    async fn drain(&self, deadline: Instant);
}

/// The two sockets, bound but not served.
#[derive(Debug)]
pub struct Listeners {
    public: Gate,
    admin: Gate,
}

impl Listeners {
    /// Binds both addresses.
    ///
    /// # Errors
    /// When one cannot be had: taken, or not this machine's.
    pub fn bind(server: &ServerSection, metrics: &Metrics) -> Result<Self, StartError> {
        let files = raise_limit();
        let proxies = TrustedProxies(server.trusted_proxies.clone().into());
        let connections = OpenConnections::new(bounds(server, files), proxies, metrics.clone());
        let shortage = Arc::<Shortage>::default();
        let listener = bind("listen", server.listen)?;
        let admin = bind("admin_listen", server.admin_listen)?;
        let public = Gate::new(
            listener,
            connections,
            server.client_timeout,
            Guard::public(server.hsts),
            Arc::clone(&shortage),
        );
        let own = ConnectionBounds {
            all: ADMIN_CONNECTIONS,
            share: ADMIN_CONNECTIONS,
        };
        // Not among the clients' in any metric.
        let connections = OpenConnections::new(own, TrustedProxies::default(), Metrics::none());
        let guard = Guard::admin(&server.admin_hosts);
        let mut admin = Gate::new(admin, connections, ADMIN_PATIENCE, guard, shortage);
        admin.keeps_spare = true;
        Ok(Self { public, admin })
    }

    /// Serves the admin port, from the start on: readiness is asked for while the rest is still starting. On a thread
    /// and a runtime of its own, so that operators are answered whatever the clients' tasks do.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn serve_admin(
        self,
        readiness: &Arc<Readiness>,
        exporter: &Exporter,
        operations: Arc<Operations>,
    ) -> Result<PublicSocket, Failure> {
        let connections = Arc::clone(&self.public.connections);
        readiness.check("connections", move || match connections.is_nearly_full() {
            true => Health::Failed("nearly at the connection limit".to_owned()),
            false => Health::Well,
        });
        let shortage = Arc::clone(&self.public.shortage);
        readiness.check("files", move || shortage.health());
        let address = self.admin.listener.local_addr().ok();
        tracing::info!(
            address = address.map(tracing::field::display),
            "serving operators"
        );
        let router = admin::router(Arc::clone(readiness), exporter.clone(), operations);
        tokio::spawn(exporter.clone().upkeep());
        serve_operators(router, self.admin)?;
        Ok(PublicSocket { gate: self.public })
    }
}

/// The public socket, bound but not served.
#[derive(Debug)]
pub struct PublicSocket {
    gate: Gate,
}

/// How many client connections there may be, for changing it while they come.
#[derive(Debug)]
pub struct ConnectionLimit(Arc<OpenConnections>);

impl ConnectionLimit {
    /// The limits of these settings from now on. Nobody is closed for them.
    pub fn set(&self, server: &ServerSection) {
        self.0.set_bounds(bounds(server, open_file_limit()));
    }
}

impl PublicSocket {
    /// The limit of this socket's connections.
    #[must_use]
    pub fn limit(&self) -> ConnectionLimit {
        ConnectionLimit(Arc::clone(&self.gate.connections))
    }
}

/// To the end of the process: nobody stops it.
fn serve_operators(router: Router, gate: Gate) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Runtime(format!("the admin port: {error}"));
    let runtime = thread_runtime("operators")?;
    let listener = gate.listener.into_std().map_err(failed)?;
    let inside = runtime.enter();
    let listener = TcpListener::from_std(listener).map_err(failed)?;
    drop(inside);
    let gate = Gate { listener, ..gate };
    let serving = async {
        let server = HttpServer::start(router, gate);
        // Its panic is logged; the port then answers nobody, which is the truth.
        let _ended = server.task.await;
    };
    on_thread("operators", runtime, serving)
}

fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let open = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Connections of the process before this one may linger in TIME_WAIT.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    open().map_err(|error: std::io::Error| {
        StartError::of(setting, format!("cannot listen on {address}: {error}"))
    })
}

/// How many connections there may be: as configured, as far as the limit of open files allows.
fn bounds(server: &ServerSection, files: Option<u64>) -> ConnectionBounds {
    let all = affordable(server.connection_limit, files);
    if all < server.connection_limit {
        tracing::warn!(
            files,
            connections = all,
            "the limit of open files is too low for connection_limit; raise it (ulimit -n)"
        );
    }
    ConnectionBounds {
        all,
        share: server.address_connection_limit,
    }
}

/// Where a browser on this machine finds the page: an address of all is one that it can open, too.
fn page(address: SocketAddr) -> String {
    let mut open = address;
    if address.ip().is_unspecified() {
        open.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{open}")
}

/// Serves clients until the first signal or an operator's request, then drains for at most `grace`.
///
/// # Errors
/// When a second signal cut the drain short, or the public server ended by itself.
pub async fn run(
    service: &impl Service,
    socket: PublicSocket,
    readiness: &Readiness,
    signals: &mut Signals,
    grace: Duration,
) -> Result<(), Failure> {
    let address = socket.gate.listener.local_addr().ok();
    tracing::info!(
        url = address.map(page),
        address = address.map(tracing::field::display),
        "serving clients"
    );
    let mut server = HttpServer::start(service.router(), socket.gate);
    readiness.set_started();
    let first = tokio::select! {
        signal = signals.next() => signal,
        _ = &mut server.task => return Err(Failure::Runtime("the public server ended by itself".to_owned())),
    };
    tracing::info!(signal = first, grace = ?grace, "draining");
    readiness.set_draining();
    tokio::select! {
        () = drain(service, server, Instant::now() + grace) => {
            tracing::info!("stopped");
            Ok(())
        }
        signal = signals.second(first) => Err(Failure::Runtime(format!("cut short by a second {signal}"))),
    }
}

async fn drain(service: &impl Service, server: HttpServer, deadline: Instant) {
    let last_call = deadline + LAST_CALL;
    if timeout_at(last_call, service.drain(deadline))
        .await
        .is_err()
    {
        tracing::warn!("the drain did not end in time");
    }
    server.stop(last_call.max(Instant::now() + LAST_CALL)).await;
}

#[cfg(test)]
mod spinning_tests;
#[cfg(test)]
mod tests;
