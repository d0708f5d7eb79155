//! What every connection of `/ws` shares: bounds, and who is let in. Knows no frame.

use std::sync::Arc;
use std::time::Duration;

use super::super::requests::Requests;
use crate::auth::Caller;
use crate::chat::ChatError;
use crate::domain::{Entropy, Origin};
use crate::fanout::seats::Seat;
use crate::transport::heartbeat::Wheel;
use crate::transport::lobby::{Lobby, LobbyPlace, TurnedAway};
use crate::transport::outbox::Flusher;

/// Bounds and pace of `/ws`.
#[derive(Debug, Clone)]
pub struct NativeConfig {
    /// The largest frame or message taken, in bytes.
    pub frame_bytes: usize,
    /// What may wait to be written, in bytes.
    pub outbox_bytes: usize,
    /// Time between two pings to a client.
    pub ping_interval: Duration,
    /// For the answer to one.
    pub ping_timeout: Duration,
    /// For the first frame, when the handshake carried no token.
    pub hello_within: Duration,
    /// Where clients wait for that frame.
    pub lobby: Lobby,
    /// What writes to the connections, whatever else it writes to.
    pub flusher: Flusher,
}

/// What every connection shares.
pub(super) struct NativeContext {
    pub(super) config: NativeConfig,
    pub(super) requests: Requests,
    pub(super) entropy: Arc<Entropy>,
    pub(super) wheel: Wheel,
}

/// Whose connection it is, as far as its handshake said.
pub(super) enum Guest {
    /// It is theirs, and they have a seat.
    Known(Caller, Seat),
    /// It is nobody's yet: the first frame must say.
    Stranger(LobbyPlace),
}

impl NativeContext {
    pub(super) fn new(
        config: NativeConfig,
        requests: Requests,
        entropy: Arc<Entropy>,
        wheel: Wheel,
    ) -> Self {
        Self {
            config,
            requests,
            entropy,
            wheel,
        }
    }

    /// Whose connection a token makes it, if there is one.
    pub(super) fn receive(
        &self,
        token: Option<&str>,
        origin: Option<Origin>,
    ) -> Result<Guest, ChatError> {
        match token {
            Some(token) => {
                let (caller, seat) = self.seat(token, origin)?;
                Ok(Guest::Known(caller, seat))
            }
            None => {
                let stranger = self.config.lobby.enter(origin.as_ref());
                Ok(Guest::Stranger(stranger.map_err(turned_away)?))
            }
        }
    }

    /// Whom a token speaks for, and a seat for them.
    pub(super) fn seat(
        &self,
        token: &str,
        origin: Option<Origin>,
    ) -> Result<(Caller, Seat), ChatError> {
        let hub = self.requests.hub();
        let caller = self.requests.chat().authenticate(token);
        let caller = caller.inspect_err(|_| hub.metrics().refused.unauthorized.increment(1))?;
        Ok((caller, hub.seats().take(caller.user, origin)?))
    }
}

const fn turned_away(why: TurnedAway) -> ChatError {
    match why {
        TurnedAway::Full => ChatError::Busy,
        TurnedAway::TooFast { retry_after } => ChatError::RateLimited { retry_after },
    }
}
