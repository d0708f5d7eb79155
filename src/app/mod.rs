//! The composition root: builds everything from the configuration. With `backends`, the only file that names adapters.

mod backends;
mod delivery;
mod hearing;
mod limits;
mod operators;
mod routes;
mod world;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::{Clients, Health, Readiness};
use crate::auth::{Auth, AuthConfig};
use crate::chat::{Chat, ChatPorts, Cursors, Limits};
use crate::commit::Committer;
use crate::config::{Config, StartError};
use crate::domain::{Backoff, Entropy};
use crate::fanout::hub::Hub;
use crate::fanout::seats::Seats;
use crate::gateway::requests::Requests;
use crate::lifecycle::{Failure, Service};
use crate::logging::served;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::traces::Traces;
use crate::transport::lobby::Lobby;
use crate::transport::socketio::SocketIo;
use backends::{Adapters, Stores};
use delivery::Delivery;
use hearing::Hearing;
use limits::{directory, lobby_limits, quotas, rates, seat_limits};
use routes::routes;
use world::World;

/// The first and the longest wait before the schema is tried again.
const MIGRATE_RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// How often the store is asked whether it is there.
const ASK_STORE_EVERY: Duration = Duration::from_secs(5);

/// How long the last spans may take to their collector: as long as a drain may be late, at most.
const LAST_SPANS: Duration = Duration::from_millis(900);

