//! Who writes in conversations that several gateways write to. Guessing the next place is cheap while one gateway
//! writes; when several do, all but one lose every time. So a gateway that has lost twice in a row lets the winner write
//! for it for as long as there is competition (`delegation.rs`). This only saves work: whoever knows nothing of it, or
//! names another writer, writes as correctly as before (D1, D2). Knows neither the store nor the bus.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::{ConversationId, GatewayId, make_room};

/// How long another gateway writes for this one after the last sign of competition; or this one for others, after one
/// has delegated something to it.
const WRITES_FOR: Duration = Duration::from_secs(1);
/// How long nothing of a conversation is delegated to a gateway that did not answer there: it has died, or the bus is away
/// or slow.
const DELEGATION_COOLDOWN: Duration = Duration::from_secs(5);
/// How many conversations are remembered; beyond it, those without competition are forgotten, or all.
const CONVERSATIONS: usize = 10_000;

/// The writers of contended conversations, as far as one writes for others. Bounded.
#[derive(Debug, Default)]
pub(super) struct Writers(Mutex<HashMap<ConversationId, (Writer, Instant)>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// Another gateway writes for this one.
    Other(GatewayId),
    /// This gateway writes for others.
    This,
    /// Each gateway for itself: this one should have written and did not answer. Another one may.
    AnyBut(GatewayId),
}

impl Writer {
    fn holds(self, since: Instant) -> bool {
        let lasts = match self {
            Self::Other(_) | Self::This => WRITES_FOR,
            Self::AnyBut(_) => DELEGATION_COOLDOWN,
        };
        since.elapsed() < lasts
    }
}

impl Writers {
    /// Who writes there for this gateway, if another does.
    pub(super) fn other(&self, conversation: ConversationId) -> Option<GatewayId> {
        match *self.0.lock().get(&conversation)? {
            (writer @ Writer::Other(gateway), since) if writer.holds(since) => Some(gateway),
            _ => None,
        }
    }

    /// Another gateway has delegated something to this one, and does not write itself meanwhile.
    pub(super) fn write_for_others(&self, conversation: ConversationId) {
        set(&mut self.0.lock(), conversation, Writer::This);
    }

    /// Whether this gateway writes for others, who do not compete with it then.
    pub(super) fn writes_for_others(&self, conversation: ConversationId) -> bool {
        let writers = self.0.lock();
        let writer = writers.get(&conversation);
        writer.is_some_and(|(writer, since)| *writer == Writer::This && writer.holds(*since))
    }

    /// From now on a gateway that has won from this one writes for it; unless nothing is delegated to it for a while.
    pub(super) fn delegate_to(&self, conversation: ConversationId, winner: GatewayId) {
        let mut writers = self.0.lock();
        match writers.get(&conversation) {
            Some((writer @ Writer::AnyBut(silent), since))
                if *silent == winner && writer.holds(*since) => {}
            _ => set(&mut writers, conversation, Writer::Other(winner)),
        }
    }

    /// There still is competition: whoever writes for this gateway goes on.
    pub(super) fn prolong(&self, conversation: ConversationId) {
        if let Some((Writer::Other(_), since)) = self.0.lock().get_mut(&conversation) {
            *since = Instant::now();
        }
    }

    /// The other did not want to write: this gateway does again, until it loses its places anew.
    pub(super) fn take_back(&self, conversation: ConversationId) {
        self.0.lock().remove(&conversation);
    }

    /// The other did not answer: nothing is delegated to it there for [`DELEGATION_COOLDOWN`].
    pub(super) fn cool_down(&self, conversation: ConversationId, silent: GatewayId) {
        set(&mut self.0.lock(), conversation, Writer::AnyBut(silent));
    }
}

fn set(
    writers: &mut HashMap<ConversationId, (Writer, Instant)>,
    conversation: ConversationId,
    writer: Writer,
) {
    let holds = |(writer, since): &(Writer, Instant)| writer.holds(*since);
    if !make_room(writers, CONVERSATIONS, &conversation, holds) {
        writers.clear();
    }
    writers.insert(conversation, (writer, Instant::now()));
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
    async fn another_gateway_writes_as_long_as_there_is_competition() {
        let writers = Writers::default();
        writers.prolong(room(1));
        assert_eq!(writers.other(room(1)), None);
        writers.delegate_to(room(1), WINNER);
        for _ in 0..3 {
            tokio::time::advance(WRITES_FOR / 2).await;
            assert_eq!(writers.other(room(1)), Some(WINNER));
            writers.prolong(room(1));
        }
        assert_eq!(writers.other(room(2)), None);
        tokio::time::advance(WRITES_FOR).await;
        assert_eq!(writers.other(room(1)), None);
        writers.delegate_to(room(1), WINNER);
        writers.take_back(room(1));
        assert_eq!(writers.other(room(1)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn after_no_answer_nothing_is_delegated_for_a_while() {
        let writers = Writers::default();
        writers.delegate_to(room(1), WINNER);
        writers.cool_down(room(1), WINNER);
        tokio::time::advance(DELEGATION_COOLDOWN / 2).await;
        writers.delegate_to(room(1), WINNER);
        writers.prolong(room(1));
        assert_eq!(writers.other(room(1)), None);
        tokio::time::advance(DELEGATION_COOLDOWN / 2).await;
        writers.delegate_to(room(1), WINNER);
        assert_eq!(writers.other(room(1)), Some(WINNER));
    }

    #[tokio::test(start_paused = true)]
    async fn another_gateway_may_write_while_one_is_silent() {
        let writers = Writers::default();
        let other = GatewayId::from_u64(2);
        writers.cool_down(room(1), WINNER);
        writers.delegate_to(room(1), other);
        assert_eq!(writers.other(room(1)), Some(other));
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_writes_for_others_until_they_delegate_no_more() {
        let writers = Writers::default();
        assert!(!writers.writes_for_others(room(1)));
        writers.write_for_others(room(1));
        assert!(writers.writes_for_others(room(1)));
        assert_eq!(writers.other(room(1)), None);
        tokio::time::advance(WRITES_FOR).await;
        assert!(!writers.writes_for_others(room(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let writers = Writers::default();
        for number in 0..(2 * CONVERSATIONS as u32) {
            writers.delegate_to(room(number), WINNER);
        }
        assert!(writers.0.lock().len() <= CONVERSATIONS);
    }
}
