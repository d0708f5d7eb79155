//! The store over MongoDB: always a replica set (or sharded over such), always committed reads and writes (D1).
//! Knows nothing of hubs, Redis or HTTP; the only folder that names the driver.
//!
//! Each file holds the calls about one noun; this one holds what they share: the collections, the limits of time
//! (D5), and the port.
//!
//! **Limits of time.** Every call ends within `operation_timeout`: the client gives up then, whatever the driver does
//! (which has no socket timeout). The server gets nine tenths of it, as `maxTimeMS` for reads and commits and as the
//! write concern's `wtimeout` for writes, to which the driver cannot give a `maxTimeMS`. A dropped call closes its
//! connection, so a late answer cannot be taken for another's.

mod append;
mod config;
mod conversations;
mod cursors;
mod documents;
mod event_document;
mod facts;
mod failure;
mod hearings;
mod leftovers;
mod log;
mod migrate;
mod overviews;
mod primary;
mod projections;
mod quotas;
mod recency;
mod schema;
mod tokens;
mod users;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, Uuid, doc};
use mongodb::{Client, Collection, Database};
use tokio::sync::watch;
use tokio::time::timeout;

pub use config::{ConfigError, MongoConfig};
use documents::{ConversationDocument, MemberDocument, TokenDocument, UserDocument};
use event_document::EventDocument;
use failure::RefusedStatement;

use super::{
    Charge, CursorMove, End, Inserted, NewRoom, NewUser, Overview, Projected, RefreshToken,
    Rotation, Run, RunOutcome, Span, Store, StoreError, StoreResult,
};
use crate::domain::{
    Backoff, Change, ClientMessageId, Conversation, ConversationId, Entropy, Event, EventId, Facts,
    Member, RoomId, Seq, Timestamp, User, UserId,
};

/// The store over MongoDB.
pub struct MongoStore {
    database: Database,
    users: Collection<UserDocument>,
    refresh_tokens: Collection<TokenDocument>,
    conversations: Collection<ConversationDocument>,
    members: Collection<MemberDocument>,
    events: Collection<EventDocument>,
    /// For the client's side of a call, and the server's.
    limit: Duration,
    server_limit: Duration,
    migration_limit: Duration,
    entropy: Arc<Entropy>,
    primary_changes: watch::Receiver<u64>,
}

/// The identity of the first collection listed.
fn identity(reply: &Document) -> Option<Uuid> {
    let listed = reply.get_document("cursor").ok()?.get_array("firstBatch");
    let collection = listed.ok()?.first()?.as_document()?;
    match collection.get_document("info").ok()?.get("uuid")? {
        Bson::Binary(id) => id.to_uuid().ok(),
        _ => None,
    }
}

impl MongoStore {
    /// A store that connects when it is first used; must be called within a tokio runtime. Looks up DNS only for
    /// `mongodb+srv://`. `entropy` spreads retries.
    ///
    /// # Errors
    /// When the connection string cannot be read, names no database, or contradicts a promise.
    pub async fn connect(config: MongoConfig, entropy: Arc<Entropy>) -> Result<Self, ConfigError> {
        let database = config.database()?;
        let mut options = config.client_options().await?;
        let (handler, primary_changes) = primary::watcher();
        options.sdam_event_handler = Some(handler);
        let client = Client::with_options(options).map_err(|error| ConfigError::Unreadable {
            reason: error.kind.to_string(),
        })?;
        let database = client.database(&database);
        Ok(Self {
            users: database.collection("users"),
            refresh_tokens: database.collection("refresh_tokens"),
            conversations: database.collection("conversations"),
            members: database.collection("members"),
            events: database.collection("events"),
            database,
            limit: config.operation_timeout,
            server_limit: config.server_limit(),
            migration_limit: config.migration_timeout,
            entropy,
            primary_changes,
        })
    }

    /// Which log this is: the identity that the server gave to the collection of events. A restored copy has another.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer in time, or has no schema yet.
    pub async fn log_id(&self) -> StoreResult<String> {
        self.within(async {
            let limit = i64::try_from(self.server_limit.as_millis()).unwrap_or(i64::MAX);
            let filter = doc! { "name": self.events.name() };
            let command = doc! { "listCollections": 1, "filter": filter, "maxTimeMS": limit };
            let reply = self.database.run_command(command).await?;
            let id = identity(&reply).map(|id| id.to_string());
            id.ok_or_else(|| StoreError::Unavailable("there are no events yet".to_owned()))
        })
        .await
    }

