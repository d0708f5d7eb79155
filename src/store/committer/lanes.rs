//! The committer's queues: one lane per conversation, all of them bounded together. Knows nothing of the store.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::CommitterConfig;
use super::pending::Work;
use crate::domain::ConversationId;
use crate::store::Run;

/// As much waits as may wait.
#[derive(Debug)]
pub(super) struct Full;

/// What waits, by conversation. A lane exists while a driver works on it.
pub(super) struct Lanes {
    config: CommitterConfig,
    state: Mutex<State>,
    idle: Notify,
}

#[derive(Default)]
struct State {
    lanes: HashMap<ConversationId, VecDeque<(Work, usize)>>,
    waiting: usize,
    bytes: usize,
}

/// What a driver works on next; its share of the bounds is returned with [`Lanes::done`].
pub(super) struct Portion {
    pub(super) work: Vec<Work>,
    bytes: usize,
    count: usize,
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
    pub(super) fn push(
        &self,
        conversation: ConversationId,
        work: Work,
        bytes: usize,
    ) -> Result<bool, Full> {
        let mut state = self.state.lock();
        if state.waiting >= self.config.waiting || state.bytes + bytes > self.config.waiting_bytes {
            return Err(Full);
        }
        state.waiting += 1;
        state.bytes += bytes;
        let mut is_new = false;
        state
            .lanes
            .entry(conversation)
            .or_insert_with(|| {
                is_new = true;
                VecDeque::new()
            })
            .push_back((work, bytes));
        Ok(is_new)
    }

    /// The next portion of a lane: a run of messages, or one change. `None` ends the driver, and the lane with it.
    pub(super) fn next(&self, conversation: ConversationId) -> Option<Portion> {
        let mut state = self.state.lock();
        let lane = state.lanes.get_mut(&conversation)?;
        let mut portion = Portion {
            work: Vec::new(),
            bytes: 0,
            count: 0,
        };
        while let Some((next, _)) = lane.front() {
            let alone = matches!(next, Work::Change(_));
            if portion.count == Run::LIMIT || (alone && portion.count > 0) {
                break;
            }
            let Some((work, bytes)) = lane.pop_front() else {
                break;
            };
            portion.work.push(work);
            portion.bytes += bytes;
            portion.count += 1;
            if alone {
                break;
            }
        }
        if portion.count == 0 {
            state.lanes.remove(&conversation);
            return None;
        }
        Some(portion)
    }

    /// A portion's outcomes are known: its room is free again.
    pub(super) fn done(&self, count: usize, bytes: usize) {
        let mut state = self.state.lock();
        state.waiting -= count;
        state.bytes -= bytes;
        if state.waiting == 0 {
            self.idle.notify_waiters();
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.state.lock().waiting
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

impl Portion {
    pub(super) const fn share(&self) -> (usize, usize) {
        (self.count, self.bytes)
    }
}