/// A gateway: everything between the public port and the backends.
pub struct App {
    router: Router,
    socket_io: SocketIo,
    lobby: Lobby,
    chat: Arc<Chat>,
    hub: Arc<Hub>,
    committer: Arc<Committer>,
    cursors: Arc<Cursors>,
    hearing: Arc<Hearing>,
    traces: Traces,
    parts: Adapters,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl App {
    /// Builds the gateway and starts its tasks. Waits for the store's schema: without its unique keys nothing may be
    /// written. A store that is away is tried for ever, and named in the log and by readiness.
    ///
    /// # Errors
    /// When the data directory cannot be used, or what was configured is refused by an adapter.
    pub async fn start(
        config: &Config,
        metrics: Metrics,
        readiness: Arc<Readiness>,
    ) -> Result<Self, Failure> {
        let mut world = World::new();
        let id = world.gateway.to_string();
        world.traces =
            Traces::start(config.traces.as_ref(), &id, &metrics).map_err(StartError::from)?;
        let stores = Stores::open(config, &world, &metrics).await?;
        crate::logging::name_gateway(&id);
        tracing::info!(traces = world.traces.is_on(), "this gateway");
        let log = prepare_for_ever(&stores, &readiness, &world.entropy).await?;
        let parts = stores.connect(&log, config, &world);
        Ok(Self::assemble(config, &world, parts, &readiness, &metrics)?)
    }

    fn assemble(
        config: &Config,
        world: &World,
        parts: Adapters,
        readiness: &Readiness,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        let World { clock, entropy, .. } = world;
        let Delivery {
            hub,
            committer,
            cursors,
        } = Delivery::new(config, world, &parts, metrics);
        let auth = Auth::start(
            &auth_config(config, &parts),
            Arc::clone(clock),
            Arc::clone(entropy),
        )
        .map_err(|error| StartError::of("jwt_secret", error.to_string()))?;
        let chat = Arc::new(Chat::new(
            ChatPorts {
                store: Arc::clone(&parts.store),
                committer: Arc::clone(&committer),
                presence: Arc::clone(&parts.presence),
                auth: Arc::new(auth),
                clock: Arc::clone(clock),
                entropy: Arc::clone(entropy),
                throttle: Arc::clone(&parts.throttle),
                traces: world.traces.clone(),
            },
            Limits {
                content_bytes: config.limits.content_bytes,
                room_members: config.limits.room_members,
                rates: rates(config),
                quotas: quotas(config),
                directory: directory(config),
                ..Limits::default()
            },
        ));
        let requests = Requests::new(Arc::clone(&chat), Arc::clone(&hub));
        let lobby = Lobby::new(lobby_limits(config), metrics.clone());
        let (router, socket_io) = routes(config, world, Arc::clone(&chat), &requests, &lobby)?;
        check_room(readiness, hub.seats(), &lobby);
        measure(metrics, &hub, &committer);
        let hearing = Hearing::watched_by(
            readiness,
            world.gateway,
            Arc::clone(&parts.bus),
            parts.hearings.clone(),
        );
        let app = Self {
            router,
            socket_io,
            lobby,
            chat,
            hub,
            committer,
            cursors,
            hearing,
            traces: world.traces.clone(),
            parts,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        app.spawn_tasks();
        Ok(app)
    }

    /// Takes over what may change while the gateway runs: the keys of tokens and the limits. All or nothing.
    ///
    /// # Errors
    /// When the new settings contradict what buffers were sized by at the start.
    pub fn reload(&self, config: &Config) -> Result<(), StartError> {
        let most = self.chat.limits().content_bytes;
        if config.limits.content_bytes > most {
            let message = format!("above {most}, its value at the start, it needs a restart");
            return Err(StartError::of("content_limit", message));
        }
        // Without any, those in force stay, the generated one among them.
        if !config.auth.jwt_secrets.is_empty() {
            let secrets = &config.auth.jwt_secrets;
            let replaced = self.chat.auth().tokens.replace_keys(secrets);
            replaced.map_err(|error| StartError::of("jwt_secret", error.to_string()))?;
            self.parts.replace_secrets(secrets);
        }
        self.chat.set_content_limit(config.limits.content_bytes);
        self.chat.set_room_limit(config.limits.room_members);
        self.chat.set_rates(rates(config));
        self.chat.set_quotas(quotas(config));
        self.chat.set_directory(directory(config));
        self.hub.set_last_seen(config.limits.last_seen);
        self.hub.seats().set(seat_limits(config));
        self.lobby.set(lobby_limits(config));
        self.hub.set_watch_limit(config.limits.watched_users);
        Ok(())
    }

    /// The clients that are connected, for operators to list and to end.
    #[must_use]
    pub fn clients(&self) -> Arc<dyn Clients> {
        Arc::new(operators::HubClients(Arc::clone(&self.hub)))
    }

    fn spawn_tasks(&self) {
        let stop = || self.stop.clone();
        let (hub, stop_hub) = (Arc::clone(&self.hub), stop());
        self.spawn("hub", async move { hub.run(stop_hub).await });
        let (cursors, stop_cursors) = (Arc::clone(&self.cursors), stop());
        self.spawn("cursors", async move { cursors.run(stop_cursors).await });
        let (presence, stop_presence) = (Arc::clone(&self.parts.presence), stop());
        self.spawn("lease", async move { presence.run(stop_presence).await });
        let (throttle, stop_throttle) = (Arc::clone(&self.parts.throttle), stop());
        self.spawn("throttle", async move { throttle.run(stop_throttle).await });
        let (hearing, stop_hearing) = (Arc::clone(&self.hearing), stop());
        self.spawn("hearing", async move {
            stop_hearing.run_until_cancelled(hearing.run()).await;
        });
        if let Some(mut changes) = self.parts.primary_changes.clone() {
            let (hub, stop) = (Arc::clone(&self.hub), stop());
            self.spawn("primary", async move {
                while let Some(Ok(())) = stop.run_until_cancelled(changes.changed()).await {
                    hub.primary_changed().await;
                }
            });
        }
        let store = Arc::clone(&self.parts.store);
        self.spawn("asking the store", ask_store(store, stop()));
        self.tasks.close();
    }

    /// Under a name that logs and the watchdog know.
    fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(served::task(name, work));
    }
}

/// Whether there is room for new clients. A full lobby does not make the gateway unready: strangers who fill one fill
/// all, and those who bring a token with their handshake still get in.
fn check_room(readiness: &Readiness, seats: &Seats, lobby: &Lobby) {
    let (seats, lobby) = (seats.clone(), lobby.clone());
    readiness.check("sessions", move || match seats.is_nearly_full() {
        true => Health::Failed("nearly at session_limit".to_owned()),
        false => Health::Well,
    });
    readiness.check("anonymous", move || match lobby.is_nearly_full() {
        true => Health::Degraded("nearly at anonymous_limit".to_owned()),
        false => Health::Well,
    });
}

fn auth_config(config: &Config, parts: &Adapters) -> AuthConfig {
    AuthConfig {
        secrets: parts.secrets.clone(),
        access_lifetime: config.auth.access_token_lifetime,
        refresh_lifetime: config.auth.refresh_token_lifetime,
        password_threads: config.auth.password_threads,
        password_queue: config.auth.password_queue,
        ..AuthConfig::default()
    }
}

/// What is looked at when metrics are rendered. Weakly: what is counted with metrics must not be kept alive by them.
fn measure(metrics: &Metrics, hub: &Arc<Hub>, committer: &Arc<Committer>) {
    let (hub, committer) = (Arc::downgrade(hub), Arc::downgrade(committer));
    metrics.sample(move |handles| {
        if let (Some(hub), Some(committer)) = (hub.upgrade(), committer.upgrade()) {
            hub.measure(handles);
            handles.commit_queue.set(committer.waiting() as f64);
        }
    });
}

/// Asks the store now and then, so that its metrics tell of an outage that no client has met yet.
async fn ask_store(store: Arc<dyn Store>, stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(ASK_STORE_EVERY))
        .await
        .is_some()
    {
        // What came of it is counted.
        let _ = store.ping().await;
    }
}

