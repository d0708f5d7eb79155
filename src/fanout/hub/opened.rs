//! An open session as a value: whoever drops it has left the hub, also by a panic. Knows no protocol.

use std::ops::Deref;
use std::sync::Arc;

use super::super::session::Session;
use super::Hub;
use crate::transport::outbox::Reason;

/// A session from its opening to its end; see [`Hub::open`].
#[derive(Debug)]
pub struct Opened {
    hub: Arc<Hub>,
    session: Arc<Session>,
    has_left: bool,
}

impl Opened {
    pub(super) fn new(hub: &Arc<Hub>, session: Arc<Session>) -> Self {
        let hub = Arc::clone(hub);
        Self {
            hub,
            session,
            has_left: false,
        }
    }

    /// Leaves before it is dropped; what follows is its goodbye.
    pub fn leave(&mut self) {
        if !std::mem::replace(&mut self.has_left, true) {
            self.hub.leave(&self.session);
        }
    }
}

impl Deref for Opened {
    type Target = Arc<Session>;

    fn deref(&self) -> &Arc<Session> {
        &self.session
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // A fault of ours: the client may come back, to a session without its consequences.
            self.session.close(Reason::ServerClosed);
        }
        self.leave();
    }
}
