//! A fault of ours in a session's handler: the session is gone from everywhere, and the next one works. In this process,
//! on the real use cases, whose clock fails when told to: a real gateway does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hobnob::auth::{Auth, AuthConfig, Secret};
use hobnob::bus::LocalBus;
use hobnob::chat::{Chat, ChatPorts, Credentials, Cursors, Limits};
use hobnob::commit::frontier::Frontier;
use hobnob::commit::{Committer, CommitterConfig};
use hobnob::domain::{Clock, Entropy, GatewayId, SystemClock, Timestamp};
use hobnob::fanout::hub::{Hub, HubConfig, HubParts, HubPorts};
use hobnob::gateway::native::{self, NativeConfig};
use hobnob::gateway::requests::Requests;
use hobnob::gateway::socketio::ChatApplication;
use hobnob::metrics::{Exporter, Metrics};
use hobnob::presence::{LocalPresence, PresenceConfig};
use hobnob::store::Store;
use hobnob::store::sqlite::{SqliteOptions, SqliteStore};
use hobnob::throttle::LocalThrottle;
use hobnob::traces::Traces;
use hobnob::transport::heartbeat::Wheel;
use hobnob::transport::lobby::Lobby;
use hobnob::transport::outbox::Flusher;
use hobnob::transport::socketio::{SocketIo, SocketIoConfig};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::support::gateway::metric;
use crate::support::until;
use crate::support::ws::Ws;

/// Ten minutes: no heartbeat within the test.
const CALM: Duration = Duration::from_secs(600);

const CLOSED_BY_SERVER: &str =
    r#"hobnob_sessions_closed_total{reason="server_closed",class="reconnect"}"#;

/// The time of day, until it fails.
#[derive(Default)]
struct FaultyClock(AtomicBool);

impl Clock for FaultyClock {
    fn now(&self) -> Timestamp {
        assert!(!self.0.load(Ordering::Relaxed), "on purpose");
        SystemClock.now()
    }
}

/// A gateway without a process.
struct Scene {
    hub: Arc<Hub>,
    socket_io: SocketIo,
    exporter: Exporter,
    clock: Arc<FaultyClock>,
    token: String,
    /// Somebody else, and their token.
    bob: (String, String),
    port: u16,
    _directory: tempfile::TempDir,
}

/// The hub and its use cases; whoever is asked for the time to check a token may fail.
async fn assemble(
    directory: &std::path::Path,
    clock: Arc<dyn Clock>,
    metrics: &Metrics,
) -> (Arc<Chat>, Arc<Hub>, Arc<Entropy>) {
    let entropy = Arc::new(Entropy::seeded(1));
    let well: Arc<dyn Clock> = Arc::new(SystemClock);
    let options = SqliteOptions {
        directory: directory.to_owned(),
        time_limit: SqliteOptions::TIME_LIMIT,
    };
    let store = SqliteStore::open(&options, Arc::clone(&well)).unwrap();
    store.migrate().await.unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let gateway = GatewayId::generate(&entropy);
    let presence = Arc::new(LocalPresence::hub(PresenceConfig::default()).connect(gateway));
    let frontier = Arc::new(Frontier::default());
    let ports = HubPorts {
        gateway,
        store: Arc::clone(&store),
        bus: Arc::new(LocalBus::hub().connect(gateway)),
        presence: Arc::clone(&presence) as _,
        frontier: Arc::clone(&frontier),
        clock: Arc::clone(&well),
        entropy: Arc::clone(&entropy),
        metrics: metrics.clone(),
        traces: Traces::off(),
    };
    let parts = HubParts::new(HubConfig::default(), ports);
    let cursors = Cursors::new(Arc::clone(&store), parts.announcer(), metrics.clone());
    let committer = Arc::new(Committer::new(
        CommitterConfig::default(),
        Arc::clone(&store),
        parts.announcer(),
        None,
        frontier,
        Arc::clone(&entropy),
        metrics.clone(),
    ));
    let hub = Hub::new(parts, Arc::new(cursors), Arc::clone(&committer));
    let secret = Secret::parse("a secret that is long enough to sign tokens with").unwrap();
    let config = AuthConfig {
        secrets: vec![secret],
        ..AuthConfig::default()
    };
    let auth = Auth::start(&config, clock, Arc::clone(&entropy)).unwrap();
    let ports = ChatPorts {
        store,
        committer,
        presence,
        auth: Arc::new(auth),
        clock: well,
        throttle: Arc::new(LocalThrottle::new(Arc::clone(&entropy))),
        entropy: Arc::clone(&entropy),
        traces: Traces::off(),
    };
    let chat = Arc::new(Chat::new(ports, Limits::default()));
    (chat, hub, entropy)
}

