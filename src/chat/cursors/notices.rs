//! Tells the others in a conversation that members' cursors moved (D34): coalesced to one notice a second per
//! conversation, and only in direct conversations and small rooms, lest receipts outnumber messages a hundred to one.
//! Not replayed. Knows the store only to ask how large a room is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::member_cursors::MemberCursors;
use crate::chat::AnnounceCursors;
use crate::domain::{ConversationId, Seq, UserId};
use crate::store::{CursorMove, Store};

/// How often notices go out.
const EVERY: Duration = Duration::from_secs(1);
/// Rooms with more members get none.
const ROOM_MEMBERS: usize = 50;
/// How long a room's size is believed.
const SIZE_LIFETIME: Duration = Duration::from_secs(60);
/// How many rooms' sizes are remembered; beyond it all are asked again.
const SIZES: usize = 20_000;
/// The most notices that wait; beyond it later ones are dropped, since nothing depends on them.
const WAITING: usize = 50_000;

pub(super) struct Notices {
    store: Arc<dyn Store>,
    announce: Arc<dyn AnnounceCursors>,
    waiting: Mutex<HashMap<(ConversationId, UserId), MemberCursors>>,
    small: Mutex<HashMap<ConversationId, (bool, Instant)>>,
}

impl Notices {
    pub(super) fn new(store: Arc<dyn Store>, announce: Arc<dyn AnnounceCursors>) -> Self {
        Self {
            store,
            announce,
            waiting: Mutex::default(),
            small: Mutex::default(),
        }
    }

    /// Takes note of moves that are stored, for the next notice.
    pub(super) fn stored(&self, moves: &[CursorMove]) {
        let mut waiting = self.waiting.lock();
        for CursorMove {
            conversation,
            user,
            delivered,
            read,
        } in moves
        {
            let key = (*conversation, *user);
            if waiting.len() < WAITING || waiting.contains_key(&key) {
                waiting.entry(key).or_default().advance(MemberCursors {
                    delivered: *delivered,
                    read: *read,
                });
            }
        }
    }

    pub(super) async fn run(&self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let waiting = std::mem::take(&mut *self.waiting.lock());
            for (conversation, moved) in by_conversation(waiting) {
                if self.is_small(conversation).await {
                    self.announce(conversation, &moved, false, |places| places.delivered);
                    self.announce(conversation, &moved, true, |places| places.read);
                }
            }
        }
    }

    fn announce(
        &self,
        conversation: ConversationId,
        moved: &[(UserId, MemberCursors)],
        read: bool,
        seq: impl Fn(&MemberCursors) -> Seq,
    ) {
        let moved = moved.iter().map(|(user, places)| (*user, seq(places)));
        let moved: Vec<_> = moved.filter(|(_, seq)| *seq > Seq::ZERO).collect();
        if !moved.is_empty() {
            self.announce.cursors_moved(conversation, &moved, read);
        }
    }

    async fn is_small(&self, conversation: ConversationId) -> bool {
        if matches!(conversation, ConversationId::Direct(..)) {
            return true;
        }
        let known = self.small.lock().get(&conversation).copied();
        if let Some((is_small, _)) = known.filter(|(_, at)| at.elapsed() < SIZE_LIFETIME) {
            return is_small;
        }
        let members = self
            .store
            .members(conversation, None, ROOM_MEMBERS + 1)
            .await;
        let is_small = members.is_ok_and(|members| members.len() <= ROOM_MEMBERS);
        let mut small = self.small.lock();
        if small.len() >= SIZES {
            small.clear();
        }
        small.insert(conversation, (is_small, Instant::now()));
        is_small
    }
}

fn by_conversation(
    waiting: HashMap<(ConversationId, UserId), MemberCursors>,
) -> HashMap<ConversationId, Vec<(UserId, MemberCursors)>> {
    let mut moved = HashMap::<_, Vec<_>>::new();
    for ((conversation, user), places) in waiting {
        moved.entry(conversation).or_default().push((user, places));
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemClock;
    use crate::store::sqlite::{SqliteOptions, SqliteStore};

    /// What was told: the conversation, who moved where, and whether they read.
    type Told = (ConversationId, Vec<(UserId, Seq)>, bool);

    #[derive(Default)]
    struct Listener(Mutex<Vec<Told>>);

    impl AnnounceCursors for Listener {
        fn cursors_moved(&self, conversation: ConversationId, moved: &[(UserId, Seq)], read: bool) {
            let mut moved = moved.to_vec();
            moved.sort_unstable();
            self.0.lock().push((conversation, moved, read));
        }
    }

    fn user(byte: u8) -> UserId {
        UserId::from_bytes([byte; 12])
    }

    #[tokio::test(start_paused = true)]
    async fn d34_the_moves_of_a_second_are_one_notice_for_their_conversation() {
        let directory = tempfile::tempdir().unwrap();
        let options = SqliteOptions {
            directory: directory.path().to_owned(),
            time_limit: SqliteOptions::TIME_LIMIT,
        };
        let store = SqliteStore::open(&options, Arc::new(SystemClock)).unwrap();
        let listener = Arc::<Listener>::default();
        let notices = Notices::new(
            Arc::new(store),
            Arc::clone(&listener) as Arc<dyn AnnounceCursors>,
        );
        let conversation = ConversationId::direct(user(1), user(2));
        let moved = |who, delivered, read| CursorMove {
            conversation,
            user: user(who),
            delivered: Seq::new(delivered),
            read: Seq::new(read),
        };
        notices.stored(&[moved(1, 3, 0), moved(2, 4, 4)]);
        notices.stored(&[moved(1, 5, 0)]);
        let stop = CancellationToken::new();
        let _ = tokio::time::timeout(EVERY / 2, notices.run(stop)).await;
        let delivered = vec![(user(1), Seq::new(5)), (user(2), Seq::new(4))];
        let read = vec![(user(2), Seq::new(4))];
        let expected = [(conversation, delivered, false), (conversation, read, true)];
        assert_eq!(*listener.0.lock(), expected);
    }
}
