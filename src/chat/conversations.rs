//! The caller's conversations as a list. Knows what a list shows of each; knows no JSON.

use std::collections::HashMap;

use futures_util::future::try_join_all;

use crate::domain::{ConversationId, Event, Seq, User, UserId};
use crate::store::{Overview, PAGE_BYTES};

use super::history::reached;
use super::{Chat, ChatError};

/// A conversation in a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What its member sees of it.
    pub overview: Overview,
    /// The user at the other end of a direct conversation.
    pub peer: Option<User>,
    /// How far the receiver of the last message has received or read a direct conversation.
    pub seen_up_to: Seq,
}

/// How many of these fill a page.
fn within_a_page(overviews: &[Overview]) -> usize {
    let mut weight = 0;
    let heavy = overviews.iter().position(|overview| {
        weight += overview.last_message.as_ref().map_or(0, Event::weight);
        weight >= PAGE_BYTES
    });
    heavy.map_or(overviews.len(), |last| last + 1)
}

impl Chat {
    /// The caller's conversations, the one with the newest message first, and whether there may be more. `after` is the
    /// last one of the page before. Like a page of history, it ends early when the last messages are long.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn conversations(
        &self,
        caller: UserId,
        after: Option<ConversationId>,
        limit: Option<usize>,
    ) -> Result<(Vec<Listed>, bool), ChatError> {
        let limit = self.limits.page(limit);
        let mut overviews = self.store.overviews(caller, after, limit).await?;
        let whole = overviews.len();
        overviews.truncate(within_a_page(&overviews));
        let has_more = whole == limit || overviews.len() < whole;
        let peers = self.peers(caller, &overviews).await?;
        let listed = overviews.into_iter().map(|overview| {
            let peer = overview.conversation.id.peer_of(caller);
            let peer = peer.and_then(|user| peers.get(&user).cloned());
            self.listed(overview, peer)
        });
        Ok((try_join_all(listed).await?, has_more))
    }

    async fn peers(
        &self,
        caller: UserId,
        overviews: &[Overview],
    ) -> Result<HashMap<UserId, User>, ChatError> {
        let ids: Vec<UserId> = overviews
            .iter()
            .filter_map(|overview| overview.conversation.id.peer_of(caller))
            .collect();
        let users = self.store.users(&ids).await?;
        Ok(users.into_iter().map(|user| (user.id, user)).collect())
    }

    /// Asks for the other user's cursor only where it is shown: under a direct message of the caller's own.
    async fn listed(&self, overview: Overview, peer: Option<User>) -> Result<Listed, ChatError> {
        let own = &overview.member;
        let last = overview.last_message.as_ref();
        let receiver = last.and_then(|event| event.conversation.peer_of(event.sender));
        let seen_up_to = match receiver {
            None => Seq::ZERO,
            Some(user) if user == own.user => reached(own),
            Some(user) => {
                let member = self.store.member(own.conversation, user).await?;
                member.as_ref().map_or(Seq::ZERO, reached)
            }
        };
        Ok(Listed {
            overview,
            peer,
            seen_up_to,
        })
    }
}
