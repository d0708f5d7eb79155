//! From backlog to live (D12): a session reads the log from its own position, at its outbox's pace, buffers nothing
//! live, and is attached to the topic when it has everything the topic has offered. Knows neither what is live nor who
//! fills gaps.

mod former;
mod memberships;
mod pursuing;
mod pursuit;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::gaps::Gaps;
use super::session::Session;
use super::tasks::Tasks;
use super::topic::Attach;
use super::topics::Topics;
use super::users::Users;
use crate::bus::{Bus, Channel};
use crate::commit::frontier::Frontier;
use crate::domain::{Backoff, ConversationId, Entropy, Event, Member, Seq, UserId};
use crate::metrics::Metrics;
use crate::store::{Span, Store, StoreResult, is_cut};
use former::find_former;
use memberships::Memberships;
use pursuing::Pursuing;
pub(in crate::fanout) use pursuit::Pursuit;

/// How many events are read at once.
const PAGE: usize = 200;
/// How many conversations are read in one query.
const SPANS: usize = 100;
/// How many pages are read, or on their way into outboxes, at once; further sessions wait for their turn. So bytes in
/// flight are bounded ([`crate::store::PAGE_BYTES`]) however many sessions come at once. More would not be faster: about as
/// many connections to the store are there.
const READING: usize = 16;
/// The first and the longest wait for what a stale read does not show.
const STALE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(4));

pub(super) struct CatchUp {
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    topics: Arc<Topics>,
    users: Arc<Users>,
    gaps: Arc<Gaps>,
    memberships: Memberships,
    /// Who reads a page of backlog now.
    reading: Semaphore,
    tasks: Tasks,
    metrics: Metrics,
}

/// What catching up needs of the world.
pub(super) struct CatchUpPorts {
    pub(super) store: Arc<dyn Store>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) frontier: Arc<Frontier>,
    pub(super) entropy: Arc<Entropy>,
    pub(super) metrics: Metrics,
}

impl CatchUp {
    pub(super) fn new(
        ports: CatchUpPorts,
        topics: Arc<Topics>,
        users: Arc<Users>,
        gaps: Arc<Gaps>,
        tasks: Tasks,
    ) -> Self {
        let store = Arc::clone(&ports.store);
        Self {
            memberships: Memberships::new(store, ports.frontier, ports.entropy),
            store: ports.store,
            bus: ports.bus,
            topics,
            users,
            gaps,
            reading: Semaphore::new(READING),
            tasks,
            metrics: ports.metrics,
        }
    }

    /// All memberships of a user who joins, with cursors that their logs reach.
    pub(super) async fn memberships(&self, user: UserId) -> StoreResult<Vec<Member>> {
        self.memberships.all(user).await
    }

    /// A session begins to catch up with a conversation it has to do with, unless it does already.
    pub(super) fn begin(
        self: &Arc<Self>,
        session: &Arc<Session>,
        member: &Member,
    ) -> Option<Pursuit> {
        let pursuing = Pursuing::begin(&self.topics, session, member.conversation)?;
        self.unless_over(Pursuit::of(member, pursuing))
    }

    fn unless_over(self: &Arc<Self>, pursuit: Pursuit) -> Option<Pursuit> {
        if pursuit.is_over() {
            self.abandon(pursuit.into_pursuing());
            return None;
        }
        Some(pursuit)
    }

    /// One of a user's sessions may not know this conversation yet: each that does not reads its membership and
    /// catches up (D13).
    pub(super) fn discover(self: &Arc<Self>, conversation: ConversationId, user: UserId) {
        self.users
            .for_each(user, |session| self.discover_session(conversation, session));
    }

    /// Has one session follow a conversation that it does not know.
    pub(super) fn discover_session(
        self: &Arc<Self>,
        conversation: ConversationId,
        session: &Arc<Session>,
    ) {
        let Some(pursuing) = Pursuing::begin(&self.topics, session, conversation) else {
            return;
        };
        let (this, session, id) = (Arc::clone(self), Arc::clone(session), session.id());
        let discovery = async move {
            let ended = session.given(conversation);
            let member = this.memberships.one(&session, conversation).await;
            // A stale read may show a member who was removed: only another joining begins another log (D7).
            let member = member
                .flatten()
                .filter(|member| ended.is_none_or(|ended| member.joined_seq > ended));
            let Some(member) = member else {
                return this.abandon(pursuing);
            };
            if let Some(pursuit) = this.unless_over(Pursuit::of(&member, pursuing)) {
                this.catch_up(&session, vec![pursuit]).await;
            }
        };
        self.tasks.spawn_for(id, discovery);
    }

