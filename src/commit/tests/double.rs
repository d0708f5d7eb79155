//! A store in memory that does as it is told: other gateways' events, hidden reads, outages and blocked inserts. Only
//! what the committer calls; the real adapters have the contract suite.

use std::collections::{HashMap, HashSet, VecDeque};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::domain::{
    Body, Change, ClientMessageId, Conversation, ConversationId, Event, EventId, Facts, Member,
    Role, Seq, Timestamp, User, UserId,
};
use crate::store::{
    CursorMove, End, Inserted, NewRoom, NewUser, Overview, Projected, RefreshToken, Rotation, Run,
    RunOutcome, Span, Stop, Store, StoreError, StoreResult,
};

/// What an insert does instead of what it should.
pub(super) type Step = Box<dyn FnOnce(&mut State, &Run) -> RunOutcome + Send>;

#[derive(Default)]
pub(super) struct State {
    pub(super) logs: HashMap<ConversationId, Vec<Event>>,
    /// Users who are owners, and not plain members.
    pub(super) owners: HashSet<UserId>,
    /// Users who are no longer members.
    pub(super) removed: HashSet<UserId>,
    /// For the next inserts, in turn; the others do as they should.
    pub(super) steps: VecDeque<Step>,
    /// No insert is stored, and no outcome known.
    pub(super) outage: bool,
    /// Membership reads fail for good.
    pub(super) broken: bool,
    /// How many reads will not see what is stored, because it is not committed yet.
    pub(super) hidden: usize,
    /// Inserts into these hang.
    pub(super) blocked: HashSet<ConversationId>,
    /// Inserts into these are hanging.
    pub(super) hanging: HashSet<ConversationId>,
    /// Where the runs began, in turn.
    pub(super) firsts: Vec<Seq>,
    /// How long they were, likewise.
    pub(super) runs: Vec<(ConversationId, usize)>,
    /// How often it was asked what a change is decided by.
    pub(super) changes: usize,
    /// Of which events what follows is written, in turn.
    pub(super) projected: Vec<u64>,
    /// How many times what follows from an event cannot be written.
    pub(super) unwritten: usize,
    /// Of which logs all was written that others have left, in turn.
    pub(super) leftovers: Vec<ConversationId>,
    /// Conversations that were made.
    pub(super) made: HashSet<ConversationId>,
    /// How many of the next conversations are made, while their outcome stays unknown.
    pub(super) unsure: usize,
}

impl State {
    /// What a store should do.
    pub(super) fn append(&mut self, run: &Run) -> RunOutcome {
        let log = self.logs.entry(run.conversation).or_default();
        for (place, event) in run.events.iter().enumerate() {
            let is_stored = |stored: &Event| {
                let is_retry = stored.sender == event.sender
                    && client_message_id(stored).is_some()
                    && client_message_id(stored) == client_message_id(event);
                stored.id == event.id || is_retry
            };
            if log.iter().any(is_stored) {
                return stopped(place, Stop::IdTaken);
            }
            if log.len() as u64 + 1 != event.seq.get() {
                return stopped(place, Stop::SeqTaken);
            }
            log.push((**event).clone());
        }
        RunOutcome {
            committed: run.events.len(),
            stopped: None,
        }
    }

    /// Another gateway's event.
    pub(super) fn insert(&mut self, conversation: ConversationId, sender: UserId, body: Body) {
        let log = self.logs.entry(conversation).or_default();
        let seq = Seq::new(log.len() as u64 + 1);
        log.push(Event {
            id: EventId::from_bytes([0xee; 12]),
            conversation,
            seq,
            sender,
            at: Timestamp::from_millis(0),
            body,
        });
    }

    /// Another gateway removes a member.
    pub(super) fn remove(&mut self, conversation: ConversationId, user: UserId) {
        self.removed.insert(user);
        self.insert(conversation, user, Body::MemberRemoved { user, heir: None });
    }

    /// Another gateway stores a message.
    pub(super) fn intrude(&mut self, conversation: ConversationId) {
        let message = super::message(99, &format!("other {}", self.firsts.len()));
        let body = message.event(conversation, Seq::ZERO).body;
        self.insert(conversation, message.sender, body);
    }

    pub(super) fn contents(&self, conversation: ConversationId) -> Vec<String> {
        let log = self.logs.get(&conversation).into_iter().flatten();
        let ids = log.filter_map(client_message_id);
        ids.map(|id| id.as_str().to_owned()).collect()
    }

