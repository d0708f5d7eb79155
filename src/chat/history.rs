//! Reading a conversation's messages, page by page. Knows how far each member may read; knows no links and no JSON.

use crate::domain::{ConversationId, Event, Member, RoomId, Seq, UserId};
use crate::store::{End, Span, is_cut};

use super::{Chat, ChatError};

/// Which messages are asked for: without bounds, the newest page.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range {
    /// Only messages before this one; the newest of them.
    pub before: Option<Seq>,
    /// Only messages after this one; the oldest of them.
    pub after: Option<Seq>,
    /// The most messages in the page; none asks for the default.
    pub limit: Option<usize>,
}

/// A page of history.
#[derive(Debug, Clone)]
pub struct HistoryPage {
    /// The messages, oldest first.
    pub messages: Vec<Event>,
    /// How far the users of a direct conversation have received or read it; empty for a room.
    pub seen: Vec<(UserId, Seq)>,
    /// Whether there are messages before this page.
    pub has_older: bool,
    /// Whether there may be messages after this page.
    pub has_newer: bool,
}

impl HistoryPage {
    /// How far this user has received or read the conversation.
    #[must_use]
    pub fn seen_up_to(&self, user: UserId) -> Seq {
        let found = self.seen.iter().find(|(who, _)| *who == user);
        found.map_or(Seq::ZERO, |(_, seq)| *seq)
    }
}

impl Chat {
    /// The messages between the caller and another user; none before the first.
    ///
    /// # Errors
    /// `user_not_found`.
    pub async fn direct_history(
        &self,
        caller: UserId,
        other: UserId,
        range: Range,
    ) -> Result<HistoryPage, ChatError> {
        let conversation = ConversationId::direct(caller, other);
        // At most two, so that one question answers who may read and how far both have.
        let members = self.store.members(conversation, None, 2).await?;
        let Some(own) = members.iter().find(|member| member.user == caller) else {
            self.require_user(other).await?;
            return Ok(HistoryPage::empty());
        };
        let mut page = self.page(own, range).await?;
        page.seen = members
            .iter()
            .map(|member| (member.user, reached(member)))
            .collect();
        Ok(page)
    }

    /// The messages of a room since the caller joined it.
    ///
    /// # Errors
    /// `not_a_member`.
    pub async fn room_history(
        &self,
        caller: UserId,
        room: RoomId,
        range: Range,
    ) -> Result<HistoryPage, ChatError> {
        let member = self.membership(room.into(), caller).await?;
        self.page(&member, range).await
    }

    async fn page(&self, member: &Member, range: Range) -> Result<HistoryPage, ChatError> {
        let begin = member.joined_seq.previous();
        let after = range.after.map_or(begin, |after| after.max(begin));
        let last = range.before.map_or(Seq::MAX, Seq::previous);
        let up_to = last.min(member.last_seq());
        if up_to <= after {
            return Ok(HistoryPage::empty());
        }
        let end = if range.after.is_some() {
            End::Oldest
        } else {
            End::Newest
        };
        let limit = self.limits.page(range.limit);
        let span = Span {
            conversation: member.conversation,
            after,
            up_to,
        };
        // One more than asked for tells whether the page is the last in its direction; heavy ones end it earlier.
        let mut messages = self.store.messages(span, end, limit + 1).await?;
        let more = is_cut(&messages, limit + 1);
        if messages.len() > limit && end == End::Newest {
            messages.remove(0);
        }
        messages.truncate(limit);
        Ok(HistoryPage {
            has_older: if end == End::Newest {
                more
            } else {
                after > begin
            },
            has_newer: if end == End::Oldest {
                more
            } else {
                range.before.is_some()
            },
            messages,
            seen: Vec::new(),
        })
    }
}

impl HistoryPage {
    const fn empty() -> Self {
        Self {
            messages: Vec::new(),
            seen: Vec::new(),
            has_older: false,
            has_newer: false,
        }
    }
}

/// How far a member has received or read their conversation.
pub(super) fn reached(member: &Member) -> Seq {
    member.delivered_seq.max(member.read_seq)
}
