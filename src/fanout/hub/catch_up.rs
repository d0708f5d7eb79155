//! From backlog to live (D12): a session reads the log from its own position, at its outbox's pace, buffers nothing
//! live, and is attached to the topic when it has everything the topic has offered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::super::offer::Offer;
use super::super::session::{Place, Session};
use super::super::topic::Attach;
use super::Hub;
use crate::bus::Channel;
use crate::domain::{ConversationId, Event, Member, Seq};
use crate::logging::served::{Served, serving};
use crate::store::{Span, StoreError, is_cut};
use crate::transport::outbox::Reason;

/// How many events are read at once.
const PAGE: usize = 200;
/// How many conversations are read in one query.
const SPANS: usize = 100;
/// How many pages are read, or on their way into outboxes, at once; further sessions wait for their turn. So bytes in
/// flight are bounded ([`crate::store::PAGE_BYTES`]) however many sessions come at once. More would not be faster: about as
/// many connections to the store are there.
pub(super) const READING: usize = 16;
/// The first and the longest wait after a failed read.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// The first wait for what a stale read does not show.
const STALE: Duration = Duration::from_millis(10);
/// How often a read is tried again before the session is closed, to resume elsewhere (D15).
const TRIES: u32 = 20;

/// A conversation that a session catches up with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pursuit {
    pub(super) conversation: ConversationId,
    pub(super) position: Seq,
    /// The last seq that is the user's: a former member's log ends.
    pub(super) last: Seq,
    /// Whether the user is known to belong to the conversation no more: then messages come as they were sent (D41).
    pub(super) is_former: bool,
}

