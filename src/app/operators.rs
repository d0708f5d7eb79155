//! The gateway's sessions as its operators see them. Knows no settings.

use std::sync::Arc;

use crate::admin::{Clients, ListedSession, Whom};
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
        protocol: session.protocol().name(),
        joined: session.has_joined(),
        queued_bytes: session.queued_bytes(),
    }
}
