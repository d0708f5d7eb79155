//! The store port: users, conversations, members, the log and its cursors. This page is the contract; one suite
//! (`tests/contract/store.rs`) runs over every adapter, which may not differ in anything it can see.
//!
//! - **Durable**: what a call reports as done survives the loss of the process, of the machine, and (MongoDB) of a
//!   minority of the replica set.
//! - **Dense**: an event is stored only at the head of its log, plus one. The unique key (conversation, seq) is the
//!   only authority on order, (conversation, sender, clientMessageId) the only one on retries.
//! - **Committed reads only** (D1): a read never shows what an election could take back. It may be stale: "not there"
//!   proves nothing about an append whose outcome is unknown (D5).
//! - **Bounded**: every call ends within the adapter's time limit, with [`StoreError::Unavailable`] at the latest.
//! - Pages are bounded by the `limit` given; lists without one are bounded by the limits on what they list. Pages of events
//!   are bounded in bytes besides: see [`is_cut`].

mod measured;
pub mod mongo;
mod new_conversation;
mod page;
mod quota;
pub mod sqlite;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use measured::MeasuredStore;
pub use new_conversation::{NewConversation, NewRoom};
pub use page::{PAGE_BYTES, all_memberships, is_cut};
pub use quota::Charge;

use async_trait::async_trait;

use crate::domain::{
    Body, Change, ClientMessageId, Content, Conversation, ConversationId, Event, EventId, Facts,
    Fingerprint, Member, Message, Projection, Reactions, RoomId, Seq, Timestamp, User, UserId,
};

/// How many of a user's rooms are compared with those of others.
pub const ROOMS_COMPARED: usize = 500;

/// Why a call failed. Nothing else than these; a refusal by the data is part of each call's answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Not now: the database is away, electing, frozen or too slow. Whether a write took place is unknown; every
    /// write of this port may be repeated.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What is stored cannot be understood, or the database refused a statement: a fault, not a condition.
    #[error("the store failed: {0}")]
    Broken(String),
}

/// A result with [`StoreError`].
pub type StoreResult<T> = Result<T, StoreError>;

/// A user who registers, with the PHC string of their password's hash.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The user.
    pub user: User,
    /// Argon2id in PHC string format.
    pub password_hash: String,
}

/// Whether something that must be unique was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Inserted {
    /// It was new, and is stored.
    Yes,
    /// It was there already; nothing is stored.
    Taken,
}

/// A refresh token as the store knows it: only its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// The user whose token it is.
    pub user: UserId,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// What became of an attempt to exchange a refresh token for its successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Rotation {
    /// The successor is stored: now, or by an exchange at most [`REPEAT_GRACE`] ago, whose answer may have been lost.
    Rotated(UserId),
    /// It had ended by itself. Nothing is changed.
    Expired,
    /// It was exchanged longer ago than [`REPEAT_GRACE`]: two have it. All tokens of its family are gone.
    Reused,
    /// There is none such, or its family has ended.
    Unknown,
}

/// How long after a refresh token was exchanged it may be exchanged again, for the same successor.
pub const REPEAT_GRACE: Duration = Duration::from_secs(60);

/// A message that waits for its place in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// The id its event will have.
    pub id: EventId,
    /// Who sends it.
    pub sender: UserId,
    /// When the gateway accepted it.
    pub at: Timestamp,
    /// The sender's id for it, or the gateway's (the event id in hexadecimal).
    pub client_message_id: ClientMessageId,
    /// What it says.
    pub content: Content,
    /// The hash of `content`, to recognise a retry (P3).
    pub fingerprint: Fingerprint,
}

impl NewMessage {
    /// The event that it becomes at a place.
    #[must_use]
    pub fn event(&self, conversation: ConversationId, seq: Seq) -> Event {
        let body = Body::Message(Message {
            content: Some(self.content.clone()),
            client_message_id: self.client_message_id.clone(),
            fingerprint: self.fingerprint,
            original: None,
            edited_at: None,
            deleted_at: None,
            reactions: Reactions::default(),
        });
        Event {
            id: self.id,
            conversation,
            seq,
            sender: self.sender,
            at: self.at,
            body,
        }
    }
}

/// Events to be stored in one log at consecutive places, in this order. Never empty, at most [`Run::LIMIT`].
#[derive(Debug, Clone)]
pub struct Run {
    /// The conversation whose log it is.
    pub conversation: ConversationId,
    /// Where the first of them goes: a guess, which the unique key confirms or refuses.
    pub first: Seq,
    /// The events, at places from `first` on.
    pub events: Vec<Arc<Event>>,
}

