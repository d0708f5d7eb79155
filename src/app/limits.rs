//! The settings that may change while a gateway runs, as the parts that heed them take them. Knows no part's state.

use crate::chat::{Directory, Quotas, Rates};
use crate::config::Config;
use crate::fanout::seats::SeatLimits;
use crate::throttle::Rate;
use crate::transport::lobby::LobbyLimits;

/// How many sessions there may be.
pub(super) fn seat_limits(config: &Config) -> SeatLimits {
    SeatLimits {
        all: config.limits.sessions,
        user: config.limits.user_sessions,
        network: config.limits.address_sessions,
    }
}

pub(super) fn rates(config: &Config) -> Rates {
    Rates {
        session: Rate::per_second(config.limits.session_rate),
        user: Rate::per_second(config.limits.user_rate),
        sign_in: Rate::per_second(config.limits.sign_in_rate),
        search: Rate::per_second(config.limits.search_rate),
    }
}

pub(super) fn quotas(config: &Config) -> Quotas {
    Quotas {
        rooms_made: config.limits.rooms_made,
        rooms: config.limits.rooms,
        additions: config.limits.additions,
        new_conversations: config.limits.new_conversations,
    }
}

pub(super) fn directory(config: &Config) -> Directory {
    Directory {
        search: config.limits.user_search,
        last_seen: config.limits.last_seen,
    }
}

pub(super) fn lobby_limits(config: &Config) -> LobbyLimits {
    LobbyLimits {
        places: config.limits.anonymous,
        rate: Rate::per_second(config.limits.handshake_rate),
    }
}
