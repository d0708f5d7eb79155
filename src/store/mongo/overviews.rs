//! A user's list of conversations: when each had its last message is asked in `recency.rs`; here are the order, the
//! page, and, for the page alone, everything else.

use std::cmp::Reverse;
use std::collections::HashMap;

use futures_util::{TryStreamExt, try_join};
use mongodb::bson::doc;
use serde::Deserialize;

use super::MongoStore;
use super::documents::{conversation_id, user_key};
use super::recency::{RankedMembership, of_each_log};
use crate::domain::{Conversation, ConversationId, Event, Seq, Timestamp, UserId};
use crate::store::{Overview, Span, StoreResult};

/// How many messages of a conversation are unread; no document when there are none.
#[derive(Deserialize)]
struct UnreadDocument {
    conversation: String,
    unread: Vec<CountDocument>,
}

#[derive(Deserialize)]
struct CountDocument {
    count: i64,
}

impl MongoStore {
    pub(super) async fn find_overviews(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreResult<Vec<Overview>> {
        let lines = self.list_lines(user, after).await?;
        let quiet = lines.iter().filter(|line| line.last.is_none());
        let quiet: Vec<_> = quiet.map(|line| line.member.conversation).collect();
        let created = self.find_conversations(&quiet).await?;
        let created: HashMap<_, _> = created
            .into_iter()
            .map(|conversation| (conversation.id, conversation.created_at))
            .collect();
        let page = page(lines, &created, after, limit);
        self.fill_in(user, page).await
    }

    async fn fill_in(
        &self,
        user: UserId,
        page: Vec<RankedMembership>,
    ) -> StoreResult<Vec<Overview>> {
        let ids: Vec<_> = page.iter().map(|line| line.member.conversation).collect();
        let last = page.iter().filter_map(|line| {
            let (seq, _) = line.last?;
            let span = Span {
                conversation: line.member.conversation,
                after: seq.previous(),
                up_to: seq,
            };
            Some(span)
        });
        let last: Vec<Span> = last.collect();
        let (conversations, heads, messages, unread) = try_join!(
            self.find_conversations(&ids),
            self.find_heads(&ids),
            self.find_events(&last, last.len()),
            self.count_unread(user, &ids),
        )?;
        let mut conversations = by_id(conversations, |conversation: &Conversation| conversation.id);
        let mut messages = by_id(messages, |event: &Event| event.conversation);
        let filled = page.into_iter().filter_map(|line| {
            let id = line.member.conversation;
            Some(Overview {
                // A direct conversation is listed once it is made as a whole (D6).
                conversation: conversations.remove(&id)?,
                member: line.member,
                head: heads.get(&id).copied().unwrap_or(Seq::ZERO),
                last_message: messages.remove(&id),
                unread: unread.get(&id).copied().unwrap_or(0),
            })
        });
        Ok(filled.collect())
    }

    async fn count_unread(
        &self,
        user: UserId,
        conversations: &[ConversationId],
    ) -> StoreResult<HashMap<ConversationId, u64>> {
        let keys: Vec<String> = conversations.iter().map(ToString::to_string).collect();
        let others = doc! {
            "kind": "message",
            "sender": { "$ne": user_key(user) },
            "body.deletedAt": null,
            "$expr": { "$and": [
                { "$gt": ["$seq", "$$read"] },
                { "$gte": ["$seq", "$$joined"] },
            ]},
        };
        let limit = i64::try_from(Overview::UNREAD_LIMIT).unwrap_or(i64::MAX);
        let count = vec![
            doc! { "$match": others },
            doc! { "$limit": limit },
            doc! { "$count": "count" },
            doc! { "$project": { "count": { "$toLong": "$count" } } },
        ];
        let from = doc! { "read": "$readSeq", "joined": "$joinedSeq" };
        let pipeline = [
            doc! { "$match": { "user": user_key(user), "conversation": { "$in": keys } } },
            of_each_log("unread", from, count),
            doc! { "$project": { "_id": 0, "conversation": 1, "unread": 1 } },
        ];
        let found = self
            .members
            .aggregate(pipeline)
            .max_time(self.server_limit)
            .with_type::<UnreadDocument>();
        let found: Vec<UnreadDocument> = found.await?.try_collect().await?;
        let counts = found.into_iter().map(|document| {
            let count = document.unread.first().map_or(0, |counted| counted.count);
            let id = conversation_id(&document.conversation)?;
            Ok((id, u64::try_from(count).unwrap_or(0)))
        });
        counts.collect()
    }
}

/// The newest first, by the last message or else by creation; conversations of the same moment by id. What has neither
/// is being made (D6). Nothing comes after a conversation that was never the user's.
fn page(
    lines: Vec<RankedMembership>,
    created: &HashMap<ConversationId, Timestamp>,
    after: Option<ConversationId>,
    limit: usize,
) -> Vec<RankedMembership> {
    let placed = lines.into_iter().filter_map(|line| {
        let id = line.member.conversation;
        let moment = line.last.map(|(_, at)| at);
        let moment = moment.or_else(|| created.get(&id).copied())?;
        Some((Reverse((moment, id)), line))
    });
    let mut placed: Vec<_> = placed.collect();
    placed.sort_unstable_by_key(|(place, _)| *place);
    let begin = after.map_or(0, |after| {
        let last = |line: &RankedMembership| line.member.conversation == after;
        let last = placed.iter().position(|(_, line)| last(line));
        last.map_or(placed.len(), |last| last + 1)
    });
    let rest = placed.into_iter().skip(begin).map(|(_, line)| line);
    rest.filter(|line| line.member.is_active())
        .take(limit)
        .collect()
}

fn by_id<T>(found: Vec<T>, id: impl Fn(&T) -> ConversationId) -> HashMap<ConversationId, T> {
    found.into_iter().map(|one| (id(&one), one)).collect()
}