/// Returns which log this is.
async fn prepare_for_ever(
    stores: &Stores,
    readiness: &Readiness,
    entropy: &Entropy,
) -> Result<String, Failure> {
    use std::sync::atomic::{AtomicBool, Ordering};
    let is_there = Arc::new(AtomicBool::new(false));
    let shown = Arc::clone(&is_there);
    readiness.check("schema", move || match shown.load(Ordering::Relaxed) {
        true => Health::Well,
        false => Health::Failed("waiting for the store".to_owned()),
    });
    let mut backoff = Backoff::between(MIGRATE_RETRY.0, MIGRATE_RETRY.1);
    let log = loop {
        match stores.prepare().await {
            Ok(log) => break log,
            Err(crate::store::StoreError::Broken(cause)) => return Err(Failure::Runtime(cause)),
            Err(error) => tracing::warn!(%error, "waiting for the store"),
        }
        tokio::time::sleep(backoff.step(entropy)).await;
    };
    is_there.store(true, Ordering::Relaxed);
    Ok(log)
}

/// Brings the database's schema up to date; after a restore, its cursors back to the heads of their logs, too (D37).
///
/// # Errors
/// When the database does not answer, or refuses.
pub async fn migrate(config: &Config, is_restored: bool) -> Result<(), Failure> {
    let stores = Stores::open(config, &World::new(), &Metrics::none()).await?;
    let mut migrated = stores.store.migrate().await;
    if is_restored && migrated.is_ok() {
        migrated = stores.store.clamp_all_cursors().await;
    }
    stores.close().await;
    migrated.map_err(|error| Failure::Runtime(error.to_string()))
}

#[async_trait]
impl Service for App {
    fn router(&self) -> Router {
        self.router.clone()
    }

    async fn drain(&self, deadline: Instant) {
        self.socket_io.engine().refuse_new();
        self.hub.drain(deadline).await;
        // The last frames of the sessions that were closed last.
        let ended = self.socket_io.engine().finished();
        let _ = timeout_at(deadline, ended).await;
        let stored = async {
            self.committer.idle().await;
            self.cursors.settle().await;
        };
        if timeout_at(deadline, stored).await.is_err() {
            tracing::warn!("stopping with outcomes or cursors unknown");
        }
        self.stop.cancel();
        if timeout_at(deadline, self.tasks.wait()).await.is_err() {
            tracing::warn!("some tasks did not end in time");
        }
        self.parts.close().await;
        self.traces.close(LAST_SPANS).await;
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("hub", &self.hub)
            .finish_non_exhaustive()
    }
}
