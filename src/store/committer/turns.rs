//! Who writes in rooms that several gateways write to. Guessing the next place is cheap while one gateway writes; when
//! several do, all but one lose every time. So a gateway that has lost twice in a row lets the winner write for it for as
//! long as there is competition (`handover.rs`). This only saves work: whoever knows nothing of it, or names another
//! writer, writes as correctly as before (D1, D2). Knows neither the store nor the bus.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::{ConversationId, GatewayId};

/// How long the writing is left to another after the last sign of competition.
const LASTS: Duration = Duration::from_secs(1);
/// How many rooms are remembered; beyond it, those without competition are forgotten, or all.
const ROOMS: usize = 10_000;

/// The writers of contended rooms, as far as they are other gateways. Bounded.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<ConversationId, (GatewayId, Instant)>>);

impl Turns {
    /// Who writes in this room for this gateway, if another does.
    pub(super) fn writer(&self, conversation: ConversationId) -> Option<GatewayId> {
        let rooms = self.0.lock();
        let (writer, seen) = rooms.get(&conversation)?;
        (seen.elapsed() < LASTS).then_some(*writer)
    }

    /// This gateway leaves the writing to another, which has won from it.
    pub(super) fn leave(&self, conversation: ConversationId, writer: GatewayId) {
        let mut rooms = self.0.lock();
        if rooms.len() >= ROOMS && !rooms.contains_key(&conversation) {
            rooms.retain(|_, (_, seen)| seen.elapsed() < LASTS);
            if rooms.len() >= ROOMS {
                rooms.clear();
            }
        }
        rooms.insert(conversation, (writer, Instant::now()));
    }

    /// There still is competition.
    pub(super) fn keep(&self, conversation: ConversationId) {
        if let Some((_, seen)) = self.0.lock().get_mut(&conversation) {
            *seen = Instant::now();
        }
    }

    /// This gateway writes itself again: the other did not want to, or did not answer.
    pub(super) fn resume(&self, conversation: ConversationId) {
        self.0.lock().remove(&conversation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RoomId;

    const WRITER: GatewayId = GatewayId::from_u64(1);

    fn room(number: u32) -> ConversationId {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        ConversationId::Room(RoomId::from_bytes(bytes))
    }

    #[tokio::test(start_paused = true)]
    async fn the_writing_is_left_to_another_as_long_as_there_is_competition() {
        let turns = Turns::default();
        turns.keep(room(1));
        assert_eq!(turns.writer(room(1)), None);
        turns.leave(room(1), WRITER);
        for _ in 0..3 {
            tokio::time::advance(LASTS / 2).await;
            assert_eq!(turns.writer(room(1)), Some(WRITER));
            turns.keep(room(1));
        }
        assert_eq!(turns.writer(room(2)), None);
        tokio::time::advance(LASTS).await;
        assert_eq!(turns.writer(room(1)), None);
        turns.leave(room(1), WRITER);
        turns.resume(room(1));
        assert_eq!(turns.writer(room(1)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let turns = Turns::default();
        for number in 0..(2 * ROOMS as u32) {
            turns.leave(room(number), WRITER);
        }
        assert!(turns.0.lock().len() <= ROOMS);
    }
}
