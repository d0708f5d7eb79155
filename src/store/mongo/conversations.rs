//! Conversations and members: making and reading them. Their changes are in `change.rs`.

use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use mongodb::error::Error;

use super::documents::{ConversationDocument, MemberDocument, date, kind, number, user_key};
use super::{MongoStore, failure, transaction};
use crate::domain::{Conversation, ConversationId, Member, Role, Seq, Timestamp, UserId};
use crate::store::{NewRoom, StoreResult};

impl MongoStore {
    /// D6: the members first, the conversation last, so that a conversation which a majority read shows has its
    /// members. Each is an upsert that leaves what is there; the most frequent call is one read.
    pub(super) async fn ensure_direct_exists(
        &self,
        conversation: ConversationId,
        at: Timestamp,
    ) -> StoreResult<bool> {
        let key = conversation.to_string();
        let this = doc! { "_id": &key };
        let found = self.conversations.find_one(this.clone());
        if found.max_time(self.server_limit).await?.is_some() {
            return Ok(false);
        }
        let members = conversation.direct_users().map(|user| {
            let filter = doc! { "conversation": &key, "user": user_key(user) };
            self.insert_if_absent(&self.members, filter, new_direct_member())
        });
        try_join_all(members).await?;
        let facts = doc! { "kind": kind(conversation), "createdAt": date(at) };
        self.insert_if_absent(&self.conversations, this, facts)
            .await
    }

    /// Returns whether it was absent. Either way it is there now, and a majority has it (the server waits for a write
    /// that changes nothing, too).
    async fn insert_if_absent<T: Send + Sync>(
        &self,
        collection: &Collection<T>,
        filter: Document,
        facts: Document,
    ) -> StoreResult<bool> {
        for attempt in 0.. {
            let insert = doc! { "$setOnInsert": facts.clone() };
            match collection
                .update_one(filter.clone(), insert)
                .upsert(true)
                .await
            {
                Ok(outcome) => return Ok(outcome.upserted_id.is_some()),
                // Of two upserts that both find nothing, the unique index refuses one: it is there now.
                Err(error) if failure::is_duplicate(&error) => self.back_off(attempt).await,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// All in one transaction. A repetition finds the room there, and leaves it.
    pub(super) async fn insert_room(&self, room: &NewRoom) -> StoreResult<()> {
        for attempt in 0.. {
            let id = room.conversation.id;
            if !self.find_conversations(&[id]).await?.is_empty() {
                return Ok(());
            }
            match self.try_insert_room(room).await {
                Err(error) if transaction::met_others(&error) => self.back_off(attempt).await,
                outcome => return Ok(outcome?),
            }
        }
        Ok(())
    }

    async fn try_insert_room(&self, room: &NewRoom) -> Result<(), Error> {
        let conversation = ConversationDocument::from(&room.conversation);
        let members: Vec<_> = room.members.iter().map(MemberDocument::from).collect();
        let mut session = self.begin().await?;
        let work = async {
            self.conversations
                .insert_one(&conversation)
                .session(&mut session)
                .await?;
            self.members
                .insert_many(&members)
                .session(&mut session)
                .await?;
            Ok(())
        };
        let work = work.await;
        self.finish(&mut session, work).await
    }

    pub(super) async fn find_conversations(
        &self,
        ids: &[ConversationId],
    ) -> StoreResult<Vec<Conversation>> {
        let keys: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let found = self
            .conversations
            .find(doc! { "_id": { "$in": keys } })
            .max_time(self.server_limit);
        let found: Vec<ConversationDocument> = found.await?.try_collect().await?;
        found.into_iter().map(Conversation::try_from).collect()
    }

    pub(super) async fn find_member(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> StoreResult<Option<Member>> {
        let filter = doc! { "conversation": conversation.to_string(), "user": user_key(user) };
        let found = self.members.find_one(filter).max_time(self.server_limit);
        found.await?.map(Member::try_from).transpose()
    }

    pub(super) async fn find_members(
        &self,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> StoreResult<Vec<Member>> {
        if limit == 0 {
            return Ok(Vec::new()); // MongoDB reads a limit of zero as none.
        }
        let mut filter = active(conversation);
        if let Some(after) = after {
            filter.insert("user", doc! { "$gt": user_key(after) });
        }
        let found = self
            .members
            .find(filter)
            .sort(doc! { "user": 1 })
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .max_time(self.server_limit);
        let found: Vec<MemberDocument> = found.await?.try_collect().await?;
        found.into_iter().map(Member::try_from).collect()
    }

    pub(super) async fn find_memberships(&self, user: UserId) -> StoreResult<Vec<Member>> {
        let found = self
            .members
            .find(doc! { "user": user_key(user) })
            .max_time(self.server_limit);
        let found: Vec<MemberDocument> = found.await?.try_collect().await?;
        found.into_iter().map(Member::try_from).collect()
    }
}

/// A filter on the active members of a conversation.
pub(super) fn active(conversation: ConversationId) -> Document {
    doc! { "conversation": conversation.to_string(), "leftSeq": null }
}

/// A member of a direct conversation as they begin, without the fields that the filter of an upsert adds.
fn new_direct_member() -> Document {
    doc! {
        "role": Role::Member.as_str(),
        "joinedSeq": number(Seq::new(1)),
        "deliveredSeq": 0_i64,
        "readSeq": 0_i64,
    }
}
