//! The embedded store: SQLite in one data directory, durable at every commit, written by one thread with group commit
//! and read by a few connections. Knows nothing of MongoDB; what a change does is decided in the domain.

mod append;
mod changes;
mod columns;
mod conversations;
mod directory;
mod event_row;
mod failure;
mod log;
mod overviews;
mod quotas;
mod readers;
mod schema;
mod tokens;
mod users;
mod writer;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::directory::OpenError;

use self::directory::DataDirectory;
use self::readers::Readers;
use self::writer::WriterThread;
use super::{
    Charge, CursorMove, End, Inserted, NewRoom, NewUser, Overview, Projected, RefreshToken,
    Rotation, Run, RunOutcome, Span, Stop, Store, StoreResult,
};
use crate::domain::{
    Change, ClientMessageId, Clock, Conversation, ConversationId, Event, EventId, Facts, Member,
    RoomId, Seq, Timestamp, User, UserId,
};

/// Connections that read. Reading is mostly CPU time once the pages are in memory.
const READERS: usize = 4;

/// What an embedded store needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    /// The data directory; made when missing. The database is `hobnob.db` in it.
    pub directory: PathBuf,
    /// Every call ends within this time.
    pub time_limit: Duration,
}

impl SqliteOptions {
    /// Every call ends within this time, unless said otherwise.
    pub const TIME_LIMIT: Duration = Duration::from_secs(5);
}

/// A [`Store`] in a data directory that no other process uses meanwhile (D36). Dropping it waits for the transaction in
/// progress.
pub struct SqliteStore {
    // Dropped before the writer, whose connection tidies up when it is the last.
    readers: Readers,
    writer: WriterThread,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Makes and locks the directory and opens the database. Blocks for some milliseconds; after a crash for as long
    /// as SQLite needs to look through its log. The schema is [`Store::migrate`]'s.
    ///
    /// # Errors
    /// When another process has the directory, or it cannot be used.
    pub fn open(options: &SqliteOptions, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let directory = DataDirectory::lock(&options.directory)?;
        let writing = directory.writer()?;
        let reading = (0..READERS)
            .map(|_| directory.reader())
            .collect::<Result<Vec<_>, _>>()?;
        let writer =
            WriterThread::start(writing, directory, options.time_limit).map_err(|cause| {
                OpenError::Unusable {
                    path: options.directory.clone(),
                    cause: cause.to_string(),
                }
            })?;
        Ok(Self {
            readers: Readers::new(reading, options.time_limit),
            writer,
            clock,
        })
    }

