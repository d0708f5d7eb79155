//! From backlog to live (D12): a session reads the log from its own position, at its outbox's pace, buffers nothing
//! live, and is attached to the topic when it has everything the topic has offered.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::super::offer::Offer;
use super::super::outbox::Reason;
use super::super::session::{Place, Session};
use super::super::topic::Attach;
use super::Hub;
use crate::bus::Channel;
use crate::chat::ChatError;
use crate::domain::{ConversationId, Event, Member, RoomId, Seq};
use crate::store::{Span, StoreError};

/// How many events are read at once.
const PAGE: usize = 200;
/// How many conversations are read in one query.
const SPANS: usize = 100;
/// The first and the longest wait after a failed read.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How often a read is tried again before the session is closed, to resume elsewhere (D15).
const TRIES: u32 = 20;

/// Where a device wants to resume, by conversation (D30): overrides the user's cursor, up or down.
pub type Since = HashMap<ConversationId, Seq>;

/// The answer to a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The user's rooms.
    pub rooms: Vec<RoomId>,
}

/// A conversation that a session catches up with.
#[derive(Debug, Clone, Copy)]
struct Pursuit {
    conversation: ConversationId,
    position: Seq,
    /// The last seq that is the user's: a former member's log ends.
    last: Seq,
}

impl Hub {
    /// Starts delivery to a session: the backlog, in order, then live events. A second join changes nothing. The
    /// answer comes before the backlog.
    ///
    /// # Errors
    /// [`ChatError::Unavailable`] when the store is away; the session may try again.
    pub async fn join(
        self: &Arc<Self>,
        session: &Arc<Session>,
        since: Since,
    ) -> Result<Joined, ChatError> {
        let is_first_join = session.join();
        if is_first_join {
            let resume = self.clamp(since).await.inspect_err(|_| session.unjoin())?;
            session.resume_from(resume);
            self.arrive(session).await;
            // Events on the user's channel reveal what the memberships read after this do not show yet. When the bus
            // is away the join proceeds; its return is a gap (D15).
            let _ = self.bus.subscribe(&[Channel::User(session.user())]).await;
        }
        let members = match self.store.memberships(session.user()).await {
            Ok(members) => members,
            Err(error) => {
                if is_first_join {
                    session.unjoin();
                    self.part(session);
                }
                return Err(error.into());
            }
        };
        let rooms = rooms_of(&members);
        if !is_first_join {
            return Ok(Joined { rooms });
        }
        let pursuits: Vec<Pursuit> = members
            .iter()
            .filter_map(|member| self.begin(session, member))
            .collect();
        self.spawn_catch_up(session, pursuits);
        Ok(Joined { rooms })
    }

    /// Where a device wants to resume, but not beyond the logs. The heads are read before the memberships: so no resume
    /// point lies beyond a removal that the memberships do not show yet.
    async fn clamp(&self, since: Since) -> Result<Since, ChatError> {
        if since.is_empty() {
            return Ok(since);
        }
        let wanted: Vec<ConversationId> = since.keys().copied().collect();
        let heads = self.store.heads(&wanted).await?;
        let clamp = |(conversation, seq): (ConversationId, Seq)| {
            (
                conversation,
                seq.min(heads.get(&conversation).copied().unwrap_or_default()),
            )
        };
        Ok(since.into_iter().map(clamp).collect())
    }

    /// A session begins to catch up with a conversation it has to do with, unless it does already.
    fn begin(&self, session: &Session, member: &Member) -> Option<Pursuit> {
        self.pursue(session, member.conversation).then_some(())?;
        let pursuit = Pursuit::of(member, session.take_resume(member.conversation));
        if pursuit.position >= pursuit.last {
            self.abandon(session, member.conversation);
            return None;
        }
        Some(pursuit)
    }

    /// One of a user's sessions may not know this conversation yet: each that does not reads its membership and
    /// catches up (D13).
    pub(super) fn discover(
        self: &Arc<Self>,
        conversation: ConversationId,
        user: crate::domain::UserId,
    ) {
        self.users
            .for_each(user, |session| self.discover_session(conversation, session));
    }

