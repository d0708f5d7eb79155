//! What a change is decided by, read without a transaction: the head of the log first, then everything else at once.
//!
//! Facts change by events only (cursors excepted, which decide nothing). So if the log still ends where it did, or goes
//! on with nothing but messages, the facts are those of its end; who inserts the next event proves it by the unique
//! key.

use futures_util::{TryStreamExt, try_join};
use mongodb::ClientSession;
use mongodb::bson::{Document, doc};
use mongodb::error::Error;
use serde::Deserialize;

use super::MongoStore;
use super::conversations::active;
use super::documents::{MemberDocument, number, seq, user_key};
use super::event_document::{Kind, event_key};
use crate::domain::{
    Change, ChangeKind, Conversation, ConversationId, Event, Facts, Member, Role, Seq, UserId,
};
use crate::store::StoreResult;

/// The most messages that may have come since the facts were read; more, and they are read again.
const NEWER: i64 = 100;

/// An event's place and kind.
#[derive(Deserialize)]
struct PlaceDocument {
    seq: i64,
    kind: Kind,
}

impl MongoStore {
    /// The stored event of this change, if an earlier attempt succeeded, and the facts.
    pub(super) async fn read_facts(&self, change: &Change) -> StoreResult<(Option<Event>, Facts)> {
        let id = change.conversation;
        let heads = self.find_heads(&[id]).await?;
        let head = heads.get(&id).copied().unwrap_or(Seq::ZERO);
        let (stored, conversation, actor, subject, target, active_members, heir) = try_join!(
            self.find_event(doc! { "_id": event_key(change.id), "conversation": id.to_string() }),
            self.find_conversation(id),
            self.find_member(id, change.actor),
            self.find_subject(id, change.kind.subject()),
            self.find_target(change),
            self.count_members(change),
            self.find_heir(change),
        )?;
        let bereaved = change.kind.bereaved(target.as_ref());
        let facts = Facts {
            conversation,
            head,
            actor,
            subject: subject.or(self.find_subject(id, bereaved).await?),
            target,
            active_members,
            heir,
        };
        Ok((stored, facts))
    }

    /// The head of the log, if nothing but messages was stored after this seq; none when there was, and the facts may
    /// be others. Within a transaction, of its snapshot.
    pub(super) async fn head_if_quiet(
        &self,
        conversation: ConversationId,
        since: Seq,
        session: Option<&mut ClientSession>,
    ) -> Result<Option<Seq>, Error> {
        let newer = doc! {
            "conversation": conversation.to_string(),
            "seq": { "$gt": number(since) },
        };
        let places = self.events.clone_with_type::<PlaceDocument>();
        let find = places
            .find(newer)
            .sort(doc! { "conversation": -1, "seq": -1 })
            .projection(doc! { "_id": 0, "seq": 1, "kind": 1 })
            .limit(NEWER)
            .max_time(self.server_limit);
        let places: Vec<PlaceDocument> = match session {
            None => find.await?.try_collect().await?,
            Some(session) => {
                let mut cursor = find.session(&mut *session).await?;
                cursor.stream(session).try_collect().await?
            }
        };
        let quiet = places.iter().all(|place| place.kind == Kind::Message);
        if !quiet || places.len() as i64 == NEWER {
            return Ok(None);
        }
        let head = places.first().and_then(|newest| seq(newest.seq).ok());
        Ok(Some(head.unwrap_or(since)))
    }

    async fn find_event(&self, filter: Document) -> StoreResult<Option<Event>> {
        let found = self.events.find_one(filter).max_time(self.server_limit);
        found.await?.map(Event::try_from).transpose()
    }

    async fn find_conversation(&self, id: ConversationId) -> StoreResult<Option<Conversation>> {
        Ok(self.find_conversations(&[id]).await?.pop())
    }

    async fn find_subject(
        &self,
        conversation: ConversationId,
        user: Option<UserId>,
    ) -> StoreResult<Option<Member>> {
        match user {
            Some(user) => self.find_member(conversation, user).await,
            None => Ok(None),
        }
    }

    async fn find_target(&self, change: &Change) -> StoreResult<Option<Event>> {
        let Some(target) = change.kind.target() else {
            return Ok(None);
        };
        let conversation = change.conversation.to_string();
        self.find_event(doc! { "conversation": conversation, "seq": number(target) })
            .await
    }

    async fn count_members(&self, change: &Change) -> StoreResult<usize> {
        if change.kind.subject().is_none() {
            return Ok(0);
        }
        let count = self
            .members
            .count_documents(active(change.conversation))
            .max_time(self.server_limit)
            .await?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Asked for when somebody leaves: the active member, the actor excepted, of whom [`Facts::heir`] speaks. An owner
    /// who is not the only one has none.
    async fn find_heir(&self, change: &Change) -> StoreResult<Option<Member>> {
        if !matches!(change.kind, ChangeKind::RemoveMember { user } if user == change.actor) {
            return Ok(None);
        }
        let mut others = active(change.conversation);
        others.insert("user", doc! { "$ne": user_key(change.actor) });
        // By name the roles are in the order admin, member, owner: an owner is looked for in the first place.
        let first = |direction: i32| {
            self.members
                .find_one(others.clone())
                .sort(doc! { "role": direction, "joinedSeq": 1, "user": 1 })
                .max_time(self.server_limit)
        };
        let (lowest, highest) = try_join!(first(1).into_future(), first(-1).into_future())?;
        let member = |document: Option<MemberDocument>| document.map(Member::try_from).transpose();
        let (heir, other_owner) = (member(lowest)?, member(highest)?);
        Ok(heir.filter(|_| other_owner.is_none_or(|member| member.role != Role::Owner)))
    }
}
