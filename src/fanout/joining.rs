//! Joining (D13, D30, D32): what a session is to be given, worked out before anything is. Delivery itself is
//! `catch_up`'s.

use std::collections::HashMap;
use std::sync::Arc;

use super::catch_up::{CatchUp, Pursuit};
use super::presence::Arrivals;
use super::session::Session;
use crate::bus::{Bus, Channel};
use crate::chat::ChatError;
use crate::domain::{ConversationId, Member, RoomId, Seq};
use crate::metrics::Metrics;
use crate::store::Store;

/// Where a device wants to resume, by conversation (D30): overrides the user's cursor, up or down.
pub type Since = HashMap<ConversationId, Seq>;

/// The most rooms that the answer to a join names. With [`ROOM_BYTES`] each it is less than half of the smallest
/// outbox, whatever the user was made a member of.
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
    /// Whether the user is in more rooms than are listed.
    pub has_more_rooms: bool,
    /// What [`super::hub::Hub::deliver`] starts with, once the answer is written.
    pub backlog: Backlog,
}

/// Where a session's delivery begins.
#[derive(Debug, Default)]
pub struct Backlog(Vec<Pursuit>);

pub(super) struct Joining {
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    catch_up: Arc<CatchUp>,
    arrivals: Arc<Arrivals>,
    metrics: Metrics,
}

impl Joining {
    pub(super) fn new(
        (store, bus): (Arc<dyn Store>, Arc<dyn Bus>),
        catch_up: Arc<CatchUp>,
        arrivals: Arc<Arrivals>,
        metrics: Metrics,
    ) -> Self {
        Self {
            store,
            bus,
            catch_up,
            arrivals,
            metrics,
        }
    }

    /// Prepares delivery to a session, which [`Self::deliver`] starts. A second join changes nothing.
    ///
    /// # Errors
    /// [`ChatError::ResumeTooLarge`]; [`ChatError::Unavailable`] when the store is away; the session may try again.
    pub(super) async fn join(
        &self,
        session: &Arc<Session>,
        since: Since,
        is_auto: Option<bool>,
    ) -> Result<Joined, ChatError> {
        if since.len() > RESUME_POINTS {
            return Err(ChatError::ResumeTooLarge {
                limit: RESUME_POINTS,
            });
        }
        if !session.join() {
            let rooms = self.store.rooms(session.user(), None, ROOMS_TOLD + 1);
            return Ok(Joined::new(&rooms.await?, Backlog::default()));
        }
        is_auto
            .into_iter()
            .for_each(|is_auto| session.set_auto(is_auto));
        self.resume(session, since).await?;
        self.arrivals.arrive(session).await;
        // Events on the user's channel reveal what the memberships read after this do not show yet. When the bus is
        // away the join proceeds; its return is a gap (D15).
        let _ = self.bus.subscribe(&[Channel::User(session.user())]).await;
        let members = self.catch_up.memberships(session.user()).await;
        let members = members.inspect_err(|_| {
            session.unjoin();
            self.arrivals.part(session);
        })?;
        let pursuits: Vec<Pursuit> = members
            .iter()
            .filter_map(|member| self.catch_up.begin(session, member))
            .collect();
        Ok(Joined::new(&members, Backlog(pursuits)))
    }

    /// Starts delivery: the backlog, in order, then live events.
    pub(super) fn deliver(&self, session: &Arc<Session>, backlog: Backlog) {
        self.catch_up.deliver(session, backlog.0);
    }

    /// Notes where this device wants to resume.
    async fn resume(&self, session: &Session, since: Since) -> Result<(), ChatError> {
        let count = if since.is_empty() {
            &self.metrics.resumes_from_cursor
        } else {
            &self.metrics.resumes_from_since
        };
        count.increment(1);
        let resume = self.clamp(since).await.inspect_err(|_| session.unjoin())?;
        session.resume_from(resume);
        Ok(())
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