impl Run {
    /// The most events in one run.
    pub const LIMIT: usize = 200;
}

/// An event that is stored, and what follows from it.
#[derive(Debug, Clone)]
pub struct Projected {
    /// The event.
    pub event: Arc<Event>,
    /// What [`crate::domain::projections`] says of it.
    pub projections: Vec<Projection>,
}

/// What became of a run: a prefix of it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOutcome {
    /// How many, from the first on, are stored durably at the places they were given. Those after it, the one that
    /// stopped excepted, are certainly not stored by this call.
    pub committed: usize,
    /// Why the one after those is not; none when all are stored.
    pub stopped: Option<Stop>,
}

/// Why an append stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Its place in the log is taken (or about to be: the other may not be committed yet).
    SeqTaken,
    /// Its id, or its sender's clientMessageId, is in the log (or about to be): it is a repetition.
    IdTaken,
    /// It was refused for its own sake (a validator, a size, a fault): certainly not stored by this call, and trying
    /// again would change nothing. The cause is fit for a log.
    Broken(String),
    /// Nobody knows: `committed` is 0, and any prefix of the run may be stored, now or later (D5). Retry with the same
    /// clientMessageIds.
    Unknown(String),
}

/// A piece of a log: `after < seq <= up_to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The conversation whose log it is.
    pub conversation: ConversationId,
    /// Only events behind this seq.
    pub after: Seq,
    /// Only events up to this seq, itself included.
    pub up_to: Seq,
}

/// Which end of a span a page of history is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The oldest messages of the span.
    Oldest,
    /// The newest messages of the span.
    Newest,
}

/// A member's cursors, moved forward to at least these places; never back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CursorMove {
    /// The conversation.
    pub conversation: ConversationId,
    /// The member.
    pub user: UserId,
    /// The last seq acknowledged; zero leaves the cursor as it is.
    pub delivered: Seq,
    /// The last seq read; zero leaves the cursor as it is.
    pub read: Seq,
}

/// A conversation as its member sees it in a list.
#[derive(Debug, Clone)]
pub struct Overview {
    /// The conversation.
    pub conversation: Conversation,
    /// The caller's membership.
    pub member: Member,
    /// The newest event of the caller's log; none when there is none yet.
    pub head: Seq,
    /// The newest message of the caller's log.
    pub last_message: Option<Event>,
    /// How many messages of others come after readSeq; counted up to [`Overview::UNREAD_LIMIT`].
    pub unread: u64,
}

impl Overview {
    /// Unread messages are counted up to here.
    pub const UNREAD_LIMIT: u64 = 1000;
}

