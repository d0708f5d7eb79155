//! Changes: an event and what it projects, in one transaction (D7, D8). `domain::decide` decides; this reads for it and
//! writes for it.
//!
//! The facts are read before the transaction (see `facts.rs`), which then only looks at the end of the log, inserts the
//! event there and writes the projections. So the time in which an append of somebody else makes it fail is one round
//! trip, and the time in which it makes appends of others wait is a few: this is what lets changes through in a hot
//! conversation, and it needs no `$lookup`, which a sharded transaction could not do.

use mongodb::ClientSession;
use mongodb::error::Error;

use super::event_document::EventDocument;
use super::{MongoStore, transaction};
use crate::domain::{Change, Decision, Event, Facts, decide};
use crate::store::{Changed, StoreResult};

impl MongoStore {
    /// Repeats until it is done or refused; the call's limit of time ends it.
    pub(super) async fn make_change(&self, change: &Change) -> StoreResult<Changed> {
        let mut attempt = 0;
        loop {
            if let Some(done) = self.try_change(change).await? {
                return Ok(done);
            }
            self.back_off(attempt).await;
            attempt += 1;
        }
    }

    /// None when others changed the conversation meanwhile.
    async fn try_change(&self, change: &Change) -> StoreResult<Option<Changed>> {
        let (stored, facts) = self.read_facts(change).await?;
        if let Some(event) = stored {
            return Ok(Some(Changed::Applied(Box::new(event))));
        }
        let answer = match decide(change, &facts, self.room_limit()) {
            Err(refusal) => Changed::Refused(refusal),
            Ok(Decision::Nothing) => Changed::Nothing,
            Ok(Decision::Apply { .. }) => return self.apply(change, facts).await,
        };
        // The facts were read one by one: they belong together only if none of them has changed since the first.
        let quiet = self
            .head_if_quiet(change.conversation, facts.head, None)
            .await?;
        Ok(quiet.map(|_| answer))
    }

    async fn apply(&self, change: &Change, facts: Facts) -> StoreResult<Option<Changed>> {
        let mut session = self.begin().await?;
        let mut applied = None;
        let work = self
            .write(change, facts, &mut session)
            .await
            .map(|event| applied = event);
        match self.finish(&mut session, work).await {
            Ok(()) => Ok(applied.map(Changed::Applied)),
            Err(error) if transaction::met_others(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The part within the transaction. Decides again at the head it finds, for the seqs that the projections name.
    /// None when the facts are out of date.
    async fn write(
        &self,
        change: &Change,
        mut facts: Facts,
        session: &mut ClientSession,
    ) -> Result<Option<Box<Event>>, Error> {
        let conversation = change.conversation;
        let Some(head) = self
            .head_if_quiet(conversation, facts.head, Some(session))
            .await?
        else {
            return Ok(None);
        };
        facts.head = head;
        let Ok(Decision::Apply { event, projections }) = decide(change, &facts, self.room_limit())
        else {
            return Ok(None);
        };
        let document = EventDocument::from(&*event);
        self.events
            .insert_one(&document)
            .session(&mut *session)
            .await?;
        for projection in &projections {
            self.project(conversation, projection, session).await?;
        }
        Ok(Some(event))
    }
}
