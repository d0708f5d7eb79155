//! A conversation that one session catches up with: where it stands, and where the log ends for its user. Reads
//! nothing.

use std::sync::Arc;

use super::super::offer::Offer;
use super::super::session::Session;
use super::super::topic::Attach;
use super::pursuing::Pursuing;
use crate::bus::Channel;
use crate::domain::{ConversationId, Event, Member, Seq};
use crate::store::Span;

#[derive(Debug)]
pub(in crate::fanout) struct Pursuit {
    pursuing: Pursuing,
    /// The session was given everything up to here.
    position: Seq,
    /// The last seq that is the user's: a former member's log ends.
    last: Seq,
    /// Whether the user is known to belong to the conversation no more: then messages come as they were sent (D41).
    pub(super) is_former: bool,
}

impl Pursuit {
    /// From where this device wants to resume, clamped to the member's log, or else from the user's cursor; not from
    /// before what this session was given already.
    pub(super) fn of(member: &Member, pursuing: Pursuing) -> Self {
        let session = pursuing.session();
        let resume = session.take_resume(member.conversation);
        let last = member.last_seq();
        let position = resume.map_or(member.resume_after(), |seq| {
            seq.min(last).max(member.joined_seq.previous())
        });
        let given = session.given(member.conversation).unwrap_or_default();
        Self {
            position: position.max(given),
            last,
            is_former: last < Seq::MAX,
            pursuing,
        }
    }

    /// Of somebody who is a member, from here on.
    pub(super) const fn behind(pursuing: Pursuing, position: Seq) -> Self {
        Self {
            pursuing,
            position,
            last: Seq::MAX,
            is_former: false,
        }
    }

    pub(super) const fn conversation(&self) -> ConversationId {
        self.pursuing.conversation()
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        self.pursuing.session()
    }

    /// The session was given everything up to here.
    pub(super) const fn position(&self) -> Seq {
        self.position
    }

    /// There is nothing more to be read.
    pub(super) fn into_pursuing(self) -> Pursuing {
        self.pursuing
    }

    /// Whether everything that is the user's has been given.
    pub(super) fn is_over(&self) -> bool {
        self.position >= self.last
    }

    /// What is to be read next.
    pub(super) fn span(&self) -> Span {
        Span {
            conversation: self.conversation(),
            after: self.position,
            up_to: self.last,
        }
    }

    /// Where what follows will be heard live.
    pub(super) fn channel(&self) -> Option<Channel> {
        match self.conversation() {
            // A former member hears nothing live.
            ConversationId::Room(room) if self.last == Seq::MAX => Some(Channel::Room(room)),
            _ => None,
        }
    }

    /// Gives one event from the log; the one that ends the user's log is the last.
    pub(super) fn give(&mut self, event: &Event) {
        let offer = if self.is_former {
            Offer::of(&event.clone().into_sent())
        } else {
            Offer::of(event)
        };
        self.session().give(&offer);
        self.advance(event.seq);
        if offer.effect.ends_for(self.session().user()) {
            self.last = event.seq;
        }
    }

    /// The session was given everything up to this seq.
    pub(super) fn advance(&mut self, position: Seq) {
        self.position = position;
        self.note();
    }

    /// Lets the session know how far it is.
    pub(super) fn note(&self) {
        self.session().advance(self.conversation(), self.position);
    }

    /// Attaches the session to its topic, if it was given all that the topic has offered; and whether the log is known to
    /// reach beyond what the topic has offered, and nobody fills that gap yet.
    pub(super) fn attach(&mut self) -> (Attach, bool) {
        let topics = self.pursuing.topics();
        topics.open(self.conversation(), |topic| {
            let attach = topic.attach(self.session(), self.position);
            if let Attach::Attached(from) = attach {
                self.pursuing.attached(topic, from);
            }
            (attach, topic.hear(self.position))
        })
    }
}
