//! Whose turn it is in rooms that several gateways write to. Guessing the next place is cheap while one gateway writes;
//! when several do, all but one lose every time. So a gateway that has lost twice in a row lets the winner write for it
//! for a while (`handover.rs`). Turns only save work: whoever ignores them, or believes another's, writes as correctly
//! as before (D1, D2). Knows neither the store nor the bus.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::{ConversationId, GatewayId};

/// How long a gateway leaves the writing to another after it has lost to it. Then it tries itself, and finds out whether
/// there is still competition.
const LEFT: Duration = Duration::from_secs(3);
/// How long one keeps writing for others after it was last asked to; and within which time losing again counts as in
/// a row.
const LASTS: Duration = Duration::from_secs(1);
/// How many rooms are remembered; beyond it, those of which nothing holds any more are forgotten, or all.
const ROOMS: usize = 10_000;

/// See the module's documentation. Bounded.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<ConversationId, (Turn, Instant)>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Nobody's in particular; this gateway has lost a place.
    Open,
    /// Another's.
    Theirs(GatewayId),
    /// This gateway's: others have handed their messages to it.
    Ours,
}

impl Turn {
    const fn lasts(self) -> Duration {
        match self {
            Self::Theirs(_) => LEFT,
            Self::Open | Self::Ours => LASTS,
        }
    }
}

impl Turns {
    /// Who writes in this room for this gateway, if anybody does.
    pub(super) fn theirs(&self, conversation: ConversationId) -> Option<GatewayId> {
        match self.current(conversation)? {
            Turn::Theirs(gateway) => Some(gateway),
            Turn::Open | Turn::Ours => None,
        }
    }

    /// This gateway lost a place to another. Whom others hand their messages to does not hand them on.
    pub(super) fn lost(&self, conversation: ConversationId, winner: GatewayId) {
        let turn = match self.current(conversation) {
            Some(Turn::Ours) => return,
            Some(_) => Turn::Theirs(winner),
            None => Turn::Open,
        };
        self.set(conversation, turn);
    }

    /// Others want this gateway to write for them; not while it leaves that to another itself, or messages might be
    /// passed round in a circle.
    pub(super) fn accept(&self, conversation: ConversationId) -> bool {
        let is_ours = self.theirs(conversation).is_none();
        if is_ours {
            self.set(conversation, Turn::Ours);
        }
        is_ours
    }

    /// The other did not want to, or did not answer.
    pub(super) fn refused(&self, conversation: ConversationId) {
        self.0.lock().remove(&conversation);
    }

    fn current(&self, conversation: ConversationId) -> Option<Turn> {
        let rooms = self.0.lock();
        let (turn, since) = rooms.get(&conversation)?;
        (since.elapsed() < turn.lasts()).then_some(*turn)
    }

    fn set(&self, conversation: ConversationId, turn: Turn) {
        let mut rooms = self.0.lock();
        if rooms.len() >= ROOMS && !rooms.contains_key(&conversation) {
            rooms.retain(|_, (turn, since)| since.elapsed() < turn.lasts());
            if rooms.len() >= ROOMS {
                rooms.clear();
            }
        }
        rooms.insert(conversation, (turn, Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RoomId;

    const WINNER: GatewayId = GatewayId::from_u64(1);

    fn room(number: u32) -> ConversationId {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        ConversationId::Room(RoomId::from_bytes(bytes))
    }

    #[tokio::test(start_paused = true)]
    async fn who_loses_twice_in_a_row_leaves_the_writing_to_the_winner_for_a_while() {
        let turns = Turns::default();
        turns.lost(room(1), WINNER);
        assert_eq!(turns.theirs(room(1)), None);
        tokio::time::advance(LASTS).await;
        turns.lost(room(1), WINNER);
        assert_eq!(turns.theirs(room(1)), None);
        turns.lost(room(1), WINNER);
        assert_eq!(turns.theirs(room(1)), Some(WINNER));
        assert_eq!(turns.theirs(room(2)), None);
        tokio::time::advance(LEFT).await;
        assert_eq!(turns.theirs(room(1)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_passed_round_in_a_circle() {
        let turns = Turns::default();
        turns.lost(room(1), WINNER);
        turns.lost(room(1), WINNER);
        assert!(!turns.accept(room(1)));
        turns.refused(room(1));
        assert!(turns.accept(room(1)));
        for _ in 0..3 {
            turns.lost(room(1), WINNER);
            assert_eq!(turns.theirs(room(1)), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let turns = Turns::default();
        for number in 0..(2 * ROOMS as u32) {
            turns.lost(room(number), WINNER);
        }
        assert!(turns.0.lock().len() <= ROOMS);
    }
}