    /// Counts primaries: it grows whenever one is found after there was none or another, the first included (D16).
    /// Call [`Store::ping`] until it succeeds before reading what the new primary has.
    #[must_use]
    pub fn primary_changes(&self) -> watch::Receiver<u64> {
        self.primary_changes.clone()
    }

    /// Gives up on work that takes longer than one call may (D5).
    async fn within<T>(&self, work: impl Future<Output = StoreResult<T>> + Send) -> StoreResult<T> {
        timeout(self.limit, work).await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable(format!(
                "no answer within {:?}",
                self.limit
            )))
        })
    }

    /// Waits before an attempt is repeated.
    async fn pause(&self, backoff: &mut Backoff) {
        tokio::time::sleep(backoff.step(&self.entropy)).await;
    }

    /// Runs a command that writes, all of it or an error.
    async fn write_command(&self, command: Document) -> StoreResult<()> {
        match self.try_write(command).await? {
            None => Ok(()),
            Some(refused) => Err(refused.into()),
        }
    }

    /// Runs a command that writes, with the guarantees that commands do not inherit (D1), and looks for what they report
    /// beside success. Returns the first statement that was refused for its own sake.
    async fn try_write(&self, mut command: Document) -> StoreResult<Option<RefusedStatement>> {
        let limit = i64::try_from(self.server_limit.as_millis()).unwrap_or(i64::MAX);
        let concern = doc! { "w": "majority", "j": true, "wtimeout": limit };
        command.insert("writeConcern", concern);
        command.insert("maxTimeMS", limit);
        let reply = self.database.run_command(command).await?;
        if let Ok(concern) = reply.get_document("writeConcernError") {
            return Err(StoreError::Unavailable(format!("write concern: {concern}")));
        }
        let errors = reply.get_array("writeErrors").ok();
        let first = errors.and_then(|errors| errors.first()?.as_document());
        match first.map(RefusedStatement::from) {
            Some(refused) if failure::is_not_now_code(refused.code) => Err(refused.into()),
            refused => Ok(refused),
        }
    }

    /// Changes nothing, but waits as a write does: the primary answers once a majority has all it has (the entry of
    /// its own election included), so a deposed one cannot.
    async fn prove_majority(&self) -> StoreResult<()> {
        let nothing = doc! { "q": { "_id": "ping" }, "u": { "$set": { "ping": true } } };
        self.write_command(doc! { "update": "conversations", "updates": [nothing] })
            .await
    }
}

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoStore")
            .field("database", &self.database.name())
            .finish_non_exhaustive()
    }
}

/// The waits between attempts that another writer's got in the way of.
const fn backoff() -> Backoff {
    Backoff::between(Duration::from_millis(4), Duration::from_millis(50))
}

