//! When each of a user's conversations had its last message. Orders nothing.

use std::collections::HashMap;

use futures_util::TryStreamExt;
use mongodb::bson::{DateTime, Document, doc};
use serde::Deserialize;

use super::MongoStore;
use super::documents::{conversation_id, number, seq, timestamp, user_key};
use super::event_document::kind;
use super::log::{HEADS, by_place};
use crate::domain::{ConversationId, Kind, Member, Seq, Timestamp, UserId};
use crate::store::StoreResult;

/// A membership, and the last message of its part of the log.
pub(super) struct RankedMembership {
    pub(super) member: Member,
    pub(super) last: Option<(Seq, Timestamp)>,
}

/// The newest event of a log.
#[derive(Deserialize)]
struct TipDocument {
    #[serde(rename = "_id")]
    conversation: String,
    seq: i64,
    #[serde(with = "kind")]
    kind: Kind,
    at: DateTime,
}

struct Tip {
    seq: Seq,
    kind: Kind,
    at: Timestamp,
}

/// The last message of one membership's part of a log, if there is any.
#[derive(Deserialize)]
struct LastDocument {
    conversation: String,
    last: Vec<PlaceDocument>,
}

#[derive(Deserialize)]
struct PlaceDocument {
    seq: i64,
    at: DateTime,
}

impl MongoStore {
    /// The active memberships, and that of the last line of the page before even if it ended, so that paging goes on
    /// behind it. Most logs end with a message of the member's: one query. Only the others are searched.
    pub(super) async fn list_lines(
        &self,
        user: UserId,
        after: Option<ConversationId>,
    ) -> StoreResult<Vec<RankedMembership>> {
        let members = self.find_all_memberships(user).await?;
        let listed = |member: &Member| member.is_active() || Some(member.conversation) == after;
        let members: Vec<Member> = members.into_iter().filter(listed).collect();
        let all: Vec<_> = members.iter().map(|member| member.conversation).collect();
        let tips = self.find_tips(&all).await?;
        let (mut lines, mut unclear) = (Vec::with_capacity(members.len()), Vec::new());
        for member in members {
            let last = match tips.get(&member.conversation) {
                Some(tip) if tip.is_message_of(&member) => Some((tip.seq, tip.at)),
                // Nothing was said yet behind the first event.
                Some(tip) if tip.kind == Kind::Created => None,
                Some(_) => {
                    unclear.push(member.conversation);
                    None
                }
                None => None,
            };
            lines.push(RankedMembership { member, last });
        }
        let mut found = self.search_last_messages(user, &unclear).await?;
        for line in &mut lines {
            line.last = line.last.or(found.remove(&line.member.conversation));
        }
        Ok(lines)
    }

    async fn find_all_memberships(&self, user: UserId) -> StoreResult<Vec<Member>> {
        self.find_memberships(user, None, usize::MAX).await
    }

    /// Like heads, by skipping from log to log, with a look at each newest event.
    async fn find_tips(
        &self,
        conversations: &[ConversationId],
    ) -> StoreResult<HashMap<ConversationId, Tip>> {
        let mut tips = HashMap::with_capacity(conversations.len());
        for some in conversations.chunks(HEADS) {
            let keys: Vec<String> = some.iter().map(ToString::to_string).collect();
            let pipeline = [
                doc! { "$match": { "conversation": { "$in": keys } } },
                doc! { "$sort": { "conversation": -1, "seq": -1 } },
                doc! { "$group": {
                    "_id": "$conversation",
                    "seq": { "$first": "$seq" },
                    "kind": { "$first": "$kind" },
                    "at": { "$first": "$at" },
                }},
            ];
            let found = self
                .events
                .aggregate(pipeline)
                .hint(by_place())
                .max_time(self.server_limit)
                .with_type::<TipDocument>();
            let found: Vec<TipDocument> = found.await?.try_collect().await?;
            for document in found {
                let tip = Tip {
                    seq: seq(document.seq)?,
                    kind: document.kind,
                    at: timestamp(document.at),
                };
                tips.insert(conversation_id(&document.conversation)?, tip);
            }
        }
        Ok(tips)
    }

    async fn search_last_messages(
        &self,
        user: UserId,
        conversations: &[ConversationId],
    ) -> StoreResult<HashMap<ConversationId, (Seq, Timestamp)>> {
        if conversations.is_empty() {
            return Ok(HashMap::new());
        }
        let keys: Vec<String> = conversations.iter().map(ToString::to_string).collect();
        let theirs = doc! { "$and": [
            { "$gte": ["$seq", "$$joined"] },
            { "$lte": ["$seq", "$$left"] },
        ]};
        let last = vec![
            doc! { "$match": { "kind": "message", "$expr": theirs } },
            doc! { "$sort": { "seq": -1 } },
            doc! { "$limit": 1 },
            doc! { "$project": { "_id": 0, "seq": 1, "at": 1 } },
        ];
        let bounds = doc! {
            "joined": "$joinedSeq",
            "left": { "$ifNull": ["$leftSeq", number(Seq::MAX)] },
        };
        let pipeline = [
            doc! { "$match": { "user": user_key(user), "conversation": { "$in": keys } } },
            of_each_log("last", bounds, last),
            doc! { "$project": { "_id": 0, "conversation": 1, "last": 1 } },
        ];
        let found = self
            .members
            .aggregate(pipeline)
            .max_time(self.server_limit)
            .with_type::<LastDocument>();
        let found: Vec<LastDocument> = found.await?.try_collect().await?;
        let last = found.into_iter().filter_map(|document| {
            let place = document.last.into_iter().next()?;
            let id = conversation_id(&document.conversation);
            Some(id.and_then(|id| Ok((id, (seq(place.seq)?, timestamp(place.at))))))
        });
        last.collect()
    }
}

impl Tip {
    fn is_message_of(&self, member: &Member) -> bool {
        let theirs = member.joined_seq..=member.last_seq();
        self.kind == Kind::Message && theirs.contains(&self.seq)
    }
}

/// A stage that runs a pipeline over the log of each membership.
pub(super) fn of_each_log(name: &str, variables: Document, pipeline: Vec<Document>) -> Document {
    doc! { "$lookup": {
        "from": "events",
        "localField": "conversation",
        "foreignField": "conversation",
        "let": variables,
        "pipeline": pipeline,
        "as": name,
    }}
}
