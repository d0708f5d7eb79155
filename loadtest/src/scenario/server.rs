//! What a scenario can be run against. Knows how each differs for the clients.

use std::path::Path;

use crate::Invalid;
use crate::check::{Load, Protocols};
use crate::matrix::{Peer, Program, shipped};

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Server {
    /// The product
    Hobnob,
    /// The peer, as the seed is
    NodeSocketio,
    /// The peer, catching up in rooms
    NodeSocketioCatchUp,
    /// A server that only writes pre-built frames: the floor of fan-out and of idle sessions
    Limit,
}

impl Server {
    /// The name on the command line and in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hobnob => "hobnob",
            Self::NodeSocketio => "node-socketio",
            Self::NodeSocketioCatchUp => "node-socketio-catch-up",
            Self::Limit => "limit",
        }
    }

    /// What is started as a gateway; `None` for the limit, which has none.
    pub(super) fn program(self, hobnob: Option<&Path>) -> Result<Option<Program>, Invalid> {
        Ok(match self {
            Self::Hobnob => Some(Program::Hobnob(shipped(hobnob)?)),
            Self::NodeSocketio => Some(Program::Peer(Peer::NodeSocketio)),
            Self::NodeSocketioCatchUp => Some(Program::Peer(Peer::NodeSocketioCatchUp)),
            Self::Limit => None,
        })
    }

    /// The same load, in a language that the server speaks.
    pub(super) fn load(self, load: &Load) -> Load {
        let mut load = load.clone();
        if self != Self::Hobnob {
            load.protocol = Protocols::Socketio;
        }
        load
    }

    pub(super) fn has_metrics(self) -> bool {
        self == Self::Hobnob
    }
}
