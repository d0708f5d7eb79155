//! What writers have left: events of which nobody has written what follows, because their gateway died, froze or was cut
//! off in between, or has only just inserted them. Whoever needs it writes it (D56): in the order of the log, from the
//! events themselves and the documents as they stand.

use futures_util::{TryStreamExt, stream};
use mongodb::bson::doc;
use mongodb::options::Hint;

use super::MongoStore;
use super::event_document::EventDocument;
use super::schema::UNPROJECTED;
use crate::domain::{Body, ConversationId, Event, projections};
use crate::store::{Projected, StoreError, StoreResult};

/// The most events read at once.
const PAGE: i64 = 100;
/// How many logs are worked on at once.
const LOGS: usize = 8;

impl MongoStore {
    pub(super) async fn project_left(&self, of: Option<ConversationId>) -> StoreResult<()> {
        if let Some(conversation) = of {
            return self.project_left_in(&conversation.to_string()).await;
        }
        let found = self
            .events
            .distinct("conversation", doc! { "unprojected": true });
        let found = found.max_time(self.server_limit).await?;
        let logs = found.iter().filter_map(|key| key.as_str());
        stream::iter(logs.map(Ok))
            .try_for_each_concurrent(LOGS, |log| self.project_left_in(log))
            .await
    }

    /// One event after the other: what one projects is read for the next.
    async fn project_left_in(&self, conversation: &str) -> StoreResult<()> {
        let mut after = 0;
        loop {
            let left = doc! {
                "unprojected": true,
                "conversation": conversation,
                "seq": { "$gt": after },
            };
            let found = self
                .events
                .find(left)
                .sort(doc! { "unprojected": 1, "conversation": 1, "seq": 1 })
                .hint(Hint::Name(UNPROJECTED.to_owned()))
                .limit(PAGE)
                .max_time(self.server_limit);
            let found: Vec<EventDocument> = found.await?.try_collect().await?;
            let Some(last) = found.last() else {
                return Ok(());
            };
            after = last.place();
            for document in found {
                self.project_document(document).await?;
            }
        }
    }

    async fn project_document(&self, document: EventDocument) -> StoreResult<()> {
        let others: Vec<_> = document.other_members().collect();
        let event = Event::try_from(document)?;
        if let Body::Created { name } = &event.body {
            self.project_making(&event, name, &others).await?;
        }
        let target = match event.body.target() {
            Some(seq) => self.find_at(event.conversation, seq).await?,
            None => None,
        };
        let message = target.as_ref().and_then(|target| target.body.message());
        let projections = projections(&event, message);
        let (conversation, seq) = (event.conversation, event.seq);
        let event = event.into();
        match self
            .project_events(&[Projected { event, projections }])
            .await
        {
            // It would be tried again for ever, and hold up all that comes behind it.
            Err(StoreError::Broken(cause)) => {
                tracing::error!(cause, %conversation, %seq, "what follows from an event cannot be written");
                Ok(())
            }
            outcome => outcome,
        }
    }
}