impl Hub {
    /// A session begins to catch up with a conversation it has to do with, unless it does already.
    pub(super) fn begin(
        self: &Arc<Self>,
        session: &Arc<Session>,
        member: &Member,
    ) -> Option<Pursuit> {
        self.pursue(session, member.conversation).then_some(())?;
        let pursuit = Pursuit::of(member, session);
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
        let whom = Served::Session(session.id());
        let discovery = async move {
            let user = session.user();
            let ended = session.given(conversation);
            // Whoever joins at this very moment has not brought a restored cursor back yet (D37).
            let read = || async {
                let member = hub.store.member(conversation, user).await?;
                let mut within = hub.within_logs(member.into_iter().collect()).await?;
                Ok(within.pop())
            };
            let member = hub.persist(&session, read).await;
            // A stale read may show a member who was removed: only another joining begins another log (D7).
            let pursuit = member
                .flatten()
                .filter(|member| ended.is_none_or(|ended| member.joined_seq > ended))
                .map(|member| Pursuit::of(&member, &session));
            match pursuit.filter(|pursuit| pursuit.position < pursuit.last) {
                Some(pursuit) => hub.catch_up(&session, vec![pursuit]).await,
                None => hub.abandon(&session, conversation),
            }
        };
        self.tracker.spawn(serving(whom, discovery));
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
                is_former: false,
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

    pub(super) fn spawn_catch_up(self: &Arc<Self>, session: &Arc<Session>, pursuits: Vec<Pursuit>) {
        let (hub, session) = (Arc::clone(self), Arc::clone(session));
        let whom = Served::Session(session.id());
        let catching_up = async move { hub.catch_up(&session, pursuits).await };
        self.tracker.spawn(serving(whom, catching_up));
    }

    async fn catch_up(self: &Arc<Self>, session: &Arc<Session>, pursuits: Vec<Pursuit>) {
        let rooms: Vec<Channel> = pursuits.iter().filter_map(Pursuit::channel).collect();
        if !rooms.is_empty() {
            let _ = self.bus.subscribe(&rooms).await;
        }
        let mut pause = STALE;
        let mut waiting: VecDeque<Pursuit> = pursuits.into();
        for pursuit in &waiting {
            session.advance(pursuit.conversation, pursuit.position);
        }
        while !waiting.is_empty() && !session.is_closed() && !session.is_withdrawn() {
            session.room().await;
            let spans: Vec<Span> = waiting.iter().take(SPANS).map(Pursuit::span).collect();
            // Until what was read is in the outbox, or dropped.
            let reading = self.reading.acquire().await;
            let page = self
                .persist(session, || self.store.events(&spans, PAGE))
                .await;
            let Some(page) = page else { break };
            if self
                .find_former(session, &mut waiting, &page)
                .await
                .is_none()
            {
                break;
            }
            let before = waiting.len();
            self.give_page(session, &mut waiting, spans.len(), &page);
            drop(reading);
            if page.is_empty() && waiting.len() == before {
                // Published but not shown: a majority read may be stale during an election (D14).
                tokio::time::sleep(pause + self.entropy.jitter(pause)).await;
                pause = (pause * 2).min(RETRY.1);
            } else {
                pause = STALE;
            }
        }
        for pursuit in waiting {
            self.abandon(session, pursuit.conversation);
        }
        // Whoever only comes for what was waiting is about to go (D48).
        session.mark_now();
    }

    /// Gives what was read, and attaches the session to each conversation that was read to its end. A full page may be cut
    /// off anywhere: it shows a conversation to its end only where another one follows in it. What comes behind its last
    /// event was not read at all, whatever that event says of its own conversation (D45).
    fn give_page(
        self: &Arc<Self>,
        session: &Arc<Session>,
        waiting: &mut VecDeque<Pursuit>,
        asked: usize,
        page: &[Event],
    ) {
        let is_whole = !is_cut(page, PAGE);
        let mut events = page.iter().peekable();
        for _ in 0..asked {
            let Some(mut pursuit) = waiting.pop_front() else {
                return;
            };
            while let Some(event) =
                events.next_if(|event| event.conversation == pursuit.conversation)
            {
                // A page of long messages is more than an outbox holds: the rest is read again (D18).
                if !session.has_room() || session.is_withdrawn() {
                    waiting.push_front(pursuit);
                    return;
                }
                if pursuit.position < pursuit.last {
                    self.metrics.events_replayed.increment(1);
                    give_event(session, &mut pursuit, event);
                }
            }
            let is_read = is_whole || events.peek().is_some();
            if pursuit.position >= pursuit.last {
                self.end(session, pursuit);
            } else if !is_read {
                waiting.push_front(pursuit);
                return;
            } else if !self.attach(session, &mut pursuit) {
                waiting.push_back(pursuit);
            }
        }
    }

    /// Attaches a session that has read its log to the end; false when there is more by now.
    fn attach(self: &Arc<Self>, session: &Arc<Session>, pursuit: &mut Pursuit) -> bool {
        let conversation = pursuit.conversation;
        let (attach, has_gap) = self.topics.open(conversation, |topic| {
            let attach = topic.attach(session, pursuit.position);
            if let Attach::Attached(from) = attach {
                session.set_place(conversation, Place::Attached(from));
                topic.catching_up = topic.catching_up.saturating_sub(1);
            }
            (attach, topic.hear(pursuit.position))
        });
        if has_gap {
            self.repair(conversation);
        }
        match attach {
            Attach::Attached(_) => {
                // A session that ended meanwhile was not attached when its topics were left.
                if session.is_closed() || session.is_withdrawn() {
                    self.topics
                        .with(conversation, |topic| topic.release(session, conversation));
                }
                true
            }
            Attach::Ended(at) => {
                self.end(
                    session,
                    Pursuit {
                        position: at,
                        ..*pursuit
                    },
                );
                true
            }
            Attach::Behind(position) => {
                pursuit.position = position;
                session.advance(conversation, position);
                false
            }
        }
    }

    /// The user is no member any more, as of what the session was given; perhaps one again by now (D7).
    fn end(self: &Arc<Self>, session: &Arc<Session>, pursuit: Pursuit) {
        let Pursuit {
            conversation,
            position,
            ..
        } = pursuit;
        session.set_place(conversation, Place::Ended(position));
        self.stop_pursuing(conversation);
        self.discover_session(conversation, session);
    }

    /// A session has nothing (more) to do with a conversation, unless it was told of it again meanwhile.
    fn abandon(self: &Arc<Self>, session: &Arc<Session>, conversation: ConversationId) {
        match session.given(conversation) {
            Some(seq) => session.set_place(conversation, Place::Ended(seq)),
            None => session.forget(conversation),
        }
        self.stop_pursuing(conversation);
        if session.take_again(conversation) && !session.is_closed() {
            self.discover_session(conversation, session);
        }
    }

    fn stop_pursuing(&self, conversation: ConversationId) {
        self.topics.with(conversation, |topic| {
            topic.catching_up = topic.catching_up.saturating_sub(1);
        });
    }

    /// Reads until it succeeds, the session ends, or patience does: then the session is closed, to resume (D15).
    pub(super) async fn persist<T, F>(
        &self,
        session: &Session,
        mut read: impl FnMut() -> F,
    ) -> Option<T>
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
                    tracing::warn!(%error, "catching up, reading again")
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
    /// From where this device wants to resume, clamped to the member's log, or else from the user's cursor; not from
    /// before what this session was given already.
    fn of(member: &Member, session: &Session) -> Self {
        let resume = session.take_resume(member.conversation);
        let last = member.last_seq();
        let position = resume.map_or(member.resume_after(), |seq| {
            seq.min(last).max(member.joined_seq.previous())
        });
        let given = session.given(member.conversation).unwrap_or_default();
        Self {
            conversation: member.conversation,
            position: position.max(given),
            last,
            is_former: last < Seq::MAX,
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

/// Gives one event from the log; the one that ends the user's log is the last.
fn give_event(session: &Arc<Session>, pursuit: &mut Pursuit, event: &Event) {
    let offer = if pursuit.is_former {
        Offer::of(&event.clone().into_sent(), None)
    } else {
        Offer::of(event, None)
    };
    session.give(&offer);
    pursuit.position = event.seq;
    session.advance(pursuit.conversation, event.seq);
    if offer.effect.ends_for(session.user()) {
        pursuit.last = event.seq;
    }
}
