//! The gate's limit, and what a drain waits for. Signals are tested on the real process (tests/cli).

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::*;
use crate::domain::Origin;

/// Ends a test that would hang.
pub(super) const GENEROUS: Duration = Duration::from_secs(60);

async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(GENEROUS, waiting).await;
    waited.expect("waited in vain");
}

#[test]
fn the_page_s_address_can_be_clicked() {
    for (address, url) in [
        ("127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("0.0.0.0:3000", "http://127.0.0.1:3000"),
        ("[::]:80", "http://[::1]:80"),
    ] {
        assert_eq!(page(address.parse().unwrap()), url);
    }
}

fn server(connection_limit: usize) -> ServerSection {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    ServerSection {
        listen: any,
        admin_listen: any,
        admin_token: None,
        admin_hosts: Vec::new(),
        hsts: Duration::ZERO,
        connection_limit,
        address_connection_limit: usize::MAX,
        cors_origins: Vec::new(),
        session_prefix: None,
        trusted_proxies: Vec::new(),
        client_timeout: GENEROUS,
        drain_grace: Duration::from_secs(5),
    }
}

pub(super) fn closed() -> Arc<Operations> {
    Arc::new(Operations::new(None, tokio::sync::mpsc::channel(1).0))
}

pub(super) fn listeners(connection_limit: usize) -> (Listeners, SocketAddr) {
    let listeners = Listeners::bind(&server(connection_limit), &Metrics::none()).unwrap();
    let address = listeners.public.listener.local_addr().unwrap();
    (listeners, address)
}

async fn ask(address: SocketAddr, path: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut buffer = [0; 1024];
    let read = stream.read(&mut buffer).await.unwrap_or(0);
    (
        stream,
        String::from_utf8_lossy(&buffer[..read]).into_owned(),
    )
}

#[tokio::test]
async fn connections_over_the_limit_are_answered_503_and_make_the_gateway_unready() {
    let (listeners, address) = listeners(1);
    let (metrics, exporter) = Metrics::exported().unwrap();
    let readiness = Arc::new(Readiness::new(metrics));
    readiness.set_started();
    let socket = listeners
        .serve_admin(&readiness, &exporter, closed())
        .unwrap();
    let peer = get(|origin: axum::Extension<Origin>| async move { origin.network.to_string() });
    let server = HttpServer::start(Router::new().route("/", peer), socket.gate);

    let (first, answer) = ask(address, "/").await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1"),
        "{answer}"
    );
    assert!(!readiness.report().is_ready());
    let (_second, answer) = ask(address, "/").await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1\r\n"),
        "{answer}"
    );
    assert!(answer.contains("{\"error\":{\"code\":\"busy\""), "{answer}");
    assert!(
        answer.contains("x-content-type-options: nosniff\r\n"),
        "{answer}"
    );
    drop(first);
    until(|| readiness.report().is_ready()).await;
    let (_third, answer) = ask(address, "/").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.stop.cancel();
}

#[tokio::test]
async fn it_is_unready_before_the_limit_and_the_limit_may_change() {
    let (listeners, address) = listeners(20);
    let (metrics, exporter) = Metrics::exported().unwrap();
    let readiness = Arc::new(Readiness::new(metrics));
    readiness.set_started();
    let socket = listeners
        .serve_admin(&readiness, &exporter, closed())
        .unwrap();
    let limit = socket.limit();
    let server = HttpServer::start(
        Router::new().route("/", get(|| async { "ok" })),
        socket.gate,
    );
    let mut held = Vec::new();
    for _ in 0..18 {
        assert!(readiness.report().is_ready(), "{}", held.len());
        held.push(ask(address, "/").await);
    }
    assert!(!readiness.report().is_ready());
    let (_admitted, answer) = ask(address, "/").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    limit.set(&self::server(10));
    assert!(ask(address, "/").await.1.starts_with("HTTP/1.1 503"));
    limit.set(&self::server(1000));
    assert!(readiness.report().is_ready());
    server.stop.cancel();
}

#[tokio::test]
async fn a_taken_port_is_blamed_on_its_setting() {
    let (_listeners, address) = listeners(1);
    let taken = ServerSection {
        admin_listen: address,
        ..server(1)
    };
    let error = Listeners::bind(&taken, &Metrics::none()).unwrap_err();
    assert!(error.setting.starts_with("HOBNOB_ADMIN_LISTEN "), "{error}");
    assert!(error.message.contains(&address.to_string()), "{error}");
}

struct SlowAnswer {
    asked: Arc<Semaphore>,
    answer: Arc<Semaphore>,
}

#[async_trait]
impl Service for SlowAnswer {
    fn router(&self) -> Router {
        let (asked, answer) = (Arc::clone(&self.asked), Arc::clone(&self.answer));
        Router::new().route(
            "/",
            get(async move || {
                asked.add_permits(1);
                drop(answer.acquire().await);
                "late"
            }),
        )
    }