    /// Whether the conversation was new.
    fn make(&mut self, conversation: ConversationId) -> StoreResult<bool> {
        let is_new = self.made.insert(conversation);
        if self.unsure == 0 {
            return Ok(is_new);
        }
        self.unsure -= 1;
        Err(StoreError::Unavailable("told so".to_owned()))
    }

    /// With the first event of its log, once.
    fn make_room(&mut self, room: &NewRoom) -> StoreResult<()> {
        let created = &room.created;
        if !self.made.contains(&created.conversation) {
            let log = self.logs.entry(created.conversation).or_default();
            log.push((**created).clone());
        }
        self.make(created.conversation).map(|_| ())
    }

    fn is_hidden(&mut self) -> bool {
        let is_hidden = self.hidden > 0;
        self.hidden = self.hidden.saturating_sub(1);
        is_hidden
    }
}

pub(super) fn stopped(committed: usize, stop: Stop) -> RunOutcome {
    RunOutcome {
        committed,
        stopped: Some(stop),
    }
}

pub(super) fn unknown() -> RunOutcome {
    stopped(0, Stop::Unknown("told so".to_owned()))
}

fn client_message_id(event: &Event) -> Option<&ClientMessageId> {
    match &event.body {
        Body::Message(message) => Some(&message.client_message_id),
        _ => None,
    }
}

#[derive(Default)]
pub(super) struct Double {
    pub(super) state: Mutex<State>,
    /// `blocked` or `hanging` has changed.
    pub(super) moved: Notify,
}

impl Double {
    /// Waits until something holds of the blocked inserts.
    pub(super) async fn until(&self, holds: impl Fn(&State) -> bool) {
        loop {
            let moved = self.moved.notified();
            if holds(&self.state.lock()) {
                return;
            }
            moved.await;
        }
    }

    async fn wait_while_blocked(&self, runs: &[Run]) {
        let is_blocked = |state: &State| {
            runs.iter()
                .any(|run| state.blocked.contains(&run.conversation))
        };
        if is_blocked(&self.state.lock()) {
            let runs = runs.iter().map(|run| run.conversation);
            self.state.lock().hanging.extend(runs);
            self.moved.notify_waiters();
        }
        self.until(|state| !is_blocked(state)).await;
    }
}

#[async_trait]
impl Store for Double {
    async fn append(&self, runs: Vec<Run>) -> Vec<RunOutcome> {
        self.wait_while_blocked(&runs).await;
        let mut state = self.state.lock();
        let mut outcomes = Vec::new();
        for run in runs {
            state.firsts.push(run.first);
            state.runs.push((run.conversation, run.events.len()));
            outcomes.push(match state.steps.pop_front() {
                Some(step) => step(&mut state, &run),
                None if state.outage => unknown(),
                None => state.append(&run),
            });
        }
        outcomes
    }
    async fn facts(&self, changes: &[Change]) -> StoreResult<Vec<Facts>> {
        let mut state = self.state.lock();
        state.changes += changes.len();
        let facts = changes.iter().map(|change| {
            let log = state.logs.get(&change.conversation);
            let at = |seq| log?.iter().find(|event| event.seq == seq).cloned();
            Facts {
                target: change.kind.target().and_then(at),
                ..Facts::default()
            }
        });
        Ok(facts.collect())
    }
    async fn project(&self, events: &[Projected]) -> StoreResult<()> {
        let mut state = self.state.lock();
        if state.unwritten > 0 {
            state.unwritten -= 1;
            return Err(StoreError::Unavailable("told so".to_owned()));
        }
        let seqs = events.iter().map(|projected| projected.event.seq.get());
        state.projected.extend(seqs);
        Ok(())
    }
    async fn project_leftovers(&self, of: Option<ConversationId>) -> StoreResult<()> {
        self.state.lock().leftovers.extend(of);
        Ok(())
    }
    async fn change_by_id(
        &self,
        conversation: ConversationId,
        id: EventId,
    ) -> StoreResult<Option<Event>> {
        let mut state = self.state.lock();
        if state.is_hidden() {
            return Ok(None);
        }
        let mut log = state.logs.get(&conversation).into_iter().flatten();
        Ok(log.find(|event| event.id == id).cloned())
    }
    async fn heads(&self, ids: &[ConversationId]) -> StoreResult<HashMap<ConversationId, Seq>> {
        let state = self.state.lock();
        let newest = |id| Some((id, state.logs.get(&id)?.last()?.seq));
        Ok(ids.iter().copied().filter_map(newest).collect())
    }
    async fn events(&self, spans: &[Span], limit: usize) -> StoreResult<Vec<Event>> {
        let state = self.state.lock();
        let log = state.logs.get(&spans[0].conversation).into_iter().flatten();
        let newer = log.filter(|event| event.seq > spans[0].after);
        Ok(newer.take(limit).cloned().collect())
    }
    async fn member(&self, id: ConversationId, user: UserId) -> StoreResult<Option<Member>> {
        let state = self.state.lock();
        if state.broken {
            return Err(StoreError::Broken("told so".to_owned()));
        }
        let is_member = !state.removed.contains(&user);
        let role = match state.owners.contains(&user) {
            true => Role::Owner,
            false => Role::Member,
        };
        Ok(is_member.then(|| Member::joining(id, user, role, Seq::new(1))))
    }
    async fn message_by_client_id(
        &self,
        conversation: ConversationId,
        sender: UserId,
        id: &ClientMessageId,
    ) -> StoreResult<Option<Event>> {
        let mut state = self.state.lock();
        if state.is_hidden() {
            return Ok(None);
        }
        let mut log = state.logs.get(&conversation).into_iter().flatten();
        let found =
            log.find(|event| event.sender == sender && client_message_id(event) == Some(id));
        Ok(found.cloned())
    }

