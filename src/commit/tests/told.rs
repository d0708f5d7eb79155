//! An announcer that remembers whom it would have told.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::commit::Announce;
use crate::domain::{ConversationId, Event, SessionId, UserId};
use crate::traces::Trace;

/// Who was told what: the seqs of this gateway's commits with the session that had the answer, and of others' events.
#[derive(Default)]
pub(super) struct Told {
    pub(super) committed: Mutex<Vec<(u64, Option<SessionId>)>>,
    pub(super) delegated: Mutex<Vec<(u64, Option<SessionId>)>>,
    pub(super) found: Mutex<Vec<u64>>,
    pub(super) joined: Mutex<Vec<(ConversationId, Vec<UserId>)>>,
    /// The next announcement panics.
    pub(super) panics: Mutex<bool>,
}

impl Announce for Told {
    fn committed(&self, event: &Arc<Event>, origin: Option<SessionId>, _: Option<&Trace>) {
        assert!(!std::mem::take(&mut *self.panics.lock()), "told so");
        self.committed.lock().push((event.seq.get(), origin));
    }
    fn delegated(&self, event: &Arc<Event>, origin: Option<SessionId>) {
        self.delegated.lock().push((event.seq.get(), origin));
    }
    fn found(&self, event: &Arc<Event>) {
        self.found.lock().push(event.seq.get());
    }
    fn joined(&self, conversation: ConversationId, users: &[UserId]) {
        self.joined.lock().push((conversation, users.to_vec()));
    }
}
