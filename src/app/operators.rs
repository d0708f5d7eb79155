//! The gateway as its operators see it: its sessions, and new settings while it runs. Knows what may change without a
//! restart.

use std::sync::Arc;

use super::delivery::seat_limits;
use super::{App, directory, lobby_limits, parse_secrets, quotas, rates};
use crate::admin::{Clients, ListedSession, Whom};
use crate::config::{Config, StartError};
use crate::fanout::hub::Hub;
use crate::fanout::session::Session;
use crate::transport::outbox::Reason;

/// The sessions of a hub.
pub(super) struct HubClients(pub(super) Arc<Hub>);

impl Clients for HubClients {
    fn sessions(&self, whom: &Whom, most: usize) -> (usize, Vec<ListedSession>) {
        let meant: Vec<_> = self.meant(whom).collect();
        let listed = meant.iter().take(most).map(listed);
        (meant.len(), listed.collect())
    }

    fn disconnect(&self, whom: &Whom) -> usize {
        let open = self.meant(whom).filter(|session| !session.is_closed());
        open.map(|session| session.close(Reason::ServerClosed))
            .count()
    }
}

impl HubClients {
    fn meant<'a>(&self, whom: &'a Whom) -> impl Iterator<Item = Arc<Session>> + 'a {
        let is = |wanted: &Option<String>, id: String| {
            wanted.as_ref().is_none_or(|wanted| *wanted == id)
        };
        let sessions = self.0.sessions().into_iter();
        sessions.filter(move |session| {
            is(&whom.user_id, session.user().to_string())
                && is(&whom.session_id, session.id().to_string())
        })
    }
}

fn listed(session: &Arc<Session>) -> ListedSession {
    ListedSession {
        session_id: session.id().to_string(),
        user_id: session.user().to_string(),
        protocol: session.encoding().protocol(),
        joined: session.has_joined(),
        queued_bytes: session.queued_bytes(),
    }
}

impl App {
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
            let secrets = parse_secrets(&config.auth.jwt_secrets)?;
            let replaced = self.chat.auth().tokens.replace_keys(&secrets);
            replaced.map_err(|error| StartError::of("jwt_secret", error.to_string()))?;
            self.parts.replace_secrets(&config.auth.jwt_secrets);
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
}
