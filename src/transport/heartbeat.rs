//! The heartbeat of all sessions: one heap of moments and one task, not a timer per session. Knows when, not how, a
//! ping is sent.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::atomic::{self, AtomicBool};
use std::sync::{Arc, Weak};
use std::time::Duration;

use metrics::Histogram;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::reason::Reason;
use crate::logging::served::spawn_task;

/// The heartbeat's state of one session.
#[derive(Debug)]
pub(super) struct Pulse {
    /// Keeps the shared wheel turning as long as a session needs it.
    wheel: Wheel,
    interval: Duration,
    timeout: Duration,
    /// When the last pong came, or the session began.
    answered: Instant,
    /// Since when a pong is missing: the moment its ping fell due or was written.
    waiting: Option<Instant>,
    /// A ping is due and the writer has not taken it yet.
    due: bool,
    busy: bool,
    settle_by: Option<Instant>,
}

/// What a look at the pulse asks for.
#[derive(Debug)]
pub(super) struct Beat {
    pub(super) ping: bool,
    pub(super) next: Instant,
}

impl Pulse {
    pub(super) const fn new(
        wheel: Wheel,
        now: Instant,
        interval: Duration,
        timeout: Duration,
        settle_by: Option<Instant>,
    ) -> Self {
        Self {
            wheel,
            interval,
            timeout,
            answered: now,
            waiting: None,
            due: false,
            busy: false,
            settle_by,
        }
    }

    /// The next moment at which something may have to be done.
    pub(super) fn next(&self) -> Instant {
        let beat = match self.waiting {
            Some(since) => since + self.timeout,
            None => self.answered + self.interval,
        };
        self.settle_by.map_or(beat, |settle_by| settle_by.min(beat))
    }

    pub(super) fn beat(&mut self, now: Instant) -> Result<Beat, Reason> {
        if self.settle_by.is_some_and(|settle_by| settle_by <= now) {
            return Err(Reason::ConnectTimeout);
        }
        let mut ping = false;
        match self.waiting {
            Some(since) if since + self.timeout <= now => {
                if !self.busy {
                    return Err(Reason::PingTimeout);
                }
                self.waiting = Some(now);
            }
            Some(_) => {}
            None if self.answered + self.interval <= now => {
                // From when it fell due, so that a late look does not lengthen the client's time.
                self.waiting = Some(self.answered + self.interval);
                self.due = true;
                ping = true;
            }
            None => {}
        }
        Ok(Beat {
            ping,
            next: self.next(),
        })
    }

    pub(super) const fn ping_is_due(&self) -> bool {
        self.due
    }

    pub(super) fn ping_written(&mut self, now: Instant) {
        self.due = false;
        self.waiting.get_or_insert(now);
    }

    pub(super) fn answered(&mut self, now: Instant) {
        if let Some(since) = self.waiting {
            let took = now.saturating_duration_since(since);
            self.wheel.0.round_trip.record(took);
        }
        self.answered = now;
        self.waiting = None;
        self.due = false;
    }

    pub(super) const fn settle(&mut self) {
        self.settle_by = None;
    }

    pub(super) const fn is_settled(&self) -> bool {
        self.settle_by.is_none()
    }

    pub(super) const fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
    }
}

/// What the timer looks at when its moment has come.
pub(super) trait Beats: std::fmt::Debug + Send + Sync {
    /// Does what is due at `now`; returns when to look again, or `None` when it has ended.
    fn beat(self: Arc<Self>, now: Instant) -> Option<Instant>;
}

/// The one timer shared by all sessions of a gateway. Its task starts with the first session and ends when the last
/// handle is gone.
#[derive(Debug, Clone)]
pub struct Wheel(Arc<Core>);

#[derive(Debug)]
struct Core {
    /// From pings to pongs, in seconds.
    round_trip: Histogram,
    /// One entry per living session.
    heap: Mutex<BinaryHeap<WheelEntry>>,
    sooner: Arc<Notify>,
    started: AtomicBool,
}

#[derive(Debug)]
struct WheelEntry {
    at: Instant,
    who: Weak<dyn Beats>,
}

impl PartialEq for WheelEntry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for WheelEntry {}

impl PartialOrd for WheelEntry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for WheelEntry {
    /// The soonest is the greatest, because the heap gives out the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl Default for Wheel {
    /// A wheel whose round trips are not measured.
    fn default() -> Self {
        Self::new(Histogram::noop())
    }
}

impl Wheel {
    /// A wheel that turns with its first session. It notes how long pings take to be answered, in seconds.
    #[must_use]
    pub fn new(round_trip: Histogram) -> Self {
        Self(Arc::new(Core {
            round_trip,
            heap: Mutex::default(),
            sooner: Arc::default(),
            started: AtomicBool::new(false),
        }))
    }

    /// Looks at somebody at this moment, and from then on whenever they ask for.
    pub(super) fn schedule(&self, at: Instant, who: Weak<dyn Beats>) {
        let mut heap = self.0.heap.lock();
        let is_soonest = heap.peek().is_none_or(|soonest| at < soonest.at);
        heap.push(WheelEntry { at, who });
        drop(heap);
        if !self.0.started.swap(true, atomic::Ordering::Relaxed) {
            spawn_task(
                "heartbeat",
                turn(Arc::downgrade(&self.0), Arc::clone(&self.0.sooner)),
            );
        }
        if is_soonest {
            self.0.sooner.notify_one();
        }
    }
}

impl Core {
    /// Takes what is due, and says when the next is.
    fn due(&self, now: Instant) -> (Vec<Weak<dyn Beats>>, Option<Instant>) {
        let mut heap = self.heap.lock();
        let mut due = Vec::new();
        while heap.peek().is_some_and(|entry| entry.at <= now) {
            due.extend(heap.pop().map(|entry| entry.who));
        }
        (due, heap.peek().map(|entry| entry.at))
    }

    fn serve(&self, now: Instant) -> Option<Instant> {
        let (due, next) = self.due(now);
        let again: Vec<WheelEntry> = due
            .into_iter()
            .filter_map(|who| {
                let at = who.upgrade()?.beat(now)?;
                Some(WheelEntry { at, who })
            })
            .collect();
        let soonest = again.iter().map(|entry| entry.at).min();
        self.heap.lock().extend(again);
        next.into_iter().chain(soonest).min()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.sooner.notify_one();
    }
}

async fn turn(wheel: Weak<Core>, sooner: Arc<Notify>) {
    loop {
        let next = match wheel.upgrade() {
            Some(wheel) => wheel.serve(Instant::now()),
            None => return,
        };
        match next {
            Some(next) => {
                tokio::select! {
                    () = sleep_until(next) => {}
                    () = sooner.notified() => {}
                }
            }
            None => sooner.notified().await,
        }
    }
}