    async fn migrate(&self) -> StoreResult<()> {
        unreachable!()
    }
    async fn ping(&self) -> StoreResult<()> {
        unreachable!()
    }
    async fn create_user(&self, _: NewUser) -> StoreResult<Inserted> {
        unreachable!()
    }
    async fn user_by_name(&self, _: &str) -> StoreResult<Option<(User, String)>> {
        unreachable!()
    }
    async fn users(&self, _: &[UserId]) -> StoreResult<Vec<User>> {
        unreachable!()
    }
    async fn search_users(&self, _: &str, _: usize) -> StoreResult<Vec<User>> {
        unreachable!()
    }
    async fn touch_last_seen(&self, _: &[UserId], _: Timestamp) -> StoreResult<()> {
        unreachable!()
    }
    async fn put_refresh_token(&self, _: RefreshToken) -> StoreResult<()> {
        unreachable!()
    }
    async fn rotate_refresh_token(
        &self,
        _: &[u8; 32],
        _: ([u8; 32], Timestamp),
        _: Timestamp,
    ) -> StoreResult<Rotation> {
        unreachable!()
    }
    async fn end_refresh_tokens(&self, _: &[u8; 32]) -> StoreResult<()> {
        unreachable!()
    }
    async fn ensure_direct(&self, id: ConversationId, _: Timestamp) -> StoreResult<bool> {
        self.state.lock().make(id)
    }
    async fn create_room(&self, room: NewRoom) -> StoreResult<()> {
        self.state.lock().make_room(&room)
    }
    async fn conversations(&self, _: &[ConversationId]) -> StoreResult<Vec<Conversation>> {
        unreachable!()
    }
    async fn members(
        &self,
        _: ConversationId,
        _: Option<UserId>,
        _: usize,
    ) -> StoreResult<Vec<Member>> {
        unreachable!()
    }
    async fn memberships(
        &self,
        _: UserId,
        _: Option<ConversationId>,
        _: usize,
    ) -> StoreResult<Vec<Member>> {
        unreachable!()
    }
    async fn rooms(
        &self,
        _: UserId,
        _: Option<crate::domain::RoomId>,
        _: usize,
    ) -> StoreResult<Vec<Member>> {
        unreachable!()
    }
    async fn sharing(&self, _: UserId, _: &[UserId]) -> StoreResult<Vec<UserId>> {
        unreachable!()
    }
    async fn users_in_rooms(&self, _: &[UserId], _: usize) -> StoreResult<Vec<UserId>> {
        unreachable!()
    }
    async fn charge(&self, _: &[crate::store::Charge]) -> StoreResult<Option<usize>> {
        unreachable!()
    }
    async fn clamp_all_cursors(&self) -> StoreResult<()> {
        unreachable!()
    }
    async fn clamp_cursors(&self, _: ConversationId) -> StoreResult<()> {
        Ok(())
    }
    async fn overviews(
        &self,
        _: UserId,
        _: Option<ConversationId>,
        _: usize,
    ) -> StoreResult<Vec<Overview>> {
        unreachable!()
    }
    async fn messages(&self, _: Span, _: End, _: usize) -> StoreResult<Vec<Event>> {
        unreachable!()
    }
    async fn move_cursors(&self, _: &[CursorMove]) -> StoreResult<()> {
        unreachable!()
    }
}
