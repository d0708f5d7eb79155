//! The outgoing half of one session: a queue bounded in bytes, the proofs of receipt asked for, the heartbeat's state,
//! and how the session ended. Knows neither the protocol nor the socket it is written to.
//!
//! Producers push and never wait; what does not fit ends the session (D18: live events may overflow, backlog asks
//! [`Outbox::room`]). One writer takes everything that waits, and writes it at once.
//!
//! A protocol on it: [`Outbox::start_heartbeat`]; a [`Port`] that is attached with a [`Flusher`], or else a writer that
//! loops over [`Outbox::take`]; either sends a ping behind the frames where a batch says so. Besides, a reader that calls
//! [`Outbox::pong`] for each pong, and on [`Outbox::session_signal`] looks at [`Outbox::take_report`] and
//! [`Outbox::reason`].

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;

use flusher::FlushLane;
pub use flusher::Flushed;
pub use frame::{Batch, FRAME_OVERHEAD, Frame, Pings};
pub use proof::Mark;
use proof::Proof;

use super::heartbeat::Pulse;
pub use super::reason::{Closed, Reason};

mod beat;
mod flusher;
mod frame;
mod proof;
mod writer;

/// Writes many outboxes from a few tasks.
pub type Flusher = flusher::FlushPool<Outbox>;

/// A connection that can be written to without waiting.
pub trait Port: fmt::Debug + Send + Sync {
    /// Writes what waits in the outbox, as far as the connection takes it at once. Whoever cannot go on sees to it that
    /// somebody does. `memory` is for its own use; what is left in it is lost.
    fn flush(&self, outbox: &Outbox, memory: &mut Vec<u8>) -> Flushed;
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Frame>,
    bytes: usize,
    proof: Proof,
    pulse: Option<Pulse>,
    end: Option<Reason>,
    /// The flusher, or whoever it left the writing to, is going to look.
    is_scheduled: bool,
}

#[derive(Debug)]
struct Attached {
    port: Arc<dyn Port>,
    lane: Arc<FlushLane<Outbox>>,
}

#[derive(Debug)]
struct OutboxInner {
    limit: usize,
    state: Mutex<State>,
    attached: OnceLock<Attached>,
    /// Something to write, or the end.
    to_write: Notify,
    /// A proof to report, the end, or a [`Outbox::wake_session`].
    to_session: Notify,
    /// The end. By itself, since a session's task waits for it beside its reading: a proof that it has just read would
    /// wake it once more, and with it another thread.
    ended: Notify,
    /// Half of the limit is free again, or the end.
    room: Notify,
}

/// The outbox of one session; clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct Outbox(Arc<OutboxInner>);

