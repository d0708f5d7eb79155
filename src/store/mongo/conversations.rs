//! Conversations and members: making and reading them. Their changes follow from events: `projections.rs`.

use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use mongodb::Collection;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use mongodb::options::Hint;
use serde::{Deserialize, Serialize};

use super::documents::{
    ConversationDocument, MemberDocument, date, kind, number, user_id, user_key,
};
use super::event_document::EventDocument;
use super::schema::USER_CONVERSATION;
use super::{MongoStore, backoff, failure};
use crate::domain::{
    Conversation, ConversationId, Event, Member, Role, RoomId, RoomName, Seq, Timestamp, UserId,
};
use crate::store::{NewRoom, ROOMS_COMPARED, StoreResult};

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
        let mut backoff = backoff();
        loop {
            let insert = doc! { "$setOnInsert": facts.clone() };
            match collection
                .update_one(filter.clone(), insert)
                .upsert(true)
                .await
            {
                Ok(outcome) => return Ok(outcome.upserted_id.is_some()),
                // Of two upserts that both find nothing, the unique index refuses one: it is there now.
                Err(error) if failure::is_duplicate(&error) => self.pause(&mut backoff).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The event that its log begins with makes it, in one insert: if that is there, the room is, and what is missing of
    /// it is written by whoever meets the event (D53, D56).
    pub(super) async fn insert_room(&self, room: &NewRoom) -> StoreResult<()> {
        let creator = room.created.sender;
        let others = room.members.iter().map(|member| member.user);
        let others = others.filter(|user| *user != creator);
        let created = EventDocument::of_making(&room.created, others);
        match self.events.insert_one(&created).await {
            Err(error) if !failure::is_duplicate(&error) => return Err(error.into()),
            _ => {}
        }
        self.project_left(Some(room.conversation.id)).await
    }

    /// Who is a member finds the room, so that is made first. What is there already stays, as later events have left it.
    pub(super) async fn project_making(
        &self,
        created: &Event,
        name: &RoomName,
        others: &[UserId],
    ) -> StoreResult<()> {
        let room = NewRoom::of(created.clone(), name.clone(), others);
        let conversation = ConversationDocument::from(&room.conversation);
        let members: Vec<_> = room.members.iter().map(MemberDocument::from).collect();
        self.insert_what_is_missing(&self.conversations, &[conversation])
            .await?;
        self.insert_what_is_missing(&self.members, &members).await
    }

    async fn insert_what_is_missing<T: Serialize + Send + Sync>(
        &self,
        collection: &Collection<T>,
        documents: &[T],
    ) -> StoreResult<()> {
        match collection.insert_many(documents).ordered(false).await {
            Err(error) if !failure::is_duplicate(&error) => Err(error.into()),
            _ => Ok(()),
        }
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

    pub(super) async fn find_memberships(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreResult<Vec<Member>> {
        let after = after.map_or_else(String::new, |after| after.to_string());
        let filter = doc! { "user": user_key(user), "conversation": { "$gt": after } };
        self.list_memberships(filter, limit).await
    }

    pub(super) async fn find_rooms(
        &self,
        user: UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> StoreResult<Vec<Member>> {
        let after = after.map_or_else(String::new, |after| after.to_string());
        let rooms = doc! { "$gt": after, "$regex": ROOM };
        let filter = doc! { "user": user_key(user), "conversation": rooms, "leftSeq": null };
        self.list_memberships(filter, limit).await
    }

    /// One user's memberships by conversation, along the index.
    async fn list_memberships(&self, filter: Document, limit: usize) -> StoreResult<Vec<Member>> {
        if limit == 0 {
            return Ok(Vec::new()); // MongoDB reads a limit of zero as none.
        }
        let found = self
            .members
            .find(filter)
            .hint(Hint::Name(USER_CONVERSATION.to_owned()))
            .sort(doc! { "user": 1, "conversation": 1 })
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .max_time(self.server_limit);
        let found: Vec<MemberDocument> = found.await?.try_collect().await?;
        found.into_iter().map(Member::try_from).collect()
    }

    pub(super) async fn find_sharing(
        &self,
        user: UserId,
        others: &[UserId],
    ) -> StoreResult<Vec<UserId>> {
        let direct = others
            .iter()
            .map(|other| ConversationId::direct(user, *other));
        let direct: Vec<String> = direct.map(|id| id.to_string()).collect();
        let rooms = self.find_rooms(user, None, ROOMS_COMPARED).await?;
        let rooms: Vec<String> = rooms
            .iter()
            .map(|member| member.conversation.to_string())
            .collect();
        let keys: Vec<_> = others.iter().copied().map(user_key).collect();
        let shared = [direct, rooms].concat();
        let filter =
            doc! { "conversation": { "$in": shared }, "user": { "$in": keys }, "leftSeq": null };
        let found = self.members.distinct("user", filter);
        let found = found.max_time(self.server_limit).await?;
        let users = found.iter().filter_map(|user| user.as_object_id());
        Ok(users.map(user_id).collect())
    }

    pub(super) async fn find_users_in_rooms(
        &self,
        users: &[UserId],
        at_least: usize,
    ) -> StoreResult<Vec<UserId>> {
        let keys: Vec<_> = users.iter().copied().map(user_key).collect();
        let at_least = i64::try_from(at_least).unwrap_or(i64::MAX);
        let pipeline = [
            doc! { "$match": { "user": { "$in": keys }, "conversation": { "$regex": ROOM }, "leftSeq": null } },
            doc! { "$group": { "_id": "$user", "rooms": { "$sum": 1_i64 } } },
            doc! { "$match": { "rooms": { "$gte": at_least } } },
        ];
        let found = self
            .members
            .aggregate(pipeline)
            .hint(Hint::Name(USER_CONVERSATION.to_owned()))
            .max_time(self.server_limit)
            .with_type::<InRooms>();
        let found: Vec<InRooms> = found.await?.try_collect().await?;
        Ok(found.into_iter().map(|one| user_id(one.user)).collect())
    }

    /// The cursors are read before the head, so what is found beyond it is so, stale reads apart: then some events come
    /// twice.
    pub(super) async fn clamp_cursors_of(&self, conversation: ConversationId) -> StoreResult<()> {
        let key = conversation.to_string();
        let pipeline = [
            doc! { "$match": { "conversation": &key } },
            doc! { "$group": { "_id": null, "furthest": { "$max": { "$max": ["$deliveredSeq", "$readSeq"] } } } },
        ];
        let found = self
            .members
            .aggregate(pipeline)
            .max_time(self.server_limit)
            .with_type::<Furthest>();
        let found: Vec<Furthest> = found.await?.try_collect().await?;
        let furthest = found.first().map_or(0, |found| found.furthest);
        if furthest == 0 {
            return Ok(());
        }
        let heads = self.find_heads(&[conversation]).await?;
        let head = number(heads.get(&conversation).copied().unwrap_or(Seq::ZERO));
        if furthest > head {
            tracing::warn!(%conversation, "cursors beyond the log are brought back to its head");
            let beyond = doc! { "conversation": key, "$or": [
                { "deliveredSeq": { "$gt": head } },
                { "readSeq": { "$gt": head } },
            ]};
            let clamp = doc! { "$min": { "deliveredSeq": head, "readSeq": head } };
            self.members.update_many(beyond, clamp).await?;
        }
        Ok(())
    }
}

/// The ids of rooms among those of conversations: a direct one's has a hyphen.
const ROOM: &str = "^[0-9a-f]{24}$";

/// A user who is in many rooms.
#[derive(Deserialize)]
struct InRooms {
    #[serde(rename = "_id")]
    user: ObjectId,
}

/// The furthest cursor of a conversation's members.
#[derive(Deserialize)]
struct Furthest {
    furthest: i64,
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
