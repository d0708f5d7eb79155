//! The sessions of this gateway, joined or not, by their ids. Knows nothing of what they are given.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::session::Session;
use crate::domain::{SessionId, Timestamp};
use crate::transport::outbox::Reason;

/// See the module's documentation. Bounded by the seats there are.
#[derive(Default)]
pub(super) struct Sessions {
    open: Mutex<HashMap<SessionId, Arc<Session>>>,
    draining: AtomicBool,
}

impl Sessions {
    pub(super) fn add(&self, session: &Arc<Session>) {
        self.open.lock().insert(session.id(), Arc::clone(session));
    }

    pub(super) fn remove(&self, session: SessionId) {
        self.open.lock().remove(&session);
    }

    pub(super) fn get(&self, session: SessionId) -> Option<Arc<Session>> {
        self.open.lock().get(&session).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        self.open.lock().values().cloned().collect()
    }

    pub(super) fn count(&self) -> usize {
        self.open.lock().len()
    }

    /// Closes those whose token is no longer valid.
    pub(super) fn close_expired(&self, now: Timestamp) {
        for session in self.all() {
            if session.expires_at() < now {
                session.close(Reason::Unauthorized);
            }
        }
    }

    /// No new sessions from now on, and nothing more on behalf of other gateways.
    pub(super) fn refuse_new(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether new connections belong to another gateway.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
