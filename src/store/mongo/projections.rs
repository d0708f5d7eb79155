//! What a change writes beside its event, in the same transaction (D7, D8).

use mongodb::ClientSession;
use mongodb::bson::{Document, doc};
use mongodb::error::Error;

use super::MongoStore;
use super::conversations::active;
use super::documents::{date, number, user_key};
use super::event_document::reactions_bson;
use crate::domain::{ConversationId, Member, Projection, Seq};

impl MongoStore {
    pub(super) async fn project(
        &self,
        conversation: ConversationId,
        projection: &Projection,
        session: &mut ClientSession,
    ) -> Result<(), Error> {
        match projection {
            Projection::Member(member) => self.project_member(member, session).await,
            Projection::Name(name) => {
                let renamed = doc! { "$set": { "name": name.as_str() } };
                self.project_room(conversation, renamed, session).await
            }
            Projection::Tombstone(seq) => {
                let deleted = doc! { "$set": { "deletedSeq": number(*seq) } };
                self.project_room(conversation, deleted, session).await?;
                let left = doc! { "$set": { "leftSeq": number(*seq) } };
                let all = self.members.update_many(active(conversation), left);
                all.session(session).await.map(|_| ())
            }
            Projection::Content {
                target,
                content,
                original,
                at,
            } => {
                let mut edited = doc! {
                    "body.content": content.as_str(),
                    "body.editedAt": date(*at),
                };
                if let Some(original) = original {
                    edited.insert("body.original", original.as_str());
                }
                let edited = doc! { "$set": edited };
                self.project_event(conversation, *target, edited, session)
                    .await
            }
            Projection::Clear { target, at } => {
                let cleared = doc! {
                    "$set": { "body.deletedAt": date(*at) },
                    "$unset": { "body.content": "", "body.original": "" },
                };
                self.project_event(conversation, *target, cleared, session)
                    .await?;
                self.clear_edits(conversation, *target, session).await
            }
            Projection::Reactions { target, reactions } => {
                let set = doc! { "$set": { "body.reactions": reactions_bson(reactions) } };
                self.project_event(conversation, *target, set, session)
                    .await
            }
        }
    }

    /// The cursors are moved, not set: they may have gone on since the member was read.
    async fn project_member(
        &self,
        member: &Member,
        session: &mut ClientSession,
    ) -> Result<(), Error> {
        let mut set = doc! {
            "role": member.role.as_str(),
            "joinedSeq": number(member.joined_seq),
        };
        let mut write = Document::new();
        match member.left_seq {
            Some(seq) => {
                set.insert("leftSeq", number(seq));
            }
            None => {
                write.insert("$unset", doc! { "leftSeq": "" });
            }
        }
        write.insert("$set", set);
        let cursors = doc! {
            "deliveredSeq": number(member.delivered_seq),
            "readSeq": number(member.read_seq),
        };
        write.insert("$max", cursors);
        let this = doc! {
            "conversation": member.conversation.to_string(),
            "user": user_key(member.user),
        };
        let upsert = self.members.update_one(this, write).upsert(true);
        upsert.session(session).await.map(|_| ())
    }

    async fn project_room(
        &self,
        conversation: ConversationId,
        write: Document,
        session: &mut ClientSession,
    ) -> Result<(), Error> {
        let this = doc! { "_id": conversation.to_string() };
        let update = self.conversations.update_one(this, write);
        update.session(session).await.map(|_| ())
    }

    async fn project_event(
        &self,
        conversation: ConversationId,
        target: Seq,
        write: Document,
        session: &mut ClientSession,
    ) -> Result<(), Error> {
        let this = doc! { "conversation": conversation.to_string(), "seq": number(target) };
        let update = self.events.update_one(this, write);
        update.session(session).await.map(|_| ())
    }

    /// D8: a replay shows a deleted message's edits cleared, too.
    async fn clear_edits(
        &self,
        conversation: ConversationId,
        target: Seq,
        session: &mut ClientSession,
    ) -> Result<(), Error> {
        let edits = doc! {
            "conversation": conversation.to_string(),
            "kind": "edited",
            "body.target": number(target),
        };
        let cleared = doc! { "$unset": { "body.content": "" } };
        let update = self.events.update_many(edits, cleared);
        update.session(session).await.map(|_| ())
    }
}
