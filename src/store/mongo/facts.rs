//! What a change is decided by: only what its kind asks for, at once. The committer reads it behind the end of the log as it
//! knows it, and inserts the event there: so nothing has changed meanwhile (D7, D8).

use std::collections::{HashMap, HashSet};

use futures_util::future::try_join_all;
use futures_util::{TryStreamExt, try_join};
use mongodb::bson::{Document, doc};

use super::MongoStore;
use super::conversations::active;
use super::documents::{MemberDocument, number, user_key};
use super::event_document::{EventDocument, event_key};
use super::log::by_place;
use crate::domain::{
    Change, ChangeKind, ConversationId, Event, EventId, Facts, Member, Role, RoomName, Seq, UserId,
};
use crate::store::StoreResult;

impl MongoStore {
    /// The messages that changes are about are read together; what else is needed, which is seldom, one by one.
    pub(super) async fn read_facts(&self, changes: &[Change]) -> StoreResult<Vec<Facts>> {
        let targets = self.find_targets(changes).await?;
        let reads = changes.iter().map(|change| {
            let place = change.kind.target().map(|seq| (change.conversation, seq));
            let target = place.and_then(|place| targets.get(&place)).cloned();
            self.read_facts_of(change, target)
        });
        try_join_all(reads).await
    }

    async fn read_facts_of(&self, change: &Change, target: Option<Event>) -> StoreResult<Facts> {
        let id = change.conversation;
        let (name, subject, active_members, heir) = try_join!(
            self.find_name(change),
            self.find_subject(id, change.kind.subject()),
            self.count_members(change),
            self.find_heir(change),
        )?;
        let bereaved = change.kind.bereaved(target.as_ref());
        Ok(Facts {
            name,
            subject: subject.or(self.find_subject(id, bereaved).await?),
            target,
            active_members,
            heir,
        })
    }

    pub(super) async fn find_change(
        &self,
        conversation: ConversationId,
        id: EventId,
    ) -> StoreResult<Option<Event>> {
        let conversation = conversation.to_string();
        self.find_event(doc! { "_id": event_key(id), "conversation": conversation })
            .await
    }

    async fn find_name(&self, change: &Change) -> StoreResult<Option<RoomName>> {
        if !matches!(change.kind, ChangeKind::Rename { .. }) {
            return Ok(None);
        }
        let found = self.find_conversations(&[change.conversation]).await?.pop();
        Ok(found.and_then(|room| room.name))
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

    async fn find_targets(
        &self,
        changes: &[Change],
    ) -> StoreResult<HashMap<(ConversationId, Seq), Event>> {
        let places = changes
            .iter()
            .filter_map(|change| Some((change.conversation, change.kind.target()?)));
        let places: HashSet<_> = places.collect();
        if places.is_empty() {
            return Ok(HashMap::new());
        }
        let any: Vec<Document> = places
            .iter()
            .map(|(id, seq)| doc! { "conversation": id.to_string(), "seq": number(*seq) })
            .collect();
        let found = self
            .events
            .find(doc! { "$or": any })
            .hint(by_place())
            .max_time(self.server_limit);
        let found: Vec<EventDocument> = found.await?.try_collect().await?;
        let events = found.into_iter().map(|document| {
            let event = Event::try_from(document)?;
            Ok(((event.conversation, event.seq), event))
        });
        events.collect()
    }

    async fn count_members(&self, change: &Change) -> StoreResult<usize> {
        if !matches!(change.kind, ChangeKind::AddMember { .. }) {
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
