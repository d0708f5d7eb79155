//! What a user may do in a day or an hour, whichever gateways they ask: counted in the store. Rates of requests are
//! `rates.rs`'s.
//!
//! A failed request may have counted; what was refused has not.

use std::time::Duration;

use super::{Chat, ChatError};
use crate::domain::{ConversationId, Timestamp, UserId};
use crate::store::Charge;

/// Of what one user may be added by others in a day, how much by one and the same: one in so many. So nobody can use it
/// up alone.
const SHARE_OF_ONE: u32 = 4;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What an allowance is of, and since when: its key has both, so another time is another allowance.
struct Allowance {
    what: &'static str,
    limit: u32,
    key: String,
    ends: Timestamp,
}

impl Allowance {
    /// Of the time that `now` is in, counted from 1970 in steps of `each`; none without a limit.
    fn new(
        (name, what): (&str, &'static str),
        limit: u32,
        whose: &str,
        (now, each): (Timestamp, Duration),
    ) -> Option<Self> {
        let each = i64::try_from(each.as_millis()).unwrap_or(i64::MAX);
        let number = now.millis().div_euclid(each);
        (limit > 0).then(|| Self {
            what,
            limit,
            key: format!("{name}:{whose}:{number}"),
            ends: Timestamp::from_millis((number + 1).saturating_mul(each)),
        })
    }
}

impl Chat {
    /// Counts a room that `maker` makes with these other members.
    pub(super) async fn charge_room(
        &self,
        maker: UserId,
        others: &[UserId],
    ) -> Result<(), ChatError> {
        let day = (self.clock.now(), DAY);
        let limit = self.quotas().rooms_made;
        let what = ("rooms", "the rooms one may make in a day");
        let made = Allowance::new(what, limit, &maker.to_string(), day);
        let all = others.iter().flat_map(|user| self.additions(maker, *user));
        self.require_places(others.iter().copied().chain([maker]))
            .await?;
        self.charge(made.into_iter().chain(all).collect()).await
    }

    /// Counts that `by` adds a user to a room.
    pub(super) async fn charge_addition(&self, by: UserId, user: UserId) -> Result<(), ChatError> {
        self.require_places([user].into_iter()).await?;
        self.charge(self.additions(by, user).collect()).await
    }

    /// Counts a direct conversation that a user begins. One with oneself is free.
    pub(super) async fn charge_conversation(
        &self,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<(), ChatError> {
        if conversation.peer_of(user) == Some(user) {
            return Ok(());
        }
        let hour = (self.clock.now(), HOUR);
        let limit = self.quotas().new_conversations;
        let what = (
            "conversations",
            "the conversations one may begin in an hour",
        );
        let begun = Allowance::new(what, limit, &user.to_string(), hour);
        self.charge(begun.into_iter().collect()).await
    }

    fn additions(&self, by: UserId, user: UserId) -> impl Iterator<Item = Allowance> + use<> {
        let day = (self.clock.now(), DAY);
        let limit = self.quotas().additions;
        let of_one = limit.div_ceil(SHARE_OF_ONE);
        let what = ("added", "the rooms a user may be added to in a day");
        let by_all = Allowance::new(what, limit, &user.to_string(), day);
        let by_one = Allowance::new(what, of_one, &format!("{user}:{by}"), day);
        by_one.into_iter().chain(by_all)
    }

    async fn require_places(&self, users: impl Iterator<Item = UserId>) -> Result<(), ChatError> {
        let limit = self.quotas().rooms;
        if limit == 0 {
            return Ok(());
        }
        let users: Vec<UserId> = users.collect();
        let full = self.store.users_in_rooms(&users, limit).await?;
        match full.is_empty() {
            true => Ok(()),
            false => Err(ChatError::TooManyRooms { limit }),
        }
    }

    async fn charge(&self, allowances: Vec<Allowance>) -> Result<(), ChatError> {
        if allowances.is_empty() {
            return Ok(());
        }
        let charges = allowances.iter().map(|allowance| Charge {
            key: allowance.key.clone(),
            limit: allowance.limit,
            until: allowance.ends,
        });
        let charges: Vec<Charge> = charges.collect();
        let refused = self.store.charge(&charges).await?;
        let Some(refused) = refused.and_then(|place| allowances.get(place)) else {
            return Ok(());
        };
        let left = refused.ends.millis() - self.clock.now().millis();
        Err(ChatError::QuotaExceeded {
            what: refused.what,
            retry_after: Duration::from_millis(u64::try_from(left).unwrap_or(0)),
        })
    }
}