    pub(super) fn discover_session(
        self: &Arc<Self>,
        conversation: ConversationId,
        session: &Arc<Session>,
    ) {
        if !self.pursue(session, conversation) {
            return;
        }
        let (hub, session) = (Arc::clone(self), Arc::clone(session));
        self.tracker.spawn(async move {
            let user = session.user();
            let member = hub
                .persist(&session, || hub.store.member(conversation, user))
                .await;
            let pursuit = member
                .flatten()
                .map(|member| Pursuit::of(&member, session.take_resume(conversation)))
                .map(|pursuit| pursuit.behind(session.ended_at(conversation)));
            match pursuit.filter(|pursuit| pursuit.position < pursuit.last) {
                Some(pursuit) => hub.catch_up(&session, vec![pursuit]).await,
                None => hub.abandon(&session, conversation),
            }
        });
    }

    /// A session that could not take a repair at once reads on by itself (D18).
    pub(super) fn catch_up_again(
        self: &Arc<Self>,
        conversation: ConversationId,
        session: &Arc<Session>,
        position: Seq,
    ) {
        session.advance(conversation, position);
        self.topics
            .open(conversation, |topic| topic.catching_up += 1);
        self.spawn_catch_up(
            session,
            vec![Pursuit {
                conversation,
                position,
                last: Seq::MAX,
            }],
        );
    }

    /// Notes that a session is after a conversation; false when it is already.
    fn pursue(&self, session: &Session, conversation: ConversationId) -> bool {
        let is_new = session.begin(conversation);
        if is_new {
            self.topics
                .open(conversation, |topic| topic.catching_up += 1);
        }
        is_new
    }

    fn spawn_catch_up(self: &Arc<Self>, session: &Arc<Session>, pursuits: Vec<Pursuit>) {
        let (hub, session) = (Arc::clone(self), Arc::clone(session));
        self.tracker
            .spawn(async move { hub.catch_up(&session, pursuits).await });
    }

    async fn catch_up(self: &Arc<Self>, session: &Arc<Session>, pursuits: Vec<Pursuit>) {
        let rooms: Vec<Channel> = pursuits.iter().filter_map(Pursuit::channel).collect();
        if !rooms.is_empty() {
            let _ = self.bus.subscribe(&rooms).await;
        }
        let mut waiting: VecDeque<Pursuit> = pursuits.into();
        for pursuit in &waiting {
            session.advance(pursuit.conversation, pursuit.position);
        }
        while !waiting.is_empty() && !session.is_closed() && !session.is_withdrawn() {
            session.room().await;
            let spans: Vec<Span> = waiting.iter().take(SPANS).map(Pursuit::span).collect();
            let page = self
                .persist(session, || self.store.events(&spans, PAGE))
                .await;
            let Some(page) = page else { break };
            self.give_page(session, &mut waiting, spans.len(), &page)
                .await;
        }
        for pursuit in waiting {
            self.abandon(session, pursuit.conversation);
        }
    }

    /// Gives what was read, and attaches the session to each conversation that was read to its end.
    async fn give_page(
        self: &Arc<Self>,
        session: &Arc<Session>,
        waiting: &mut VecDeque<Pursuit>,
        asked: usize,
        page: &[Event],
    ) {
        let is_whole = page.len() < PAGE;
        let unfinished = page
            .last()
            .filter(|_| !is_whole)
            .map(|event| event.conversation);
        let mut events = page.iter().peekable();
        for _ in 0..asked {
            let Some(mut pursuit) = waiting.pop_front() else {
                return;
            };
            let mut has_ended = false;
            while let Some(event) =
                events.next_if(|event| event.conversation == pursuit.conversation)
            {
                // A page of long messages is larger than an outbox (D18).
                session.room().await;
                has_ended = has_ended || self.give_event(session, &mut pursuit, event);
            }
            if has_ended || pursuit.position >= pursuit.last {
                self.end(session, pursuit.conversation, pursuit.position);
            } else if unfinished == Some(pursuit.conversation) {
                waiting.push_front(pursuit);
                return;
            } else if !self.attach(session, &mut pursuit) {
                waiting.push_back(pursuit);
            }
        }
    }

