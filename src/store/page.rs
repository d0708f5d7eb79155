//! Pages: how much is read at once, in bytes, and reading on to the end. Knows no adapter.

use super::{Store, StoreResult};
use crate::domain::{Event, Member, UserId};

/// A page of events ends at the latest with the event that brings it to twice this weight ([`Event::weight`]), most with
/// the one that brings it to this: 200 messages of 16 KiB, each byte of which JSON writes as six, would be 18 MiB.
pub const PAGE_BYTES: usize = 512 * 1024;

/// The memberships read at once.
const MEMBERSHIPS: usize = 1000;

/// How much of a page is taken.
#[derive(Debug, Default)]
pub(super) struct Filling(usize);

impl Filling {
    /// Counts an event; true when it is the page's last.
    pub(super) fn is_full_with(&mut self, event: &Event) -> bool {
        self.0 += event.weight();
        self.0 >= PAGE_BYTES
    }
}

/// Whether a page that was asked for with this limit may not be all there is.
#[must_use]
pub fn is_cut(page: &[Event], limit: usize) -> bool {
    page.len() >= limit || page.iter().map(Event::weight).sum::<usize>() >= PAGE_BYTES
}

/// All memberships of a user, former ones included, read page by page: so that no call takes longer the more there are.
///
/// # Errors
/// The store's.
pub async fn all_memberships(store: &dyn Store, user: UserId) -> StoreResult<Vec<Member>> {
    let mut all: Vec<Member> = Vec::new();
    loop {
        let after = all.last().map(|member| member.conversation);
        let page = store.memberships(user, after, MEMBERSHIPS).await?;
        let is_last = page.len() < MEMBERSHIPS;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}
