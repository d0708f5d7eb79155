//! The committer over a store that does as it is told, with the clock paused.

mod changes;
mod delegation;
mod double;
mod fairness;
mod faults;
mod making;
mod order;
mod retries;
mod stuck;
mod told;

use std::sync::Arc;

use super::{Changed, CommitError, Committer, CommitterConfig, Delegation, Ticket};
use crate::commit::frontier::Frontier;
use crate::domain::{
    ClientMessageId, Content, ConversationId, Entropy, Event, EventId, Fingerprint, RoomId,
    SessionId, Timestamp, UserId,
};
use crate::metrics::Metrics;
use crate::store::NewMessage;
use double::{Double, State};
use told::Told;

const ALICE: UserId = user(1);
const BOB: UserId = user(2);
const SESSION: SessionId = SessionId::from_u64(7);

const fn user(number: u8) -> UserId {
    UserId::from_bytes([number; 12])
}

const fn room(number: u8) -> ConversationId {
    ConversationId::Room(RoomId::from_bytes([number; 12]))
}

const ROOM: ConversationId = room(1);

/// A message whose content and clientMessageId are this text.
fn message(sender: u8, text: &str) -> NewMessage {
    let content = Content::parse(text, Content::DEFAULT_LIMIT).unwrap();
    let at = Timestamp::from_millis(0);
    NewMessage {
        id: EventId::generate(at, &Entropy::from_os()),
        sender: user(sender),
        at,
        client_message_id: ClientMessageId::parse(&text.replace(' ', "-")).unwrap(),
        fingerprint: Fingerprint::of(&content),
        content,
    }
}

/// A committer with its store and those it tells.
struct Scene {
    committer: Committer,
    store: Arc<Double>,
    told: Arc<Told>,
}

impl Scene {
    fn new() -> Self {
        Self::bounded(CommitterConfig::default())
    }

    fn bounded(config: CommitterConfig) -> Self {
        Self::on(Arc::default(), config, None)
    }

    /// One that leaves the writing to others where they win.
    fn delegating(delegation: Arc<dyn Delegation>) -> Self {
        Self::on(Arc::default(), CommitterConfig::default(), Some(delegation))
    }

    fn on(
        store: Arc<Double>,
        config: CommitterConfig,
        delegation: Option<Arc<dyn Delegation>>,
    ) -> Self {
        let told = Arc::new(Told::default());
        let committer = Committer::new(
            config,
            Arc::clone(&store) as _,
            Arc::clone(&told) as _,
            delegation,
            Arc::new(Frontier::default()),
            Arc::new(Entropy::seeded(1)),
            Metrics::none(),
        );
        Self {
            committer,
            store,
            told,
        }
    }

    fn submit(&self, message: NewMessage) -> Ticket<Changed> {
        let submitted = self.committer.submit(ROOM, message, Some(SESSION), None);
        submitted.unwrap()
    }

    async fn send(&self, message: NewMessage) -> Result<u64, CommitError> {
        Ok(self.submit(message).event().await?.seq.get())
    }

    /// For the next insert.
    fn step(
        &self,
        step: impl FnOnce(&mut State, &crate::store::Run) -> crate::store::RunOutcome + Send + 'static,
    ) {
        self.state().steps.push_back(Box::new(step));
    }

    fn state(&self) -> parking_lot::MutexGuard<'_, State> {
        self.store.state.lock()
    }

    fn committed(&self) -> Vec<(u64, Option<SessionId>)> {
        self.told.committed.lock().clone()
    }

    fn stored(&self) -> Vec<String> {
        self.state().contents(ROOM)
    }
}

fn refused() -> CommitError {
    CommitError::Refused(crate::domain::Refusal::NotAMember)
}
