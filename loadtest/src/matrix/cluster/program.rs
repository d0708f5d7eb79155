//! What runs as a gateway: the product, or a peer to compare it with. Knows the settings each is given.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use testbed::gateway::Place;
use testbed::leash::repository;

use crate::Invalid;

/// What all gateways of a cluster share; long enough for the product, and worth nothing.
pub(crate) const SECRET: &str = "a secret of the load test that everybody knows";

/// A server that is kept in `loadtest/peers/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Peer {
    /// Express, Mongoose and Socket.IO with the Redis adapter; what is missed in a room is missed, as in the seed
    NodeSocketio,
    /// The same, delivering what a reconnecting client missed in rooms
    NodeSocketioCatchUp,
}

/// What is started.
#[derive(Debug, Clone)]
pub(crate) enum Program {
    /// The product, by its binary.
    Hobnob(PathBuf),
    /// A peer.
    Peer(Peer),
}

impl Program {
    /// Whether it can be started: a peer needs its packages.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::Peer(_) if !peer_folder().join("node_modules").is_dir() => Err(Invalid(format!(
                "the packages of {} are missing: `make tools` installs them",
                peer_folder().display()
            ))),
            _ => Ok(()),
        }
    }

    /// How it is started in its place.
    pub(super) fn command(
        &self,
        place: &mut Place,
        redis_port: u16,
        mongodb_uri: &str,
        drain_grace: Duration,
    ) -> Command {
        let redis_url = format!("redis://127.0.0.1:{redis_port}");
        let mut command = match self {
            Self::Hobnob(binary) => hobnob(binary, place, &redis_url, drain_grace),
            Self::Peer(peer) => {
                place.readiness = format!("http://127.0.0.1:{}/health", place.port);
                node(*peer, place, &redis_url)
            }
        };
        command.env(self.mongodb_setting(), mongodb_uri);
        command
    }

    /// What says where MongoDB is.
    pub(super) const fn mongodb_setting(&self) -> &'static str {
        match self {
            Self::Hobnob(_) => "HOBNOB_MONGODB_URI",
            Self::Peer(_) => "MONGODB_URI",
        }
    }
}

impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hobnob(binary) => binary.display().fmt(f),
            Self::Peer(peer) => write!(f, "{peer:?}"),
        }
    }
}

fn hobnob(binary: &Path, place: &Place, redis_url: &str, drain_grace: Duration) -> Command {
    let on = |port: u16| format!("127.0.0.1:{port}");
    let mut command = Command::new(binary);
    command
        .env("HOBNOB_LISTEN", on(place.port))
        .env("HOBNOB_ADMIN_LISTEN", on(place.admin_port))
        .env("HOBNOB_REDIS_URL", redis_url)
        .env("HOBNOB_JWT_SECRET", SECRET)
        .env("HOBNOB_ACCESS_TOKEN_LIFETIME", "1h")
        .env("HOBNOB_DRAIN_GRACE", format!("{}s", drain_grace.as_secs()))
        .env("HOBNOB_LOG_FORMAT", "text")
        // One address stands for thousands of people here, and one session for what goes at all.
        .env("HOBNOB_SIGN_IN_RATE", "0")
        .env("HOBNOB_SESSION_RATE", "0")
        .env("HOBNOB_USER_RATE", "0")
        .env("HOBNOB_ROOMS_MADE_LIMIT", "0")
        .env("HOBNOB_ROOMS_LIMIT", "0")
        .env("HOBNOB_ADDITIONS_LIMIT", "0")
        .env("HOBNOB_NEW_CONVERSATIONS_LIMIT", "0")
        .env("HOBNOB_HANDSHAKE_RATE", "0")
        .env("HOBNOB_USER_SESSION_LIMIT", "0")
        .env("HOBNOB_ADDRESS_SESSION_LIMIT", "0")
        .env("HOBNOB_ADDRESS_CONNECTION_LIMIT", "0")
        // A tenth of it is one address' share.
        .env("HOBNOB_ANONYMOUS_LIMIT", "200000")
        .env("HOBNOB_SESSION_LIMIT", "20000")
        // Ten thousand sessions, and the connections they were registered over.
        .env("HOBNOB_CONNECTION_LIMIT", "20000")
        .env("HOBNOB_ROOM_MEMBER_LIMIT", "20000");
    command
}

fn peer_folder() -> PathBuf {
    repository().join("loadtest/peers/node-socketio")
}

fn node(peer: Peer, place: &Place, redis_url: &str) -> Command {
    let server = peer_folder().join("server.mjs");
    let catches_up = peer == Peer::NodeSocketioCatchUp;
    let mut command = Command::new("node");
    command
        .arg(server)
        .env("NODE_ENV", "production")
        .env("PORT", place.port.to_string())
        .env("REDIS_URL", redis_url)
        .env("JWT_SECRET", SECRET)
        .env("CATCH_UP", if catches_up { "1" } else { "" });
    command
}