impl Scene {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (metrics, exporter) = Metrics::exported().unwrap();
        let clock = Arc::<FaultyClock>::default();
        let (chat, hub, entropy) =
            assemble(directory.path(), Arc::clone(&clock) as _, &metrics).await;
        let typed = Credentials::new("ann", "correct horse battery");
        let ann = chat.register(typed, None).await.unwrap();
        let typed = Credentials::new("bob", "correct horse battery");
        let bob = chat.register(typed, None).await.unwrap();
        let requests = Requests::new(chat, Arc::clone(&hub));
        let config = NativeConfig {
            frame_bytes: 1 << 16,
            outbox_bytes: 1 << 20,
            ping_interval: CALM,
            ping_timeout: CALM,
            hello_within: CALM,
            lobby: Lobby::default(),
            flusher: Flusher::default(),
        };
        let wheel = Wheel::default();
        let native = native::router(config, requests.clone(), Arc::clone(&entropy), &wheel);
        let mut config = SocketIoConfig::default();
        config.engine.metrics = metrics;
        let application = Arc::new(ChatApplication::new(requests, Arc::clone(&entropy)));
        let socket_io = SocketIo::new(config, application, wheel, entropy);
        let router = native.merge(socket_io.router());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            hub,
            socket_io,
            exporter,
            clock,
            token: ann.grant.access_token,
            bob: (bob.user.id.to_string(), bob.grant.access_token),
            port,
            _directory: directory,
        }
    }

    fn fail(&self, is_faulty: bool) {
        self.clock.0.store(is_faulty, Ordering::Relaxed);
    }

    /// Waits until nobody is left anywhere; then nothing counts them any more, and this many have ended so.
    async fn is_empty_after(&self, ends: usize) {
        let left = || self.hub.session_count() + self.socket_io.engine().session_count();
        let gauges = ["hobnob_sessions{", "hobnob_socketio_transports{"];
        until("nobody is left or counted", async || {
            let text = self.exporter.render();
            let lines = text.lines();
            let open = lines.filter(|line| gauges.iter().any(|name| line.starts_with(name)));
            let open: Vec<&str> = open.collect();
            assert_eq!(open.len(), 4, "{text}");
            let is_empty = left() == 0 && open.iter().all(|line| line.ends_with(" 0"));
            let have_ended = metric(&text, CLOSED_BY_SERVER) == ends as f64;
            (is_empty && have_ended).then_some(()).ok_or(text)
        })
        .await;
    }

    async fn native(&self) -> Ws {
        self.native_of(&self.token).await
    }

    async fn native_of(&self, token: &str) -> Ws {
        let client = Ws::open(self.port).await;
        let hello = client.ask("hello", json!({"token": token})).await;
        assert_eq!(hello["type"], "hello", "{hello}");
        client
    }
}

#[tokio::test]
async fn a_panic_in_a_handler_leaves_no_session_behind_on_any_transport() {
    let scene = Scene::start().await;
    let authenticate = json!({"type": "authenticate", "token": scene.token});

    let client = scene.native().await;
    assert_eq!(scene.hub.session_count(), 1);
    scene.fail(true);
    client.send_text(&authenticate.to_string()).await;
    client.closed().await;
    scene.is_empty_after(1).await;

    scene.fail(false);
    let address = format!("127.0.0.1:{}/socket.io/?EIO=4", scene.port);
    let (mut socket, _) = connect_async(format!("ws://{address}&transport=websocket"))
        .await
        .unwrap();
    let connect = format!("40{}", json!({"token": scene.token}));
    let event = format!("42{}", json!(["authenticate", authenticate]));
    socket.send(Message::text(connect.clone())).await.unwrap();
    let is_connected = |packet: Message| packet.to_text().unwrap().starts_with("40");
    while !is_connected(socket.next().await.unwrap().unwrap()) {}
    scene.fail(true);
    socket.send(Message::text(event.clone())).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
    scene.is_empty_after(2).await;

    scene.fail(false);
    let url = format!("http://{address}&transport=polling");
    let http = reqwest::Client::new();
    let open = http.get(&url).send().await.unwrap().text().await.unwrap();
    let open: serde_json::Value = serde_json::from_str(&open[1..]).unwrap();
    let url = format!("{url}&sid={}", open["sid"].as_str().unwrap());
    http.post(&url).body(connect).send().await.unwrap();
    until("ann is connected", async || scene.hub.session_count() == 1).await;
    scene.fail(true);
    let answer = http.post(&url).body(event).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    scene.is_empty_after(3).await;

    scene.fail(false);
    let client = scene.native().await;
    assert_eq!(client.request(authenticate).await["ok"], true);
}

#[tokio::test]
async fn a_panic_in_a_handler_ends_that_session_and_only_that() {
    let scene = Scene::start().await;
    let (failing, other) = (scene.native().await, scene.native().await);
    let (bob_id, token) = &scene.bob;
    let bob = scene.native_of(token).await;
    let say = json!({"type": "send_message", "receiverId": bob_id, "content": "hello"});
    let stored = failing.request(say.clone()).await;
    let conversation = stored["message"]["conversationId"].as_str().unwrap();
    for client in [&other, &bob] {
        client.fold().wait_seq(conversation, 1).await;
    }
    assert_eq!(scene.hub.session_count(), 3);

    scene.fail(true);
    let authenticate = json!({"type": "authenticate", "token": scene.token});
    failing.send_text(&authenticate.to_string()).await;
    failing.closed().await;
    scene.fail(false);
    until("the session does not stay", async || {
        scene.hub.session_count() == 2
    })
    .await;
    let text = scene.exporter.render();
    assert_eq!(
        metric(&text, r#"hobnob_sessions{protocol="websocket"}"#),
        2.0
    );
    assert_eq!(metric(&text, CLOSED_BY_SERVER), 1.0);

    assert_eq!(other.request(say).await["message"]["seq"], 2);
    bob.fold().wait_seq(conversation, 2).await;
    assert_eq!(other.request(authenticate).await["ok"], true);
    assert!(scene.hub.sessions().iter().all(|it| !it.is_closed()));
}