impl Outbox {
    /// An empty outbox that holds at most `limit_bytes` ([`Frame::cost`] each).
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self(Arc::new(OutboxInner {
            limit: limit_bytes,
            state: Mutex::default(),
            attached: OnceLock::new(),
            to_write: Notify::new(),
            to_session: Notify::new(),
            ended: Notify::new(),
            room: Notify::new(),
        }))
    }

    /// Queues a frame without waiting. Over the limit the session ends as a slow consumer and the queue is dropped.
    ///
    /// # Errors
    /// [`Closed`] when the session has ended, by this call or before.
    pub fn push(&self, frame: Frame) -> Result<(), Closed> {
        self.push_all([frame])
    }

    /// Queues frames that must follow each other with nothing in between; otherwise like [`Outbox::push`].
    ///
    /// # Errors
    /// [`Closed`] when the session has ended, by this call or before.
    pub fn push_all(&self, frames: impl IntoIterator<Item = Frame>) -> Result<(), Closed> {
        let state = self.queue(frames)?;
        self.signal(state);
        Ok(())
    }

    fn queue(
        &self,
        frames: impl IntoIterator<Item = Frame>,
    ) -> Result<MutexGuard<'_, State>, Closed> {
        let mut state = self.0.state.lock();
        if state.end.is_some() {
            return Err(Closed);
        }
        for frame in frames {
            state.bytes += frame.cost();
            state.queue.push_back(frame);
            state.proof.push(1);
        }
        if state.bytes > self.0.limit {
            drop(state);
            self.close(Reason::SlowConsumer);
            return Err(Closed);
        }
        Ok(state)
    }

    /// [`Outbox::push`] and [`Outbox::mark`] in one step, so that the ping leaves with the frame.
    ///
    /// # Errors
    /// [`Closed`] when the session has ended, by this call or before.
    pub fn push_and_mark(&self, frame: Frame) -> Result<Mark, Closed> {
        let mut state = self.queue([frame])?;
        let mark = state.proof.mark();
        self.signal(state);
        Ok(mark)
    }

    /// From now on the flusher writes to this port. Once per outbox.
    pub fn attach(&self, flusher: &Flusher, port: Arc<dyn Port>) {
        let lane = flusher.lane();
        let attached = self.0.attached.set(Attached { port, lane });
        debug_assert!(attached.is_ok(), "an outbox has one port");
        self.signal(self.0.state.lock());
    }

    /// There is something to write.
    fn signal(&self, mut state: MutexGuard<'_, State>) {
        match self.0.attached.get() {
            None => {
                drop(state);
                self.0.to_write.notify_waiters();
            }
            Some(attached) => {
                if !std::mem::replace(&mut state.is_scheduled, true) {
                    drop(state);
                    attached.lane.schedule(self.clone());
                }
            }
        }
    }

    /// Whether backlog may be pushed: at most half of the limit is queued and the session lives.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let state = self.0.state.lock();
        state.end.is_none() && state.bytes <= self.0.limit / 2
    }

    /// Bytes queued and not yet taken by the writer.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.0.state.lock().bytes
    }

    /// Waits until at most half of the limit is queued (D18).
    ///
    /// # Errors
    /// [`Closed`] when the session has ended or ends meanwhile.
    pub async fn room(&self) -> Result<(), Closed> {
        let found = self.wait(&self.0.room, |state| {
            if state.end.is_some() {
                return Some(Err(Closed));
            }
            (state.bytes <= self.0.limit / 2).then_some(Ok(()))
        });
        found.await
    }

    /// Asks for proof that everything pushed so far was received. Each call is answered through
    /// [`Outbox::take_report`] by a mark at least as high, unless the session ends. Marks coalesce: at most one ping
    /// is on its way. The caller limits how often it asks (D28: once a second).
    #[must_use]
    pub fn mark(&self) -> Mark {
        let mut state = self.0.state.lock();
        let mark = state.proof.mark();
        let proved = state.proof.has_report();
        self.signal(state);
        if proved {
            self.0.to_session.notify_waiters();
        }
        mark
    }

    /// Ends the session; the first reason stays. Graceful reasons let the writer take what was queued before.
    pub fn close(&self, reason: Reason) {
        let mut state = self.0.state.lock();
        if state.end.is_some() {
            return;
        }
        state.end = Some(reason);
        if !reason.is_graceful() {
            state.queue = VecDeque::new();
            state.bytes = 0;
        }
        drop(state);
        self.0.to_write.notify_waiters();
        self.0.to_session.notify_waiters();
        self.0.ended.notify_waiters();
        self.0.room.notify_waiters();
    }

    /// Why the session ended, if it has.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.0.state.lock().end
    }

    /// Whether the session has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.reason().is_some()
    }

    /// Waits for the session's end.
    pub async fn closed(&self) -> Reason {
        self.wait(&self.0.ended, |state| state.end).await
    }

    async fn wait<T>(&self, signal: &Notify, ready: impl Fn(&State) -> Option<T>) -> T {
        loop {
            consume_budget().await;
            let notified = signal.notified();
            tokio::pin!(notified);
            // Enabled before looking, so that a change in between is not missed.
            notified.as_mut().enable();
            let found = ready(&self.0.state.lock());
            if let Some(value) = found {
                return value;
            }
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests;
