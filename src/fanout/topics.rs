//! The hub's topics, in shards. Knows when a topic is unused, and what then to unsubscribe.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use parking_lot::Mutex;

use super::session::{Place, Session};
use super::topic::Topic;
use crate::bus::Channel;
use crate::domain::{ConversationId, Seq};

/// Enough that two cores rarely meet.
const SHARDS: usize = 64;

type Shard = HashMap<ConversationId, Slot>;

#[derive(Debug, Default)]
struct Slot {
    topic: Topic,
    /// Was unused at the last sweep: subscriptions are dropped a little late.
    is_stale: bool,
}

#[derive(Debug)]
pub(super) struct Topics {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
}

impl Default for Topics {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self {
            shards,
            hasher: RandomState::new(),
        }
    }
}

impl Topics {
    /// Works with a topic under its lock, if there is one.
    pub(super) fn with<T>(
        &self,
        conversation: ConversationId,
        work: impl FnOnce(&mut Topic) -> T,
    ) -> Option<T> {
        self.shard(conversation)
            .lock()
            .get_mut(&conversation)
            .map(|slot| work(&mut slot.topic))
    }

    /// Works with a topic under its lock, and makes it first if there is none.
    pub(super) fn open<T>(
        &self,
        conversation: ConversationId,
        work: impl FnOnce(&mut Topic) -> T,
    ) -> T {
        let mut shard = self.shard(conversation).lock();
        let slot = shard.entry(conversation).or_default();
        slot.is_stale = false;
        work(&mut slot.topic)
    }

    /// A session begins to catch up with a conversation.
    pub(super) fn pursued(&self, conversation: ConversationId) {
        self.open(conversation, Topic::pursued);
    }

    /// One that did has caught up, or does no more.
    pub(super) fn pursued_no_more(&self, conversation: ConversationId) {
        self.with(conversation, Topic::pursued_no_more);
    }

    /// The last seq offered to a session without a gap; none when it has nothing to do with the conversation.
    pub(super) fn position_of(
        &self,
        session: &Session,
        conversation: ConversationId,
    ) -> Option<Seq> {
        match session.place(conversation)? {
            Place::CatchingUp { given, .. } => given,
            Place::Ended(position) => Some(position),
            Place::Attached(from) => {
                let position = self.with(conversation, |topic| topic.position());
                Some(from.max(position.unwrap_or_default()))
            }
        }
    }

    /// Offers a session nothing more in a conversation; its position stays with it.
    pub(super) fn release(&self, session: &Session, conversation: ConversationId) {
        self.with(conversation, |topic| topic.release(session, conversation));
    }

    /// Offers a session that has ended nothing more anywhere.
    pub(super) fn leave_all(&self, session: &Session) {
        for conversation in session.conversations() {
            self.with(conversation, |topic| topic.detach(session.id()));
            session.forget(conversation);
        }
    }

    /// The conversations that sessions are attached to, or about to be.
    pub(super) fn in_use(&self) -> Vec<ConversationId> {
        let shards = self.shards.iter();
        let active = shards.flat_map(|shard| {
            let shard = shard.lock();
            let active = shard.iter().filter(|(_, slot)| !slot.topic.is_unused());
            active
                .map(|(conversation, _)| *conversation)
                .collect::<Vec<_>>()
        });
        active.collect()
    }

    /// Drops topics that were unused at the last sweep too, and hands over their rooms' channels while the shard is
    /// locked: a session that comes back subscribes after that.
    pub(super) fn sweep(&self, unsubscribe: impl Fn(&[Channel])) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            let mut unused = Vec::new();
            shard.retain(|conversation, slot| {
                let is_unused = slot.topic.is_unused();
                let keep = !(is_unused && slot.is_stale);
                slot.is_stale = is_unused;
                if let (false, ConversationId::Room(room)) = (keep, conversation) {
                    unused.push(Channel::Room(*room));
                }
                keep
            });
            if !unused.is_empty() {
                unsubscribe(&unused);
            }
        }
    }

    fn shard(&self, conversation: ConversationId) -> &Mutex<Shard> {
        let hash = self.hasher.hash_one(conversation);
        let place = usize::try_from(hash % SHARDS as u64).unwrap_or_default();
        &self.shards[place]
    }
}
