//! A conversation that one session catches up with: where it stands, and where the log ends for its user. Reads
//! nothing.

use std::sync::Arc;

use super::super::offer::Offer;
use super::super::session::Session;
use crate::bus::Channel;
use crate::domain::{ConversationId, Event, Member, Seq};
use crate::store::Span;

/// See the module's documentation.
#[derive(Debug, Clone, Copy)]
pub(in crate::fanout) struct Pursuit {
    pub(super) conversation: ConversationId,
    pub(super) position: Seq,
    /// The last seq that is the user's: a former member's log ends.
    last: Seq,
    /// Whether the user is known to belong to the conversation no more: then messages come as they were sent (D41).
    pub(super) is_former: bool,
}

impl Pursuit {
    /// From where this device wants to resume, clamped to the member's log, or else from the user's cursor; not from
    /// before what this session was given already.
    pub(super) fn of(member: &Member, session: &Session) -> Self {
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

    /// Of somebody who is a member, from here on.
    pub(super) const fn behind(conversation: ConversationId, position: Seq) -> Self {
        Self {
            conversation,
            position,
            last: Seq::MAX,
            is_former: false,
        }
    }

    /// Whether everything that is the user's has been given.
    pub(super) fn is_over(&self) -> bool {
        self.position >= self.last
    }

    /// What is to be read next.
    pub(super) fn span(&self) -> Span {
        Span {
            conversation: self.conversation,
            after: self.position,
            up_to: self.last,
        }
    }

    /// Where what follows will be heard live.
    pub(super) fn channel(&self) -> Option<Channel> {
        match self.conversation {
            // A former member hears nothing live.
            ConversationId::Room(room) if self.last == Seq::MAX => Some(Channel::Room(room)),
            _ => None,
        }
    }

    /// Gives one event from the log; the one that ends the user's log is the last.
    pub(super) fn give(&mut self, session: &Arc<Session>, event: &Event) {
        let offer = if self.is_former {
            Offer::of(&event.clone().into_sent())
        } else {
            Offer::of(event)
        };
        session.give(&offer);
        self.position = event.seq;
        session.advance(self.conversation, event.seq);
        if offer.effect.ends_for(session.user()) {
            self.last = event.seq;
        }
    }
}