    /// Takes no more calls, finishes the writes that were taken, closes the database and unlocks the directory. Calls
    /// made later are unavailable.
    pub async fn close(&self) {
        self.readers.close();
        let finished = tokio::task::spawn_blocking(self.writer.close());
        if let Err(error) = finished.await {
            tracing::error!(%error, "closing the store was given up");
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn migrate(&self) -> StoreResult<()> {
        self.writer.run(schema::migrate).await
    }

    async fn clamp_all_cursors(&self) -> StoreResult<()> {
        self.writer.run(conversations::clamp_all_cursors).await
    }

    async fn clamp_cursors(&self, id: ConversationId) -> StoreResult<()> {
        // Most have nothing to clamp, and need not wait for the writer.
        let beyond = self
            .readers
            .run(move |db| conversations::has_cursor_beyond(db, id));
        if beyond.await? {
            let write = self
                .writer
                .run(move |db| conversations::clamp_cursors(db, id));
            write.await?;
        }
        Ok(())
    }

    async fn charge(&self, charges: &[Charge]) -> StoreResult<Option<usize>> {
        let (charges, now) = (charges.to_vec(), self.clock.now());
        let write = self.writer.run(move |db| quotas::charge(db, &charges, now));
        write.await
    }

    async fn ping(&self) -> StoreResult<()> {
        // Taking the write lock is what the writer does for every group.
        self.writer.run(|_| Ok(())).await
    }

    async fn create_user(&self, new: NewUser) -> StoreResult<Inserted> {
        self.writer.run(move |db| users::create(db, &new)).await
    }

    async fn user_by_name(&self, folded: &str) -> StoreResult<Option<(User, String)>> {
        let folded = folded.to_owned();
        let read = self.readers.run(move |db| users::by_name(db, &folded));
        read.await
    }

    async fn users(&self, ids: &[UserId]) -> StoreResult<Vec<User>> {
        let ids = ids.to_vec();
        self.readers.run(move |db| users::by_ids(db, &ids)).await
    }

    async fn search_users(&self, folded_prefix: &str, limit: usize) -> StoreResult<Vec<User>> {
        let prefix = folded_prefix.to_owned();
        let read = self
            .readers
            .run(move |db| users::search(db, &prefix, limit));
        read.await
    }

    async fn touch_last_seen(&self, users: &[UserId], at: Timestamp) -> StoreResult<()> {
        let users = users.to_vec();
        let write = self.writer.run(move |db| users::touch(db, &users, at));
        write.await
    }

    async fn put_refresh_token(&self, token: RefreshToken) -> StoreResult<()> {
        let now = self.clock.now();
        let write = self.writer.run(move |db| tokens::put(db, &token, now));
        write.await
    }

    async fn rotate_refresh_token(
        &self,
        hash: &[u8; 32],
        successor: ([u8; 32], Timestamp),
        now: Timestamp,
    ) -> StoreResult<Rotation> {
        let hash = *hash;
        let write = self
            .writer
            .run(move |db| tokens::rotate(db, &hash, successor, now));
        write.await
    }

    async fn end_refresh_tokens(&self, hash: &[u8; 32]) -> StoreResult<()> {
        let hash = *hash;
        self.writer
            .run(move |db| tokens::end_family(db, &hash))
            .await
    }

    async fn ensure_direct(&self, id: ConversationId, at: Timestamp) -> StoreResult<bool> {
        let write = self
            .writer
            .run(move |db| conversations::ensure_direct(db, id, at));
        write.await
    }

    async fn create_room(&self, room: NewRoom) -> StoreResult<()> {
        let write = self
            .writer
            .run(move |db| conversations::create_room(db, &room));
        write.await
    }

    async fn conversations(&self, ids: &[ConversationId]) -> StoreResult<Vec<Conversation>> {
        let ids = ids.to_vec();
        let read = self.readers.run(move |db| conversations::by_ids(db, &ids));
        read.await
    }

    async fn member(&self, id: ConversationId, user: UserId) -> StoreResult<Option<Member>> {
        let read = self
            .readers
            .run(move |db| conversations::member_of(db, id, user));
        read.await
    }

    async fn members(
        &self,
        id: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> StoreResult<Vec<Member>> {
        let read = self
            .readers
            .run(move |db| conversations::members(db, id, after, limit));
        read.await
    }

    async fn memberships(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreResult<Vec<Member>> {
        let read = self
            .readers
            .run(move |db| conversations::memberships(db, user, after, limit));
        read.await
    }

    async fn rooms(
        &self,
        user: UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> StoreResult<Vec<Member>> {
        let read = self
            .readers
            .run(move |db| conversations::rooms(db, user, after, limit));
        read.await
    }

    async fn sharing(&self, user: UserId, others: &[UserId]) -> StoreResult<Vec<UserId>> {
        let others = others.to_vec();
        let read = self
            .readers
            .run(move |db| conversations::sharing(db, user, &others));
        read.await
    }

    async fn users_in_rooms(&self, users: &[UserId], at_least: usize) -> StoreResult<Vec<UserId>> {
        let users = users.to_vec();
        let read = self
            .readers
            .run(move |db| conversations::users_in_rooms(db, &users, at_least));
        read.await
    }

    async fn overviews(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreResult<Vec<Overview>> {
        let read = self
            .readers
            .run(move |db| overviews::overviews(db, user, after, limit));
        read.await
    }

    async fn append(&self, runs: Vec<Run>) -> Vec<RunOutcome> {
        let count = runs.len();
        let write = self
            .writer
            .run(move |db| runs.iter().map(|run| append::append(db, run)).collect());
        let unknown = |error: super::StoreError| RunOutcome {
            committed: 0,
            stopped: Some(Stop::Unknown(error.to_string())),
        };
        match write.await {
            Ok(outcomes) => outcomes,
            Err(error) => vec![unknown(error); count],
        }
    }

    async fn facts(&self, changes: &[Change]) -> StoreResult<Vec<Facts>> {
        let changes = changes.to_vec();
        let read = self.readers.run(move |db| {
            let all = changes.iter().map(|change| changes::facts(db, change));
            all.collect()
        });
        read.await
    }

    async fn project(&self, _: &[Projected]) -> StoreResult<()> {
        // Written with the events.
        Ok(())
    }

    async fn project_leftovers(&self, _: Option<ConversationId>) -> StoreResult<()> {
        Ok(())
    }

    async fn heads(&self, ids: &[ConversationId]) -> StoreResult<HashMap<ConversationId, Seq>> {
        let ids = ids.to_vec();
        self.readers.run(move |db| log::heads(db, &ids)).await
    }

    async fn events(&self, spans: &[Span], limit: usize) -> StoreResult<Vec<Event>> {
        let spans = spans.to_vec();
        let read = self.readers.run(move |db| log::events(db, &spans, limit));
        read.await
    }

    async fn messages(&self, span: Span, end: End, limit: usize) -> StoreResult<Vec<Event>> {
        let read = self
            .readers
            .run(move |db| log::messages(db, &span, end, limit));
        read.await
    }

    async fn change_by_id(
        &self,
        conversation: ConversationId,
        id: EventId,
    ) -> StoreResult<Option<Event>> {
        let read = self
            .readers
            .run(move |db| changes::by_id(db, conversation, id));
        read.await
    }

    async fn message_by_client_id(
        &self,
        conversation: ConversationId,
        sender: UserId,
        client_message_id: &ClientMessageId,
    ) -> StoreResult<Option<Event>> {
        let id = client_message_id.clone();
        let read = self
            .readers
            .run(move |db| log::message_by_client_id(db, conversation, sender, &id));
        read.await
    }

    async fn move_cursors(&self, moves: &[CursorMove]) -> StoreResult<()> {
        let moves = moves.to_vec();
        let write = self
            .writer
            .run(move |db| conversations::move_cursors(db, &moves));
        write.await
    }
}
