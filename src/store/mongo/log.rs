//! Reading the log: heads, ranges, pages of history, retries. All reads are majority reads from the primary (D1).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb::options::Hint;
use serde::Deserialize;

use super::MongoStore;
use super::documents::{conversation_id, number, seq, user_key};
use super::event_document::{EventDocument, event_key};
use super::schema::CONVERSATION_SEQ;
use crate::domain::{ClientMessageId, ConversationId, Event, Seq, UserId};
use crate::store::page::{Filling, is_cut};
use crate::store::{End, Span, StoreResult};

/// The most conversations in one query for heads.
pub(super) const HEADS: usize = 1000;

/// The most spans in one query for events.
const SPANS: usize = 100;

/// A head as the aggregation returns it.
#[derive(Deserialize)]
struct HeadDocument {
    #[serde(rename = "_id")]
    conversation: String,
    seq: i64,
}

impl MongoStore {
    /// Sorted against both fields of the index and grouped by its first: the server then skips from conversation to
    /// conversation (DISTINCT_SCAN) instead of reading whole logs.
    pub(super) async fn find_heads(
        &self,
        conversations: &[ConversationId],
    ) -> StoreResult<HashMap<ConversationId, Seq>> {
        let mut heads = HashMap::with_capacity(conversations.len());
        for some in conversations.chunks(HEADS) {
            let keys: Vec<String> = some.iter().map(ToString::to_string).collect();
            let pipeline = [
                doc! { "$match": { "conversation": { "$in": keys } } },
                doc! { "$sort": { "conversation": -1, "seq": -1 } },
                doc! { "$group": { "_id": "$conversation", "seq": { "$first": "$seq" } } },
            ];
            let found = self
                .events
                .aggregate(pipeline)
                .hint(by_place())
                .max_time(self.server_limit)
                .with_type::<HeadDocument>();
            let found: Vec<HeadDocument> = found.await?.try_collect().await?;
            for head in found {
                heads.insert(conversation_id(&head.conversation)?, seq(head.seq)?);
            }
        }
        Ok(heads)
    }

    /// Logs are dense, so heads tell how many events each span has: as many spans as fit into the limit are one query,
    /// and the one that exceeds it a query of its own. Nothing is read that is not returned.
    pub(super) async fn find_events(
        &self,
        spans: &[Span],
        limit: usize,
    ) -> StoreResult<Vec<Event>> {
        let mut events = Vec::new();
        for some in spans.chunks(SPANS) {
            let mut rest = self.clamp_to_heads(some, limit - events.len()).await?;
            while !rest.is_empty() && !is_cut(&events, limit) {
                let room = limit - events.len();
                let whole = spans_within(&rest, room).max(1);
                let fitting: Vec<Span> = rest.drain(..whole).collect();
                match self.all_events(&fitting, room).await? {
                    Some(found) => events.extend(found),
                    None => self.add_one_by_one(&fitting, limit, &mut events).await?,
                }
            }
            if is_cut(&events, limit) {
                break;
            }
        }
        Ok(events)
    }

    /// Adds the events of these spans, which are too heavy for one page, span by span up to the end of the page.
    async fn add_one_by_one(
        &self,
        spans: &[Span],
        limit: usize,
        events: &mut Vec<Event>,
    ) -> StoreResult<()> {
        let mut filling = Filling::default();
        let mut is_full = events.iter().any(|event| filling.is_full_with(event));
        for span in spans {
            if is_full || events.len() >= limit {
                break;
            }
            let room = limit - events.len();
            for event in self.list_events(range(span), 1, Some(room)).await? {
                is_full = filling.is_full_with(&event);
                events.push(event);
                if is_full {
                    break;
                }
            }
        }
        Ok(())
    }

    /// These spans without the empty ones, and without what is above the head of their log. Asks for heads only when the spans could hold
    /// more than there is room for.
    async fn clamp_to_heads(&self, spans: &[Span], room: usize) -> StoreResult<Vec<Span>> {
        let spans = spans.iter().filter(|span| span.after < span.up_to);
        let spans: Vec<Span> = spans.copied().collect();
        if spans.len() <= 1 || spans_within(&spans, room) == spans.len() {
            return Ok(spans);
        }
        let conversations: Vec<_> = spans.iter().map(|span| span.conversation).collect();
        let heads = self.find_heads(&conversations).await?;
        let clamped = spans.iter().filter_map(|span| {
            let head = *heads.get(&span.conversation)?;
            let up_to = span.up_to.min(head);
            (span.after < up_to).then_some(Span { up_to, ..*span })
        });
        Ok(clamped.collect())
    }

    /// All events of these spans, in the order of the spans; of one span only the first that there is room for. `None`
    /// when several together are heavier than a page.
    async fn all_events(&self, spans: &[Span], room: usize) -> StoreResult<Option<Vec<Event>>> {
        if let [span] = spans {
            let found = self.list_events(range(span), 1, Some(room)).await?;
            return Ok(Some(found));
        }
        let ranges: Vec<Document> = spans.iter().map(range).collect();
        let found = self.list_events(doc! { "$or": ranges }, 0, None).await?;
        if is_cut(&found, usize::MAX) {
            return Ok(None);
        }
        let mut logs: HashMap<ConversationId, BTreeMap<Seq, Event>> = HashMap::new();
        for event in found {
            let log = logs.entry(event.conversation).or_default();
            log.insert(event.seq, event);
        }
        let nothing = BTreeMap::new();
        let in_order = spans.iter().flat_map(|span| {
            let log = logs.get(&span.conversation).unwrap_or(&nothing);
            let here = log.range(span.after.next()..=span.up_to);
            here.map(|(_, event)| event.clone())
        });
        Ok(Some(in_order.collect()))
    }

