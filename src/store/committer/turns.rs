//! Who writes in conversations that several gateways write to. Guessing the next place is cheap while one gateway
//! writes; when several do, all but one lose every time. So a gateway that has lost twice in a row lets the winner write
//! for it for as long as there is competition (`delegation.rs`). This only saves work: whoever knows nothing of it, or
//! names another writer, writes as correctly as before (D1, D2). Knows neither the store nor the bus.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::{ConversationId, GatewayId};

/// How long the writing is left to another after the last sign of competition.
const LASTS: Duration = Duration::from_secs(1);
/// How long a conversation is written to from here, whoever wins, after another gateway did not answer: the bus is away,
/// or slow.
const SHY: Duration = Duration::from_secs(5);
/// How many conversations are remembered; beyond it, those without competition are forgotten, or all.
const CONVERSATIONS: usize = 10_000;

/// The writers of contended conversations, as far as they are other gateways. Bounded.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<ConversationId, (Turn, Instant)>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// This gateway's.
    Theirs(GatewayId),
    /// Everybody's: somebody did not answer.
    Open,
}

impl Turn {
    fn holds(self, since: Instant) -> bool {
        let lasts = match self {
            Self::Theirs(_) => LASTS,
            Self::Open => SHY,
        };
        since.elapsed() < lasts
    }
}

impl Turns {
    /// Who writes there for this gateway, if another does.
    pub(super) fn writer(&self, conversation: ConversationId) -> Option<GatewayId> {
        match *self.0.lock().get(&conversation)? {
            (turn @ Turn::Theirs(writer), since) if turn.holds(since) => Some(writer),
            _ => None,
        }
    }

    /// This gateway leaves the writing to another, which has won from it.
    pub(super) fn leave(&self, conversation: ConversationId, writer: GatewayId) {
        let mut turns = self.0.lock();
        match turns.get(&conversation) {
            Some((Turn::Open, since)) if Turn::Open.holds(*since) => {}
            _ => set(&mut turns, conversation, Turn::Theirs(writer)),
        }
    }

    /// There still is competition.
    pub(super) fn keep(&self, conversation: ConversationId) {
        if let Some((Turn::Theirs(_), since)) = self.0.lock().get_mut(&conversation) {
            *since = Instant::now();
        }
    }

    /// The other did not want to write: this gateway does again.
    pub(super) fn resume(&self, conversation: ConversationId) {
        self.0.lock().remove(&conversation);
    }

    /// The other did not answer: this gateway writes itself, for longer.
    pub(super) fn shy(&self, conversation: ConversationId) {
        set(&mut self.0.lock(), conversation, Turn::Open);
    }
}

fn set(
    turns: &mut HashMap<ConversationId, (Turn, Instant)>,
    conversation: ConversationId,
    turn: Turn,
) {
    if turns.len() >= CONVERSATIONS && !turns.contains_key(&conversation) {
        turns.retain(|_, (turn, since)| turn.holds(*since));
        if turns.len() >= CONVERSATIONS {
            turns.clear();
        }
    }
    turns.insert(conversation, (turn, Instant::now()));
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
    async fn after_no_answer_nothing_is_left_to_anybody_for_a_while() {
        let turns = Turns::default();
        turns.leave(room(1), WRITER);
        turns.shy(room(1));
        tokio::time::advance(SHY / 2).await;
        turns.leave(room(1), WRITER);
        turns.keep(room(1));
        assert_eq!(turns.writer(room(1)), None);
        tokio::time::advance(SHY / 2).await;
        turns.leave(room(1), WRITER);
        assert_eq!(turns.writer(room(1)), Some(WRITER));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let turns = Turns::default();
        for number in 0..(2 * CONVERSATIONS as u32) {
            turns.leave(room(number), WRITER);
        }
        assert!(turns.0.lock().len() <= CONVERSATIONS);
    }
}
