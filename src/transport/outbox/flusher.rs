//! Writes the outboxes of many sessions from a few tasks: a delivery to a thousand sessions wakes as many tasks as there
//! are cores, and what came meanwhile leaves with the same write. Knows no connection, only its [`Port`].

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::{unconstrained, yield_now};

use super::{Outbox, Reason};
use crate::logging::served::spawn_task;

/// How many sessions are written to before other tasks get their turn: at 5 µs each, less than half a millisecond.
const TURN: usize = 64;

/// A connection that can be written to without waiting.
pub trait Port: fmt::Debug + Send + Sync {
    /// Writes what waits in the outbox, as far as the connection takes it at once. Whoever cannot go on sees to it that
    /// somebody does. `memory` is for its own use; what is left in it is lost.
    fn flush(&self, outbox: &Outbox, memory: &mut Vec<u8>) -> Flushed;
}

/// What a port has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing the flusher must see to.
    All,
    /// Something: it wants another turn.
    More,
}

/// Its tasks start with the first session and end when the last handle is gone.
#[derive(Debug, Clone)]
pub struct Flusher(Arc<Lanes>);

#[derive(Debug)]
struct Lanes {
    lanes: Box<[Arc<Lane>]>,
    next: AtomicUsize,
}

/// One task's share of the sessions.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// At most each of its sessions, once.
    waiting: Mutex<Vec<Outbox>>,
    work: Arc<Notify>,
    is_started: AtomicBool,
}

impl Default for Flusher {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Lanes {
            lanes: (0..cores).map(|_| Arc::default()).collect(),
            next: AtomicUsize::new(0),
        }))
    }
}

impl Flusher {
    /// A lane for a new session.
    pub(super) fn lane(&self) -> Arc<Lane> {
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

impl Lane {
    /// The outbox has something to write, and is not waiting already.
    pub(super) fn schedule(&self, outbox: Outbox) {
        let mut waiting = self.waiting.lock();
        let is_first = waiting.is_empty();
        waiting.push(outbox);
        drop(waiting);
        if is_first {
            self.work.notify_one();
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.work.notify_one();
    }
}

async fn turns(lane: Weak<Lane>, work: Arc<Notify>) {
    let mut memory = Vec::new();
    let mut waiting: Vec<Outbox> = Vec::new();
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
            for outbox in turn {
                flush(outbox, &mut memory);
            }
            yield_now().await;
        }
        waiting.clear();
    }
}

/// A panic is the end of its session only.
fn flush(outbox: &Outbox, memory: &mut Vec<u8>) {
    let flushed = catch_unwind(AssertUnwindSafe(|| outbox.flush(memory)));
    if flushed.is_err() {
        tracing::error!("writing to a session has panicked");
        outbox.close(Reason::TransportError);
    }
}
