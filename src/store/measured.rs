//! A store whose calls are counted: how long each took, whether it failed, and whether the store is there. Changes nothing
//! about them; knows no adapter.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    Charge, CursorMove, End, Inserted, NewRoom, NewUser, Overview, Projected, RefreshToken,
    Rotation, Run, RunOutcome, Span, Stop, Store, StoreError, StoreResult,
};
use crate::domain::{
    Change, ClientMessageId, Conversation, ConversationId, Event, EventId, Facts, Member, RoomId,
    Seq, Timestamp, User, UserId,
};
use crate::metrics::Dependency;

/// A store whose calls are counted and timed.
pub struct MeasuredStore {
    inner: Arc<dyn Store>,
    counted: Dependency,
}

impl MeasuredStore {
    /// Counts what is asked of this store.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, counted: Dependency) -> Self {
        Self { inner, counted }
    }

    async fn timed<T>(&self, call: impl Future<Output = StoreResult<T>>) -> StoreResult<T> {
        let begun = Instant::now();
        let result = call.await;
        let is_away = matches!(result, Err(StoreError::Unavailable(_)));
        self.count(begun, result.is_err(), is_away);
        result
    }

    /// A fault of one call says nothing about whether the store is there.
    fn count(&self, begun: Instant, has_failed: bool, is_away: bool) {
        self.counted.seconds.record(begun.elapsed());
        self.counted.up.set(if is_away { 0.0 } else { 1.0 });
        if has_failed {
            self.counted.errors.increment(1);
        }
    }
}

#[async_trait]
impl Store for MeasuredStore {
    async fn migrate(&self) -> StoreResult<()> {
        self.timed(self.inner.migrate()).await
    }

    async fn clamp_all_cursors(&self) -> StoreResult<()> {
        self.timed(self.inner.clamp_all_cursors()).await
    }

    async fn clamp_cursors(&self, conversation: ConversationId) -> StoreResult<()> {
        self.timed(self.inner.clamp_cursors(conversation)).await
    }

    async fn ping(&self) -> StoreResult<()> {
        self.timed(self.inner.ping()).await
    }

    async fn create_user(&self, new: NewUser) -> StoreResult<Inserted> {
        self.timed(self.inner.create_user(new)).await
    }

    async fn user_by_name(&self, folded: &str) -> StoreResult<Option<(User, String)>> {
        self.timed(self.inner.user_by_name(folded)).await
    }

    async fn users(&self, ids: &[UserId]) -> StoreResult<Vec<User>> {
        self.timed(self.inner.users(ids)).await
    }

    async fn search_users(&self, folded_prefix: &str, limit: usize) -> StoreResult<Vec<User>> {
        self.timed(self.inner.search_users(folded_prefix, limit))
            .await
    }

    async fn touch_last_seen(&self, users: &[UserId], at: Timestamp) -> StoreResult<()> {
        self.timed(self.inner.touch_last_seen(users, at)).await
    }

    async fn put_refresh_token(&self, token: RefreshToken) -> StoreResult<()> {
        self.timed(self.inner.put_refresh_token(token)).await
    }

    async fn rotate_refresh_token(
        &self,
        hash: &[u8; 32],
        successor: ([u8; 32], Timestamp),
        now: Timestamp,
    ) -> StoreResult<Rotation> {
        self.timed(self.inner.rotate_refresh_token(hash, successor, now))
            .await
    }

    async fn end_refresh_tokens(&self, hash: &[u8; 32]) -> StoreResult<()> {
        self.timed(self.inner.end_refresh_tokens(hash)).await
    }

    async fn charge(&self, charges: &[Charge]) -> StoreResult<Option<usize>> {
        self.timed(self.inner.charge(charges)).await
    }

    async fn ensure_direct(
        &self,
        conversation: ConversationId,
        at: Timestamp,
    ) -> StoreResult<bool> {
        self.timed(self.inner.ensure_direct(conversation, at)).await
    }

    async fn create_room(&self, room: NewRoom) -> StoreResult<()> {
        self.timed(self.inner.create_room(room)).await
    }

    async fn conversations(&self, ids: &[ConversationId]) -> StoreResult<Vec<Conversation>> {
        self.timed(self.inner.conversations(ids)).await
    }

    async fn member(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> StoreResult<Option<Member>> {
        self.timed(self.inner.member(conversation, user)).await
    }

    async fn members(
        &self,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> StoreResult<Vec<Member>> {
        self.timed(self.inner.members(conversation, after, limit))
            .await
    }

    async fn memberships(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreResult<Vec<Member>> {
        self.timed(self.inner.memberships(user, after, limit)).await
    }

    async fn rooms(
        &self,
        user: UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> StoreResult<Vec<Member>> {
        self.timed(self.inner.rooms(user, after, limit)).await
    }

    async fn sharing(&self, user: UserId, others: &[UserId]) -> StoreResult<Vec<UserId>> {
        self.timed(self.inner.sharing(user, others)).await
    }

    async fn users_in_rooms(&self, users: &[UserId], at_least: usize) -> StoreResult<Vec<UserId>> {
        self.timed(self.inner.users_in_rooms(users, at_least)).await
    }

    async fn overviews(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreResult<Vec<Overview>> {
        self.timed(self.inner.overviews(user, after, limit)).await
    }

    async fn facts(&self, changes: &[Change]) -> StoreResult<Vec<Facts>> {
        self.timed(self.inner.facts(changes)).await
    }

    async fn project(&self, events: &[Projected]) -> StoreResult<()> {
        self.timed(self.inner.project(events)).await
    }

    async fn project_leftovers(&self, of: Option<ConversationId>) -> StoreResult<()> {
        self.timed(self.inner.project_leftovers(of)).await
    }

    async fn change_by_id(
        &self,
        conversation: ConversationId,
        id: EventId,
    ) -> StoreResult<Option<Event>> {
        self.timed(self.inner.change_by_id(conversation, id)).await
    }

    async fn heads(
        &self,
        conversations: &[ConversationId],
    ) -> StoreResult<HashMap<ConversationId, Seq>> {
        self.timed(self.inner.heads(conversations)).await
    }

    async fn events(&self, spans: &[Span], limit: usize) -> StoreResult<Vec<Event>> {
        self.timed(self.inner.events(spans, limit)).await
    }

    async fn messages(&self, span: Span, end: End, limit: usize) -> StoreResult<Vec<Event>> {
        self.timed(self.inner.messages(span, end, limit)).await
    }

    async fn message_by_client_id(
        &self,
        conversation: ConversationId,
        sender: UserId,
        client_message_id: &ClientMessageId,
    ) -> StoreResult<Option<Event>> {
        self.timed(
            self.inner
                .message_by_client_id(conversation, sender, client_message_id),
        )
        .await
    }

    async fn move_cursors(&self, moves: &[CursorMove]) -> StoreResult<()> {
        self.timed(self.inner.move_cursors(moves)).await
    }

    async fn append(&self, runs: Vec<Run>) -> Vec<RunOutcome> {
        let begun = Instant::now();
        let outcomes = self.inner.append(runs).await;
        let of = |kind: fn(&Stop) -> bool| {
            outcomes
                .iter()
                .any(|run| run.stopped.as_ref().is_some_and(kind))
        };
        let is_away = of(|stop| matches!(stop, Stop::Unknown(_)));
        self.count(
            begun,
            is_away || of(|stop| matches!(stop, Stop::Broken(_))),
            is_away,
        );
        outcomes
    }
}
