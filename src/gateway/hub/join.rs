//! Joining (D13, D30, D32): what a session is to be given, worked out before anything is. Delivery itself is
//! `catch_up`'s.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::session::Session;
use super::Hub;
use super::catch_up::Pursuit;
use crate::bus::Channel;
use crate::chat::ChatError;
use crate::domain::{ConversationId, Member, RoomId, Seq};

/// Where a device wants to resume, by conversation (D30): overrides the user's cursor, up or down.
pub type Since = HashMap<ConversationId, Seq>;

/// A join that is to be answered, and then delivered.
#[derive(Debug)]
pub struct Joined {
    /// The user's rooms.
    pub rooms: Vec<RoomId>,
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
    /// [`ChatError::Unavailable`] when the store is away; the session may try again.
    pub async fn join(
        self: &Arc<Self>,
        session: &Arc<Session>,
        since: Since,
        is_auto: Option<bool>,
    ) -> Result<Joined, ChatError> {
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
            let backlog = Backlog::default();
            return Ok(Joined { rooms, backlog });
        }
        let pursuits: Vec<Pursuit> = members
            .iter()
            .filter_map(|member| self.begin(session, member))
            .collect();
        let backlog = Backlog(pursuits);
        Ok(Joined { rooms, backlog })
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