    /// Gives one event from the log; true when it is the last one of this user's log.
    fn give_event(&self, session: &Arc<Session>, pursuit: &mut Pursuit, event: &Event) -> bool {
        let offer = Offer::of(event, None);
        session.give(&offer);
        pursuit.position = event.seq;
        session.advance(pursuit.conversation, event.seq);
        offer.effect.ends_for(session.user())
    }

    /// Attaches a session that has read its log to the end; false when there is more by now.
    fn attach(self: &Arc<Self>, session: &Arc<Session>, pursuit: &mut Pursuit) -> bool {
        let conversation = pursuit.conversation;
        let attach = self.topics.open(conversation, |topic| {
            let attach = topic.attach(session, pursuit.position);
            if attach == Attach::Attached {
                session.set_place(conversation, Place::Attached);
                topic.catching_up = topic.catching_up.saturating_sub(1);
            }
            (attach, topic.hear(pursuit.position))
        });
        match attach {
            (Attach::Attached, has_gap) => {
                if has_gap {
                    self.repair(conversation);
                }
                // A session that ended meanwhile was not attached when its topics were left.
                if session.is_closed() || session.is_withdrawn() {
                    self.topics
                        .with(conversation, |topic| topic.detach(session.id()));
                }
                true
            }
            (Attach::Ended(end), _) => {
                self.end(session, conversation, end);
                true
            }
            (Attach::Behind(position), _) => {
                pursuit.position = position;
                false
            }
        }
    }

    /// The user is no member any more, as of what the session was given; perhaps one again by now (D7).
    fn end(self: &Arc<Self>, session: &Arc<Session>, conversation: ConversationId, end: Seq) {
        session.finish(conversation, end);
        self.abandon(session, conversation);
        self.discover_session(conversation, session);
    }

    fn abandon(&self, session: &Session, conversation: ConversationId) {
        session.forget(conversation);
        self.topics.with(conversation, |topic| {
            topic.catching_up = topic.catching_up.saturating_sub(1)
        });
    }

    /// Reads until it succeeds, the session ends, or patience does: then the session is closed, to resume (D15).
    async fn persist<T, F>(&self, session: &Session, mut read: impl FnMut() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut pause = RETRY.0;
        for _ in 0..TRIES {
            if session.is_closed() {
                return None;
            }
            match read().await {
                Ok(found) => return Some(found),
                Err(error) => {
                    tracing::warn!(%error, session = %session.id(), "catching up, reading again")
                }
            }
            tokio::time::sleep(pause + self.entropy.jitter(pause)).await;
            pause = (pause * 2).min(RETRY.1);
        }
        session.close(Reason::ServerClosed);
        None
    }
}

impl Pursuit {
    /// From where this device wants to resume, clamped to the member's log, or else from the user's cursor.
    fn of(member: &Member, resume: Option<Seq>) -> Self {
        let last = member.last_seq();
        let position = resume.map_or(member.resume_after(), |seq| {
            seq.min(last).max(member.joined_seq.previous())
        });
        Self {
            conversation: member.conversation,
            position,
            last,
        }
    }

    /// What the session was given before its user was removed is not given again, acknowledged or not.
    fn behind(self, end: Seq) -> Self {
        Self {
            position: self.position.max(end),
            ..self
        }
    }

    fn span(&self) -> Span {
        Span {
            conversation: self.conversation,
            after: self.position,
            up_to: self.last,
        }
    }

    fn channel(&self) -> Option<Channel> {
        match self.conversation {
            // A former member hears nothing live.
            ConversationId::Room(room) if self.last == Seq::MAX => Some(Channel::Room(room)),
            _ => None,
        }
    }
}

fn rooms_of(members: &[Member]) -> Vec<RoomId> {
    let rooms = members
        .iter()
        .filter(|member| member.is_active())
        .filter_map(|member| match member.conversation {
            ConversationId::Room(room) => Some(room),
            ConversationId::Direct(..) => None,
        });
    let mut rooms: Vec<RoomId> = rooms.collect();
    rooms.sort_unstable();
    rooms
}
