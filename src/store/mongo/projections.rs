//! What follows from the events of the log, as statements: each is guarded by the seq of its event, so that it may be
//! repeated, and comes to nothing when that of a later event is written already (D56). Who is to write them when is the
//! committer's affair, or that of `leftovers.rs`.

use std::collections::HashMap;

use mongodb::bson::{Bson, Document, doc};

use super::MongoStore;
use super::documents::{date, number, user_key};
use super::event_document::{event_key, reactions_bson};
use super::failure::DUPLICATE_KEY;
use super::schema::CONVERSATION_SEQ;
use crate::domain::{ConversationId, Event, Projection, Role, Seq};
use crate::store::{Projected, StoreResult};

/// The most statements of one command: of 100 large reactions or contents together, some megabytes.
const STATEMENTS: usize = 100;

/// The field of a document that holds the seq of the last event that was projected on it.
const GUARD: &str = "projectedSeq";

impl MongoStore {
    /// What follows from these events, of each log in its order, and then that it is written. In three commands at most,
    /// whatever the events are.
    pub(super) async fn project_events(&self, events: &[Projected]) -> StoreResult<()> {
        let mut members = Vec::new();
        let mut rooms = Vec::new();
        let mut targets = Vec::new();
        let newest = newest_reactions(events);
        for Projected { event, projections } in events {
            for projection in projections {
                match projection {
                    Projection::Name(_) => rooms.push(statement(event, projection)),
                    Projection::Tombstone => {
                        rooms.push(statement(event, projection));
                        members.push(all_leave(event));
                    }
                    Projection::Joined { .. }
                    | Projection::Left { .. }
                    | Projection::Role { .. } => {
                        members.push(statement(event, projection));
                    }
                    Projection::Reactions { target, .. }
                        if newest[&(event.conversation, *target)] != event.seq => {}
                    Projection::Content { .. } | Projection::Reactions { .. } => {
                        targets.push(statement(event, projection));
                    }
                    Projection::Clear { target, .. } => {
                        targets.push(statement(event, projection));
                        targets.push(clear_edits(event, *target));
                    }
                }
            }
        }
        self.write_in_order("members", members).await?;
        self.write_in_order("conversations", rooms).await?;
        targets.push(done(events.iter().map(|projected| &*projected.event)));
        self.write_in_order("events", targets).await
    }

    /// Runs `update` statements one behind the other. An upsert that meets a document whose guard is ahead is refused as a
    /// duplicate, and is done: the others go on behind it.
    async fn write_in_order(&self, collection: &str, statements: Vec<Document>) -> StoreResult<()> {
        let mut rest = &statements[..];
        while !rest.is_empty() {
            let some = &rest[..rest.len().min(STATEMENTS)];
            let command = doc! { "update": collection, "updates": some, "ordered": true };
            let done = match self.try_write(command).await? {
                None => some.len(),
                Some(refused) if refused.code == DUPLICATE_KEY => refused.index + 1,
                Some(refused) => return Err(refused.into()),
            };
            rest = &rest[done.min(rest.len())..];
        }
        Ok(())
    }
}

/// Of each message the event that says its reactions last. Many react to one message at the same time, and the last of
/// these events says all that those before it did: their statements need not be run.
fn newest_reactions(events: &[Projected]) -> HashMap<(ConversationId, Seq), Seq> {
    let reactions = events.iter().flat_map(|projected| {
        let event = &projected.event;
        projected
            .projections
            .iter()
            .filter_map(move |projection| match projection {
                Projection::Reactions { target, .. } => {
                    Some(((event.conversation, *target), event.seq))
                }
                _ => None,
            })
    });
    reactions.collect()
}

