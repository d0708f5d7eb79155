//! The committer's queues: one lane per conversation, all of them bounded together. Knows nothing of the store.
//!
//! One conversation that is stuck must not make the gateway busy (D47): a lane holds at most as much as it leaves free
//! for the others, and what nobody waits for any more, and was not begun, is given up.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::config::CommitterConfig;
use super::lane::Lane;
use super::pending::Work;
use super::portion::{Portion, Share};
use crate::commit::batcher::ROOM;
use crate::domain::ConversationId;
use crate::store::Run;

/// How often, at most, all lanes are looked through for what nobody waits for, when there is no room for more.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The bounds are reached: nothing more may wait.
#[derive(Debug)]
pub(super) struct Full;

/// What waits, by conversation.
pub(super) struct Lanes {
    config: CommitterConfig,
    state: Mutex<State>,
    idle: Notify,
}

#[derive(Default)]
struct State {
    lanes: HashMap<ConversationId, Lane>,
    held: Share,
    /// When all lanes were last looked through.
    looked: Option<Instant>,
}

impl Lanes {
    pub(super) fn new(config: CommitterConfig) -> Self {
        Self {
            config,
            state: Mutex::default(),
            idle: Notify::new(),
        }
    }

    /// Queues work; true when its conversation has no driver yet, and needs one now.
    pub(super) fn push(&self, conversation: ConversationId, work: Work) -> Result<bool, Full> {
        let share = Share {
            count: 1,
            bytes: work.bytes(),
        };
        let now = Instant::now();
        let mut state = self.state.lock();
        if !state.has_room(&self.config, conversation, share) {
            state.give_up(now);
            if !state.has_room(&self.config, conversation, share) {
                return Err(Full);
            }
        }
        state.held.add(share);
        let mut is_new = false;
        let lane = state.lanes.entry(conversation).or_insert_with(|| {
            is_new = true;
            Lane::default()
        });
        lane.held.add(share);
        lane.push(work, share);
        Ok(is_new)
    }

    /// How many messages a lane may have inserted at once, so that all that are worked on come round together: as in
    /// deficit round robin (Shreedhar and Varghese, 1995), with messages for bytes and without a deficit, since a
    /// message is never larger than a share. A lane has one run at a time in the batcher's line, and stands at its end
    /// with the next. One lane alone has whole runs; from 1,000 on each has single messages.
    pub(super) fn share(&self) -> usize {
        let lanes = self.state.lock().lanes.len();
        (ROOM / lanes.max(1)).clamp(1, Run::LIMIT)
    }

    /// The next portion of a lane: a run of at most so many messages, or one piece of other work. `None` ends the driver,
    /// and the lane with it.
    pub(super) fn next(&self, conversation: ConversationId, limit: usize) -> Option<Portion> {
        let mut state = self.state.lock();
        let lane = state.lanes.get_mut(&conversation)?;
        let portion = lane.take(limit);
        if portion.share.count == 0 {
            state.lanes.remove(&conversation);
            return None;
        }
        Some(portion)
    }

    /// A portion's outcomes are known: its room is free again.
    pub(super) fn done(&self, conversation: ConversationId, share: Share) {
        let mut state = self.state.lock();
        state.free(conversation, share);
        if state.held.count == 0 {
            self.idle.notify_waiters();
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.state.lock().held.count
    }

    pub(super) async fn idle(&self) {
        loop {
            let notified = self.idle.notified();
            if self.waiting() == 0 {
                return;
            }
            notified.await;
        }
    }
}

impl State {
    /// Whether there is room for more in a lane: within the bounds of all, and it holds no more than it leaves free.
    fn has_room(&self, limit: &CommitterConfig, conversation: ConversationId, more: Share) -> bool {
        let lane = self.lanes.get(&conversation);
        let lane = lane.map(|lane| lane.held).unwrap_or_default();
        let free = |limit: usize, held: usize| limit.saturating_sub(held);
        lane.count + more.count <= free(limit.waiting, self.held.count)
            && lane.bytes + more.bytes <= free(limit.waiting_bytes, self.held.bytes)
    }

    /// Gives up what is not begun and nobody waits for, in all lanes, unless that was done just now.
    fn give_up(&mut self, now: Instant) {
        if self.looked.is_some_and(|looked| now < looked + LOOK_EVERY) {
            return;
        }
        self.looked = Some(now);
        for lane in self.lanes.values_mut() {
            let given_up = lane.give_up(now);
            lane.held.subtract(given_up);
            self.held.subtract(given_up);
        }
    }

    fn free(&mut self, conversation: ConversationId, share: Share) {
        self.held.subtract(share);
        if let Some(lane) = self.lanes.get_mut(&conversation) {
            lane.held.subtract(share);
        }
    }
}
