//! Who catches up with a room that they belong to no more (D41). Gives nothing; `catch_up` does.

use std::collections::{HashSet, VecDeque};

use super::super::session::Session;
use super::memberships::Memberships;
use super::pursuit::Pursuit;
use crate::domain::{ConversationId, Event};

/// Notes which of these pursuits are former members', by the membership as it is after the page was read: so that
/// nothing on it was changed later than they left. Asks only where something on the page was changed. None when the
/// store is away for too long, or the session has ended.
pub(super) async fn find_former(
    memberships: &Memberships,
    session: &Session,
    waiting: &mut VecDeque<Pursuit>,
    page: &[Event],
) -> Option<()> {
    let changed: HashSet<ConversationId> = page
        .iter()
        .filter(|event| event.is_touched())
        .map(|event| event.conversation)
        .collect();
    for pursuit in waiting {
        if changed.contains(&pursuit.conversation()) && !pursuit.is_former {
            pursuit.is_former = !is_still_theirs(memberships, session, pursuit).await?;
        }
    }
    Some(())
}

/// Whether the session's user belongs to a conversation now, and has since where their pursuit stands.
async fn is_still_theirs(
    memberships: &Memberships,
    session: &Session,
    pursuit: &Pursuit,
) -> Option<bool> {
    if matches!(pursuit.conversation(), ConversationId::Direct(..)) {
        return Some(true);
    }
    let member = memberships.current(session, pursuit.conversation()).await?;
    Some(
        member.is_some_and(|member| {
            member.is_active() && member.joined_seq <= pursuit.position().next()
        }),
    )
}
