//! Joining (D13, D30, D32): what a session is to be given, worked out before anything is. Delivery itself is
//! `catch_up`'s.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::session::Session;
use super::Hub;
use super::catch_up::Pursuit;
use crate::bus::Channel;
use crate::chat::ChatError;
use crate::domain::{ConversationId, Member, RoomId, Seq, UserId};
use crate::store::{StoreResult, all_memberships};

/// Where a device wants to resume, by conversation (D30): overrides the user's cursor, up or down.
pub type Since = HashMap<ConversationId, Seq>;

/// The most rooms that the answer to a join names. With [`ROOM_BYTES`] each it is less than half of the smallest outbox,
/// whatever the user was made a member of.
pub const ROOMS_TOLD: usize = 1000;
/// How much a room takes in an answer, in bytes: an id, its quotes and a comma.
pub const ROOM_BYTES: usize = 27;

/// The most conversations whose resume points a client may name; its frame is then within the usual limit.
pub const RESUME_POINTS: usize = 1000;

/// A join that is to be answered, and then delivered.
#[derive(Debug)]
pub struct Joined {
    /// The user's rooms, by id; at most [`ROOMS_TOLD`].
    pub rooms: Vec<RoomId>,
    /// Whether there are more.
    pub has_more_rooms: bool,
    /// What [`Hub::deliver`] starts with, once the answer is written.
    pub backlog: Backlog,
}

/// Where a session's delivery begins.
#[derive(Debug, Default)]
pub struct Backlog(Vec<Pursuit>);

impl Hub {
    /// Prepares delivery to a session, which [`Hub::deliver`] starts. A second join changes nothing.
    ///
    /// # Errors
    /// [`ChatError::ResumeTooLarge`]; [`ChatError::Unavailable`] when the store is away; the session may try again.
    pub async fn join(
        self: &Arc<Self>,
        session: &Arc<Session>,
        since: Since,
        is_auto: Option<bool>,
    ) -> Result<Joined, ChatError> {
        if since.len() > RESUME_POINTS {
            return Err(ChatError::ResumeTooLarge {
                limit: RESUME_POINTS,
            });
        }
        let is_first_join = session.join();
        if is_first_join {
            is_auto
                .into_iter()
                .for_each(|is_auto| session.set_auto(is_auto));
            let count = if since.is_empty() {
                &self.metrics.resumes_from_cursor
            } else {
                &self.metrics.resumes_from_since
            };
            count.increment(1);
            let resume = self.clamp(since).await.inspect_err(|_| session.unjoin())?;
            session.resume_from(resume);
            self.arrive(session).await;
            // Events on the user's channel reveal what the memberships read after this do not show yet. When the bus
            // is away the join proceeds; its return is a gap (D15).
            let _ = self.bus.subscribe(&[Channel::User(session.user())]).await;
        }
        if !is_first_join {
            let members = self
                .store
                .rooms(session.user(), None, ROOMS_TOLD + 1)
                .await?;
            return Ok(Joined::new(&members, Backlog::default()));
        }
        let members = self.memberships_within_logs(session.user()).await;
        let members = members.inspect_err(|_| {
            session.unjoin();
            self.part(session);
        })?;
        let pursuits: Vec<Pursuit> = members
            .iter()
            .filter_map(|member| self.begin(session, member))
            .collect();
        Ok(Joined::new(&members, Backlog(pursuits)))
    }

    async fn memberships_within_logs(&self, user: UserId) -> StoreResult<Vec<Member>> {
        let members = all_memberships(&*self.store, user).await?;
        self.within_logs(members).await
    }

    /// Memberships that a session is to follow. A cursor beyond its log, as a restore leaves them, would hide what is yet to
    /// come: it is brought back first (D37). Asked only where this gateway does not know that the log reaches so far.
    pub(super) async fn within_logs(&self, mut members: Vec<Member>) -> StoreResult<Vec<Member>> {
        let is_unproved = |member: &Member| {
            let head = self.frontier.head(member.conversation).unwrap_or_default();
            member.is_active() && member.resume_after() > head
        };
        let unproved = members.iter().filter(|member| is_unproved(member));
        let unproved: Vec<_> = unproved.map(|member| member.conversation).collect();
        if unproved.is_empty() {
            return Ok(members);
        }
        let heads = self.store.heads(&unproved).await?;
        for member in members.iter_mut().filter(|member| is_unproved(member)) {
            let head = heads.get(&member.conversation).copied();
            let head = head.unwrap_or_default();
            if member.delivered_seq.max(member.read_seq) > head {
                self.store.clamp_cursors(member.conversation).await?;
                member.delivered_seq = member.delivered_seq.min(head);
            }
        }
        Ok(members)
    }

    /// Starts delivery: the backlog, in order, then live events.
    pub fn deliver(self: &Arc<Self>, session: &Arc<Session>, backlog: Backlog) {
        self.spawn_catch_up(session, backlog.0);
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
}

impl Joined {
    fn new(members: &[Member], backlog: Backlog) -> Self {
        let mut rooms = rooms_of(members);
        let has_more_rooms = rooms.len() > ROOMS_TOLD;
        rooms.truncate(ROOMS_TOLD);
        Self {
            rooms,
            has_more_rooms,
            backlog,
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
