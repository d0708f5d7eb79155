//! Everything clients can reach, on one port: REST, both socket protocols, the web client.

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderValue;

use super::world::World;
use crate::api::{self, ApiConfig};
use crate::chat::Chat;
use crate::config::{Config, StartError};
use crate::gateway::native::{self, NativeConfig};
use crate::gateway::requests::Requests;
use crate::gateway::socketio::ChatApplication;
use crate::metrics::Metrics;
use crate::transport::closing::closing;
use crate::transport::engineio::{Cors, EngineConfig};
use crate::transport::heartbeat::Wheel;
use crate::transport::lobby::Lobby;
use crate::transport::outbox::Flusher;
use crate::transport::socketio::{SocketIo, SocketIoConfig};
use crate::web;

/// Everything clients can reach.
pub(super) fn routes(
    config: &Config,
    world: &World,
    chat: Arc<Chat>,
    requests: &Requests,
    lobby: &Lobby,
) -> Result<(Router, SocketIo), StartError> {
    let origins: Result<Vec<HeaderValue>, _> = config
        .server
        .cors_origins
        .iter()
        .map(|origin| origin.parse())
        .collect();
    let allowed_origins = origins.map_err(|_| {
        StartError::of(
            "cors_origins",
            "an origin has a character that is not allowed",
        )
    })?;
    let sessions = &config.sessions;
    let flusher = Flusher::default();
    let native = NativeConfig {
        frame_bytes: sessions.frame_bytes,
        outbox_bytes: sessions.outbox_bytes,
        ping_interval: sessions.ping_interval,
        ping_timeout: sessions.ping_timeout,
        hello_within: sessions.hello_timeout,
        lobby: lobby.clone(),
        flusher: flusher.clone(),
    };
    let metrics = requests.hub().metrics();
    let wheel = Wheel::new(metrics.ping_seconds.clone());
    let socket_io = SocketIo::new(
        SocketIoConfig {
            engine: engine_config(config, world, &allowed_origins, metrics, (lobby, flusher)),
            connect_timeout: sessions.hello_timeout,
            ..SocketIoConfig::default()
        },
        Arc::new(ChatApplication::new(
            requests.clone(),
            Arc::clone(&world.entropy),
        )),
        wheel.clone(),
        Arc::clone(&world.entropy),
    );
    let router = api::router(
        chat,
        ApiConfig {
            allowed_origins,
            request_within: config.server.client_timeout,
            metrics: metrics.clone(),
        },
    )
    .merge(api::with_request_ids(
        native::router(native, requests.clone(), Arc::clone(&world.entropy), &wheel)
            .merge(socket_io.router())
            .merge(web::router()),
    ));
    Ok((router, socket_io))
}

fn session_prefix(config: &Config, world: &World) -> String {
    let prefix = config.server.session_prefix.clone();
    prefix.unwrap_or_else(|| world.gateway.to_string())
}

fn engine_config(
    config: &Config,
    world: &World,
    origins: &[HeaderValue],
    metrics: &Metrics,
    (lobby, flusher): (&Lobby, Flusher),
) -> EngineConfig {
    let sessions = &config.sessions;
    let cors = if origins.is_empty() {
        Cors::Closed
    } else {
        Cors::Origins(origins.to_vec())
    };
    EngineConfig {
        path: "/socket.io".to_owned(),
        ping_interval: sessions.ping_interval,
        ping_timeout: sessions.ping_timeout,
        max_payload: sessions.frame_bytes,
        outbox_bytes: sessions.outbox_bytes,
        sid_prefix: session_prefix(config, world),
        cors,
        lobby: lobby.clone(),
        flusher,
        metrics: metrics.clone(),
        close_code: |reason| closing(reason).code,
        ..EngineConfig::default()
    }
}