/// That what follows from these events is written.
fn done<'a>(events: impl Iterator<Item = &'a Event>) -> Document {
    let (ids, mut conversations): (Vec<Bson>, Vec<String>) = events
        .map(|event| {
            (
                Bson::from(event_key(event.id)),
                event.conversation.to_string(),
            )
        })
        .unzip();
    conversations.dedup();
    doc! {
        "q": { "_id": { "$in": ids }, "conversation": { "$in": conversations } },
        "u": { "$unset": { "unprojected": "", "body.members": "" } },
        "multi": true,
        "hint": "_id_",
    }
}

/// The statement that writes one projection. The guard is part of the filter and of what is set.
fn statement(event: &Event, projection: &Projection) -> Document {
    let conversation = event.conversation.to_string();
    let member = |user| doc! { "conversation": &conversation, "user": user_key(user) };
    match projection {
        Projection::Joined { user, role } => joined(event, member(*user), *role),
        Projection::Left { user } => {
            let set = doc! { "leftSeq": number(event.seq) };
            guarded(event, member(*user), set)
        }
        Projection::Role { user, role } => {
            guarded(event, member(*user), doc! { "role": role.as_str() })
        }
        Projection::Name(name) => {
            let set = doc! { "name": name.as_str() };
            guarded(event, doc! { "_id": conversation }, set)
        }
        Projection::Tombstone => {
            let set = doc! { "deletedSeq": number(event.seq) };
            guarded(event, doc! { "_id": conversation }, set)
        }
        Projection::Content {
            target,
            content,
            original,
            at,
        } => {
            let mut set = doc! { "body.content": content.as_str(), "body.editedAt": date(*at) };
            if let Some(original) = original {
                set.insert("body.original", original.as_str());
            }
            on_target(event, *target, set)
        }
        Projection::Clear { target, at } => {
            let mut clear = on_target(event, *target, doc! { "body.deletedAt": date(*at) });
            let unset = doc! { "body.content": "", "body.original": "" };
            if let Ok(write) = clear.get_document_mut("u") {
                write.insert("$unset", unset);
            }
            clear
        }
        Projection::Reactions { target, reactions } => {
            let set = doc! { "body.reactions": reactions_bson(reactions) };
            on_target(event, *target, set)
        }
    }
}

fn on_target(event: &Event, target: Seq, set: Document) -> Document {
    let this = doc! { "conversation": event.conversation.to_string(), "seq": number(target) };
    let mut statement = guarded(event, this, set);
    statement.insert("hint", CONVERSATION_SEQ);
    statement
}

/// The cursors are moved, not set: of one who comes back they may be there, and may have gone on since.
fn joined(event: &Event, member: Document, role: Role) -> Document {
    let before = number(event.seq.previous());
    let set = doc! { "role": role.as_str(), "joinedSeq": number(event.seq) };
    let mut statement = guarded(event, member, set);
    if let Ok(write) = statement.get_document_mut("u") {
        write.insert("$unset", doc! { "leftSeq": "" });
        write.insert("$max", doc! { "deliveredSeq": before, "readSeq": before });
    }
    statement.insert("upsert", true);
    statement
}

/// Sets fields of one document, unless a later event, or this one, has done so. Missing guards are of older documents.
fn guarded(event: &Event, mut this: Document, mut set: Document) -> Document {
    let seq = number(event.seq);
    this.insert(GUARD, doc! { "$not": { "$gte": seq } });
    set.insert(GUARD, seq);
    doc! { "q": this, "u": { "$set": set } }
}

fn all_leave(event: &Event) -> Document {
    let all = doc! { "conversation": event.conversation.to_string(), "leftSeq": null };
    let mut statement = guarded(event, all, doc! { "leftSeq": number(event.seq) });
    statement.insert("multi", true);
    statement
}

/// D8: a replay shows a deleted message's edits cleared, too.
fn clear_edits(event: &Event, target: Seq) -> Document {
    doc! {
        "q": {
            "conversation": event.conversation.to_string(),
            "kind": "edited",
            "body.target": number(target),
        },
        "u": { "$unset": { "body.content": "" } },
        "multi": true,
    }
}
