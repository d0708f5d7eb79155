//! Writes the outboxes of many sessions from a few tasks: a delivery to a thousand sessions wakes as many tasks as
//! there are cores, and what came meanwhile leaves with the same write. Knows neither outboxes nor connections, only
//! who can be [`Flushed`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::{unconstrained, yield_now};

use crate::logging::served::spawn_task;

/// How many sessions are written to before other tasks get their turn: at 5 µs each, less than half a millisecond.
const TURN: usize = 64;

/// Whether a flush has left something to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing; or the session's own task writes the rest.
    All,
    /// Something: the flusher is to come back.
    More,
}

/// What has something to write now and then.
pub trait Flush: Send + Sync + 'static {
    /// Writes what waits, as far as it is taken at once; in the flusher's memory.
    fn flush(&self, memory: &mut Vec<u8>);

    /// [`Flush::flush`] has panicked: its connection is to end.
    fn fail(&self);
}

/// Its tasks start with the first session and end when the last handle is gone.
#[derive(Debug)]
pub struct FlushPool<W>(Arc<FlushLanes<W>>);

impl<W> Clone for FlushPool<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct FlushLanes<W> {
    lanes: Box<[Arc<FlushLane<W>>]>,
    next: AtomicUsize,
}

/// One task's share of the sessions.
#[derive(Debug)]
pub(super) struct FlushLane<W> {
    /// Sessions with something to write, each at most once.
    waiting: Mutex<Vec<W>>,
    work: Arc<Notify>,
    is_started: AtomicBool,
}

impl<W> Default for FlushLane<W> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            work: Arc::default(),
            is_started: AtomicBool::new(false),
        }
    }
}

impl<W> Default for FlushPool<W> {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(FlushLanes {
            lanes: (0..cores).map(|_| Arc::default()).collect(),
            next: AtomicUsize::new(0),
        }))
    }
}

impl<W: Flush> FlushPool<W> {
    /// A lane for a new session.
    pub(super) fn lane(&self) -> Arc<FlushLane<W>> {
        let next = self.0.next.fetch_add(1, Ordering::Relaxed) % self.0.lanes.len();
        let lane = Arc::clone(&self.0.lanes[next]);
        if !lane.is_started.swap(true, Ordering::Relaxed) {
            let turns = turns(Arc::downgrade(&lane), Arc::clone(&lane.work));
            // Its budget would run out amid a turn, and a write be taken for one that has to wait.
            spawn_task("flusher", unconstrained(turns));
        }
        lane
    }
}

impl<W> FlushLane<W> {
    /// Somebody has something to write, and is not waiting already.
    pub(super) fn schedule(&self, who: W) {
        let mut waiting = self.waiting.lock();
        let is_first = waiting.is_empty();
        waiting.push(who);
        drop(waiting);
        if is_first {
            self.work.notify_one();
        }
    }
}

impl<W> Drop for FlushLane<W> {
    fn drop(&mut self) {
        self.work.notify_one();
    }
}

async fn turns<W: Flush>(lane: Weak<FlushLane<W>>, work: Arc<Notify>) {
    let mut memory = Vec::new();
    let mut waiting: Vec<W> = Vec::new();
    loop {
        match lane.upgrade() {
            Some(lane) => std::mem::swap(&mut *lane.waiting.lock(), &mut waiting),
            None => return,
        }
        if waiting.is_empty() {
            work.notified().await;
            continue;
        }
        for turn in waiting.chunks(TURN) {
            for who in turn {
                flush(who, &mut memory);
            }
            yield_now().await;
        }
        waiting.clear();
    }
}

/// A panic is the end of its session only.
fn flush(who: &impl Flush, memory: &mut Vec<u8>) {
    let flushed = catch_unwind(AssertUnwindSafe(|| who.flush(memory)));
    if flushed.is_err() {
        tracing::error!("writing to a session has panicked");
        who.fail();
    }
}