    async fn drain(&self, _deadline: Instant) {
        self.answer.add_permits(1);
    }
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_end() {
    let (listeners, address) = listeners(10);
    let (metrics, exporter) = Metrics::exported().unwrap();
    let readiness = Arc::new(Readiness::new(metrics));
    let socket = listeners
        .serve_admin(&readiness, &exporter, closed())
        .unwrap();
    let service = SlowAnswer {
        asked: Arc::new(Semaphore::new(0)),
        answer: Arc::new(Semaphore::new(0)),
    };
    let server = HttpServer::start(service.router(), socket.gate);
    let client = tokio::spawn(ask(address, "/"));
    drop(service.asked.acquire().await.unwrap());
    drain(&service, server, Instant::now() + Duration::from_secs(60)).await;
    assert!(client.await.unwrap().1.ends_with("late"));
}

/// A service whose drain never ends; when it was asked to, these signals come.
struct Stubborn(
    tokio::sync::mpsc::Sender<&'static str>,
    &'static [&'static str],
);

#[async_trait]
impl Service for Stubborn {
    fn router(&self) -> Router {
        Router::new()
    }

    async fn drain(&self, _deadline: Instant) {
        for signal in self.1 {
            self.0.send(signal).await.unwrap();
        }
        std::future::pending().await
    }
}

fn started(readiness: &Arc<Readiness>, exporter: &Exporter) -> PublicSocket {
    listeners(10)
        .0
        .serve_admin(readiness, exporter, closed())
        .unwrap()
}

/// Drains by `first`, with `more` coming meanwhile, for at most 25 s; what came of it, and after how long.
async fn drained(
    first: &'static str,
    more: &'static [&'static str],
) -> (Result<(), Failure>, Duration) {
    let (metrics, exporter) = Metrics::exported().unwrap();
    let readiness = Arc::new(Readiness::new(metrics));
    let socket = started(&readiness, &exporter);
    let (signal, mut signals) = Signals::by_hand();
    signal.send(first).await.unwrap();
    let (begun, grace) = (Instant::now(), Duration::from_secs(25));
    let service = Stubborn(signal, more);
    let ended = run(&service, socket, &readiness, &mut signals, grace).await;
    assert!(readiness.is_draining());
    (ended, begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn only_a_second_signal_cuts_the_drain_short() {
    const CUT: [(&str, &[&str]); 3] = [
        ("SIGTERM", &["SIGINT"]),
        ("SIGTERM", &[admin::DRAIN, "SIGINT"]),
        (admin::DRAIN, &["SIGTERM", "SIGINT"]),
    ];
    for (first, more) in CUT {
        let (ended, took) = drained(first, more).await;
        let failure = ended.unwrap_err().to_string();
        assert_eq!(failure, "cut short by a second SIGINT", "{first} {more:?}");
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_does_not_end_is_left_behind_after_the_grace() {
    const LEFT: [(&str, &[&str]); 4] = [
        ("SIGTERM", &[]),
        ("SIGTERM", &[admin::DRAIN]),
        (admin::DRAIN, &["SIGTERM"]),
        (admin::DRAIN, &[]),
    ];
    for (first, more) in LEFT {
        let (ended, took) = drained(first, more).await;
        ended.unwrap();
        let grace = Duration::from_secs(25);
        assert!(
            took >= grace && took <= grace + 3 * LAST_CALL,
            "{first} {more:?}: {took:?}"
        );
    }
}

/// Serves one route; closes connections that make no progress for a second, in which a busy machine gets to ask.
fn serve(router: Router) -> (SocketAddr, Arc<OpenConnections>) {
    let (mut listeners, address) = listeners(1);
    listeners.public.patience = Duration::from_secs(1);
    let connections = Arc::clone(&listeners.public.connections);
    let server = HttpServer::start(router, listeners.public);
    // It ends with the test's runtime.
    drop(server.task);
    (address, connections)
}

async fn until_closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(GENEROUS, stream.read_to_end(&mut rest));
    // A reset is an end, too.
    let _reset = closed.await.expect("the server closes it");
}

#[tokio::test]
async fn silent_half_and_idle_connections_are_closed_and_their_places_free() {
    let (address, connections) = serve(Router::new().route("/", get(async || "here")));
    let connect = async || TcpStream::connect(address).await.unwrap();
    until_closed(connect().await).await;
    let mut half = connect().await;
    half.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
    until_closed(half).await;
    let (idle, answer) = ask(address, "/").await;
    assert!(answer.ends_with("here"), "{answer}");
    until_closed(idle).await;
    until(|| !connections.is_nearly_full()).await;
}

#[tokio::test(start_paused = true)]
async fn the_admin_port_keeps_no_idle_connection_and_only_so_many() {
    let listeners = listeners(1).0;
    let (address, connections) = (
        listeners.admin.listener.local_addr().unwrap(),
        Arc::clone(&listeners.admin.connections),
    );
    let (metrics, exporter) = Metrics::exported().unwrap();
    let readiness = Arc::new(Readiness::new(metrics));
    // Not on its own thread, whose time does not stand still.
    let router = admin::router(readiness, exporter, closed());
    let _server = HttpServer::start(router, listeners.admin);
    let (idle, answer) = ask(address, "/livez").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    connections.set_bounds(ConnectionBounds { all: 1, share: 1 });
    let (_second, answer) = ask(address, "/livez").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    until_closed(idle).await;
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_broken_off() {
    let large = || async { "x".repeat(64 << 20) };
    let (address, connections) = serve(Router::new().route("/", get(large)));
    let (stream, answer) = ask(address, "/").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    until(|| !connections.is_nearly_full()).await;
    drop(stream);
}