    /// A session that could not take a repair at once reads on by itself (D18).
    pub(super) fn again(
        self: &Arc<Self>,
        conversation: ConversationId,
        session: &Arc<Session>,
        position: Seq,
    ) {
        let pursuing = Pursuing::detached(&self.topics, session, conversation, position);
        self.deliver(session, vec![Pursuit::behind(pursuing, position)]);
    }

    /// Gives a session what it has begun to catch up with, and then what is live.
    pub(super) fn deliver(self: &Arc<Self>, session: &Arc<Session>, pursuits: Vec<Pursuit>) {
        let (this, session, id) = (Arc::clone(self), Arc::clone(session), session.id());
        let catching_up = async move { this.catch_up(&session, pursuits).await };
        self.tasks.spawn_for(id, catching_up);
    }

    async fn catch_up(self: &Arc<Self>, session: &Arc<Session>, pursuits: Vec<Pursuit>) {
        let rooms: Vec<Channel> = pursuits.iter().filter_map(Pursuit::channel).collect();
        if !rooms.is_empty() {
            let _ = self.bus.subscribe(&rooms).await;
        }
        let mut backoff = Backoff::between(STALE.0, STALE.1);
        let mut waiting: VecDeque<Pursuit> = pursuits.into();
        waiting.iter().for_each(Pursuit::note);
        while !waiting.is_empty() && !session.is_closed() && !session.is_withdrawn() {
            session.room().await;
            let spans: Vec<Span> = waiting.iter().take(SPANS).map(Pursuit::span).collect();
            // Until what was read is in the outbox, or dropped.
            let reading = self.reading.acquire().await;
            let read = || self.store.events(&spans, PAGE);
            let page = self.memberships.persist(session, read).await;
            let Some(page) = page else { break };
            if find_former(&self.memberships, session, &mut waiting, &page)
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
                if self.tasks.pause(&mut backoff).await.is_none() {
                    break;
                }
            } else {
                backoff.reset();
            }
        }
        for pursuit in waiting {
            self.abandon(pursuit.into_pursuing());
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
                events.next_if(|event| event.conversation == pursuit.conversation())
            {
                // A page of long messages is more than an outbox holds: the rest is read again (D18).
                if !session.has_room() || session.is_withdrawn() {
                    waiting.push_front(pursuit);
                    return;
                }
                if !pursuit.is_over() {
                    self.metrics.events_replayed.increment(1);
                    pursuit.give(event);
                }
            }
            let is_read = is_whole || events.peek().is_some();
            if pursuit.is_over() {
                let at = pursuit.position();
                self.end(pursuit, at);
            } else if !is_read {
                waiting.push_front(pursuit);
                return;
            } else {
                waiting.extend(self.attach(pursuit));
            }
        }
    }

    /// Attaches a session that has read its log to the end; gives the pursuit back when there is more by now.
    fn attach(self: &Arc<Self>, mut pursuit: Pursuit) -> Option<Pursuit> {
        let conversation = pursuit.conversation();
        let (attach, has_gap) = pursuit.attach();
        if has_gap {
            self.gaps.found(conversation);
        }
        match attach {
            Attach::Attached(_) => {
                let session = pursuit.session();
                // A session that ended meanwhile was not attached when its topics were left.
                if session.is_closed() || session.is_withdrawn() {
                    self.topics.release(session, conversation);
                }
                None
            }
            Attach::Ended(at) => {
                self.end(pursuit, at);
                None
            }
            Attach::Behind(position) => {
                pursuit.advance(position);
                Some(pursuit)
            }
        }
    }

    /// The user is no member any more, as of what the session was given; perhaps one again by now (D7).
    fn end(self: &Arc<Self>, pursuit: Pursuit, at: Seq) {
        let (session, conversation) = (Arc::clone(pursuit.session()), pursuit.conversation());
        pursuit.into_pursuing().ended(at);
        self.discover_session(conversation, &session);
    }

    /// A session has nothing (more) to do with a conversation, unless it was told of it again meanwhile.
    fn abandon(self: &Arc<Self>, pursuing: Pursuing) {
        let (session, conversation) = (Arc::clone(pursuing.session()), pursuing.conversation());
        if pursuing.abandon() && !session.is_closed() {
            self.discover_session(conversation, &session);
        }
    }
}