    pub(super) async fn find_messages(
        &self,
        span: Span,
        end: End,
        limit: usize,
    ) -> StoreResult<Vec<Event>> {
        let mut filter = range(&span);
        filter.insert("kind", "message");
        match end {
            End::Oldest => self.list_events(filter, 1, Some(limit)).await,
            End::Newest => {
                let mut newest = self.list_events(filter, -1, Some(limit)).await?;
                newest.reverse();
                Ok(newest)
            }
        }
    }

    /// Events by place: ascending (1), descending (−1) or as they come (0), up to a page's weight. The hint spares the planner a trial of
    /// every index for every range.
    async fn list_events(
        &self,
        filter: Document,
        direction: i32,
        limit: Option<usize>,
    ) -> StoreResult<Vec<Event>> {
        if limit == Some(0) {
            return Ok(Vec::new()); // MongoDB reads a limit of zero as none.
        }
        let mut find = self
            .events
            .find(filter)
            .hint(by_place())
            .max_time(self.server_limit);
        if direction != 0 {
            find = find.sort(doc! { "conversation": direction, "seq": direction });
        }
        if let Some(limit) = limit {
            find = find.limit(i64::try_from(limit).unwrap_or(i64::MAX));
        }
        let mut found = find.await?;
        let (mut events, mut filling) = (Vec::new(), Filling::default());
        let mut left = BTreeSet::new();
        while let Some(document) = found.try_next().await? {
            let is_leftover = document.is_leftover();
            let event = Event::try_from(document)?;
            if is_leftover {
                left.insert(event.conversation);
            }
            let is_full = filling.is_full_with(&event);
            events.push(event);
            if is_full {
                break;
            }
        }
        if left.is_empty() {
            return Ok(events);
        }
        self.with_what_follows(events, left).await
    }

    /// Writes what follows from events of these logs, and reads the events again: what they say may have changed by that.
    async fn with_what_follows(
        &self,
        events: Vec<Event>,
        logs: BTreeSet<ConversationId>,
    ) -> StoreResult<Vec<Event>> {
        for log in &logs {
            self.project_left(Some(*log)).await?;
        }
        let logs: Vec<String> = logs.iter().map(ToString::to_string).collect();
        let ids: Vec<_> = events.iter().map(|event| event_key(event.id)).collect();
        let these = doc! { "_id": { "$in": ids }, "conversation": { "$in": logs } };
        let found = self.events.find(these).max_time(self.server_limit);
        let found: Vec<EventDocument> = found.await?.try_collect().await?;
        let mut again = HashMap::with_capacity(found.len());
        for document in found {
            let event = Event::try_from(document)?;
            again.insert(event.id, event);
        }
        let again = events
            .into_iter()
            .map(|event| again.remove(&event.id).unwrap_or(event));
        Ok(again.collect())
    }

    /// The event at a place, whatever follows from it.
    pub(super) async fn find_at(
        &self,
        conversation: ConversationId,
        seq: Seq,
    ) -> StoreResult<Option<Event>> {
        self.find_event(doc! { "conversation": conversation.to_string(), "seq": number(seq) })
            .await
    }

    pub(super) async fn find_event(&self, filter: Document) -> StoreResult<Option<Event>> {
        let found = self.events.find_one(filter).max_time(self.server_limit);
        found.await?.map(Event::try_from).transpose()
    }

    pub(super) async fn find_message(
        &self,
        conversation: ConversationId,
        sender: UserId,
        client_message_id: &ClientMessageId,
    ) -> StoreResult<Option<Event>> {
        let filter = doc! {
            "conversation": conversation.to_string(),
            "sender": user_key(sender),
            "clientMessageId": client_message_id.as_str(),
        };
        self.find_event(filter).await
    }
}

/// How many of these spans, from the first on, hold at most this many events together, as far as their ends tell.
fn spans_within(spans: &[Span], room: usize) -> usize {
    let mut left = room as u64;
    let fits = |span: &&Span| {
        let size = span.up_to.get().saturating_sub(span.after.get());
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    };
    spans.iter().take_while(fits).count()
}

fn range(span: &Span) -> Document {
    doc! {
        "conversation": span.conversation.to_string(),
        "seq": { "$gt": number(span.after), "$lte": number(span.up_to) },
    }
}

/// The index that every read by place uses.
pub(super) fn by_place() -> Hint {
    Hint::Name(CONVERSATION_SEQ.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RoomId;

    fn span(after: u64, up_to: u64) -> Span {
        Span {
            conversation: ConversationId::Room(RoomId::from_bytes([1; 12])),
            after: Seq::new(after),
            up_to: Seq::new(up_to),
        }
    }

    #[test]
    fn spans_are_taken_while_they_fit_as_a_whole() {
        let spans = [span(0, 3), span(5, 5), span(9, 11), span(0, 1)];
        assert_eq!(spans_within(&spans, 5), 3);
        assert_eq!(spans_within(&spans, 4), 2);
        assert_eq!(spans_within(&spans, 6), 4);
        assert_eq!(spans_within(&[span(0, Seq::MAX.get())], 500), 0);
    }
}