/// What hobnob needs of a database. See the module's documentation for what holds of every call.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Brings the schema (tables, indexes, validators) up to date; idempotent, and safe to run from several processes
    /// at once. Takes no longer the more is stored, unless the schema has changed.
    async fn migrate(&self) -> StoreResult<()>;

    /// Brings all cursors that are beyond their logs back to the heads, as after a restore (D37). Reads every membership.
    async fn clamp_all_cursors(&self) -> StoreResult<()>;
    /// Brings the cursors of one conversation's members back to its head where they are beyond it (D37).
    async fn clamp_cursors(&self, conversation: ConversationId) -> StoreResult<()>;

    /// Whether the store answers, and can be written to.
    async fn ping(&self) -> StoreResult<()>;

    /// Stores a user unless the folded username is taken. Repeating the call with the same user id is [`Inserted::Yes`].
    async fn create_user(&self, new: NewUser) -> StoreResult<Inserted>;
    /// The user with this folded username, and their password's hash.
    async fn user_by_name(&self, folded: &str) -> StoreResult<Option<(User, String)>>;
    /// Those of these users that exist, in no order.
    async fn users(&self, ids: &[UserId]) -> StoreResult<Vec<User>>;
    /// Users whose folded username begins with this folded text, by folded username.
    async fn search_users(&self, folded_prefix: &str, limit: usize) -> StoreResult<Vec<User>>;
    /// Notes when users were last seen; never moves it back.
    async fn touch_last_seen(&self, users: &[UserId], at: Timestamp) -> StoreResult<()>;

    /// Stores a refresh token, the first of its family.
    async fn put_refresh_token(&self, token: RefreshToken) -> StoreResult<()>;
    /// Exchanges a refresh token at this time for a successor of its user and family, whose hash and end are given.
    /// An exchanged token is kept until its end, so that its re-use is noticed; repeating the call is no re-use.
    async fn rotate_refresh_token(
        &self,
        hash: &[u8; 32],
        successor: ([u8; 32], Timestamp),
        now: Timestamp,
    ) -> StoreResult<Rotation>;
    /// Ends all refresh tokens of this one's family; one that is unknown has ended already.
    async fn end_refresh_tokens(&self, hash: &[u8; 32]) -> StoreResult<()>;

    /// Counts all of these, or none: then returns the place of the first one that its limit refuses. A call whose outcome
    /// is unknown may have counted.
    async fn charge(&self, charges: &[Charge]) -> StoreResult<Option<usize>>;

    /// Makes sure that a direct conversation and its members exist (D6). The caller has checked that the users do.
    /// Returns whether this call made it.
    async fn ensure_direct(&self, conversation: ConversationId, at: Timestamp)
    -> StoreResult<bool>;
    /// Makes a room with its members and the first event of its log, all or nothing. Repeating the call changes nothing.
    async fn create_room(&self, room: NewRoom) -> StoreResult<()>;
    /// Those of these conversations that exist, deleted rooms included, in no order.
    async fn conversations(&self, ids: &[ConversationId]) -> StoreResult<Vec<Conversation>>;
    /// One membership, former ones included.
    async fn member(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> StoreResult<Option<Member>>;
    /// The active members of a conversation with a user id greater than `after`, by user id.
    async fn members(
        &self,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> StoreResult<Vec<Member>>;
    /// The memberships of a user, former ones included, of the conversations after this one, in the order of the ids as
    /// text.
    async fn memberships(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreResult<Vec<Member>>;
    /// The active memberships of a user in rooms with an id greater than `after`, by id.
    async fn rooms(
        &self,
        user: UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> StoreResult<Vec<Member>>;
    /// Those of these users who share an active conversation with this one, in no order. Of a user in very many rooms
    /// only the first [`ROOMS_COMPARED`] are looked at: the rest of their company counts as strangers.
    async fn sharing(&self, user: UserId, others: &[UserId]) -> StoreResult<Vec<UserId>>;
    /// Those of these users who belong to at least so many rooms, in no order.
    async fn users_in_rooms(&self, users: &[UserId], at_least: usize) -> StoreResult<Vec<UserId>>;
    /// A user's conversations (active memberships), the one with the newest message first, those without any by
    /// creation. `after` is the last conversation of the previous page.
    async fn overviews(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreResult<Vec<Overview>>;

    /// Stores runs of events; at most one run per conversation. Never fails as a whole: the outcomes are in the order of
    /// the runs. Neither authorises nor decides: see the committer.
    async fn append(&self, runs: Vec<Run>) -> Vec<RunOutcome>;
    /// What each of these changes, of any logs, is decided by. Of the end of a log, when everything in it is projected: see
    /// [`Store::project_leftovers`].
    async fn facts(&self, changes: &[Change]) -> StoreResult<Vec<Facts>>;
    /// Writes what follows from events, of any logs, that [`Store::append`] has stored, in their order; of one log, when
    /// what follows from those before them is written. Idempotent; what others have written meanwhile, also of later events, stays (D56).
    async fn project(&self, events: &[Projected]) -> StoreResult<()>;
    /// Writes what follows from events whose writers have not (yet): of one log, or of all. When it is done, whatever
    /// follows from the events that were stored before the call is written.
    async fn project_leftovers(&self, of: Option<ConversationId>) -> StoreResult<()>;

    /// The newest seqs of these logs; a log without events is absent.
    async fn heads(
        &self,
        conversations: &[ConversationId],
    ) -> StoreResult<HashMap<ConversationId, Seq>>;
    /// The first `limit` events of these spans: the spans in the order given, the events of each by seq, ascending. Ends
    /// early with the event that fills [`PAGE_BYTES`]. What follows from the events that it shows is written (D56).
    async fn events(&self, spans: &[Span], limit: usize) -> StoreResult<Vec<Event>>;
    /// The first or last `limit` messages (no other kinds of event) of a span, ascending by seq. Ends early, like
    /// [`Store::events`].
    async fn messages(&self, span: Span, end: End, limit: usize) -> StoreResult<Vec<Event>>;
    /// The event with this id, when it is no message; what follows from it may not be written yet.
    async fn change_by_id(
        &self,
        conversation: ConversationId,
        id: EventId,
    ) -> StoreResult<Option<Event>>;
    /// The message with this sender's clientMessageId.
    async fn message_by_client_id(
        &self,
        conversation: ConversationId,
        sender: UserId,
        client_message_id: &ClientMessageId,
    ) -> StoreResult<Option<Event>>;

    /// Moves cursors forward. Moves for memberships that do not exist are ignored. The caller has clamped them to
    /// seqs that exist.
    async fn move_cursors(&self, moves: &[CursorMove]) -> StoreResult<()>;
}