#[async_trait]
impl Store for MongoStore {
    async fn migrate(&self) -> StoreResult<()> {
        timeout(self.migration_limit, self.migrate_under_lock())
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::Unavailable(
                    "the migration takes too long".into(),
                ))
            })
    }

    async fn clamp_all_cursors(&self) -> StoreResult<()> {
        timeout(self.migration_limit, self.clamp_every_cursor())
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("clamping takes too long".into())))
    }

    async fn clamp_cursors(&self, conversation: ConversationId) -> StoreResult<()> {
        self.within(self.clamp_cursors_of(conversation)).await
    }

    async fn charge(&self, charges: &[Charge]) -> StoreResult<Option<usize>> {
        self.within(self.count_charges(charges)).await
    }

    async fn ping(&self) -> StoreResult<()> {
        self.within(self.prove_majority()).await
    }

    async fn create_user(&self, new: NewUser) -> StoreResult<Inserted> {
        self.within(self.insert_user(&new)).await
    }

    async fn user_by_name(&self, folded: &str) -> StoreResult<Option<(User, String)>> {
        self.within(self.find_user_by_name(folded)).await
    }

    async fn users(&self, ids: &[UserId]) -> StoreResult<Vec<User>> {
        self.within(self.find_users(ids)).await
    }

    async fn search_users(&self, folded_prefix: &str, limit: usize) -> StoreResult<Vec<User>> {
        self.within(self.find_users_by_prefix(folded_prefix, limit))
            .await
    }

    async fn touch_last_seen(&self, users: &[UserId], at: Timestamp) -> StoreResult<()> {
        self.within(self.move_last_seen(users, at)).await
    }

    async fn put_refresh_token(&self, token: RefreshToken) -> StoreResult<()> {
        self.within(self.insert_token(&token)).await
    }

    async fn rotate_refresh_token(
        &self,
        hash: &[u8; 32],
        successor: ([u8; 32], Timestamp),
        now: Timestamp,
    ) -> StoreResult<Rotation> {
        self.within(self.exchange_token(hash, successor, now)).await
    }

    async fn end_refresh_tokens(&self, hash: &[u8; 32]) -> StoreResult<()> {
        self.within(self.end_family_of(hash)).await
    }

    async fn ensure_direct(
        &self,
        conversation: ConversationId,
        at: Timestamp,
    ) -> StoreResult<bool> {
        self.within(self.ensure_direct_exists(conversation, at))
            .await
    }

    async fn create_room(&self, room: NewRoom) -> StoreResult<()> {
        self.within(self.insert_room(&room)).await
    }

    async fn conversations(&self, ids: &[ConversationId]) -> StoreResult<Vec<Conversation>> {
        self.within(self.find_conversations(ids)).await
    }

    async fn member(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> StoreResult<Option<Member>> {
        self.within(self.find_member(conversation, user)).await
    }

    async fn members(
        &self,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> StoreResult<Vec<Member>> {
        self.within(self.find_members(conversation, after, limit))
            .await
    }

    async fn memberships(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreResult<Vec<Member>> {
        self.within(self.find_memberships(user, after, limit)).await
    }

    async fn rooms(
        &self,
        user: UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> StoreResult<Vec<Member>> {
        self.within(self.find_rooms(user, after, limit)).await
    }

    async fn sharing(&self, user: UserId, others: &[UserId]) -> StoreResult<Vec<UserId>> {
        self.within(self.find_sharing(user, others)).await
    }

    async fn users_in_rooms(&self, users: &[UserId], at_least: usize) -> StoreResult<Vec<UserId>> {
        self.within(self.find_users_in_rooms(users, at_least)).await
    }

    async fn overviews(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreResult<Vec<Overview>> {
        self.within(self.find_overviews(user, after, limit)).await
    }

    async fn append(&self, runs: Vec<Run>) -> Vec<RunOutcome> {
        self.append_runs(&runs).await
    }

    async fn facts(&self, changes: &[Change]) -> StoreResult<Vec<Facts>> {
        self.within(self.read_facts(changes)).await
    }

    async fn project(&self, events: &[Projected]) -> StoreResult<()> {
        self.within(self.project_events(events)).await
    }

    async fn project_leftovers(&self, of: Option<ConversationId>) -> StoreResult<()> {
        self.within(self.project_left(of)).await
    }

    async fn change_by_id(
        &self,
        conversation: ConversationId,
        id: EventId,
    ) -> StoreResult<Option<Event>> {
        self.within(self.find_change(conversation, id)).await
    }

    async fn heads(
        &self,
        conversations: &[ConversationId],
    ) -> StoreResult<HashMap<ConversationId, Seq>> {
        self.within(self.find_heads(conversations)).await
    }

    async fn events(&self, spans: &[Span], limit: usize) -> StoreResult<Vec<Event>> {
        self.within(self.find_events(spans, limit)).await
    }

    async fn messages(&self, span: Span, end: End, limit: usize) -> StoreResult<Vec<Event>> {
        self.within(self.find_messages(span, end, limit)).await
    }

    async fn message_by_client_id(
        &self,
        conversation: ConversationId,
        sender: UserId,
        client_message_id: &ClientMessageId,
    ) -> StoreResult<Option<Event>> {
        self.within(self.find_message(conversation, sender, client_message_id))
            .await
    }

    async fn move_cursors(&self, moves: &[CursorMove]) -> StoreResult<()> {
        self.within(self.push_cursors(moves)).await
    }
}
