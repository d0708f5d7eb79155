//! The outbox as its writers and the session's task see it.

use std::collections::VecDeque;

use tokio::sync::futures::Notified;
use tokio::task::coop::consume_budget;
use tokio::time::Instant;

use super::flusher::Flush;
use super::{Batch, Flushed, Frame, Mark, Outbox, Pings, Reason, State};
use crate::transport::heartbeat::Pulse;

impl Flush for Outbox {
    fn flush(&self, memory: &mut Vec<u8>) {
        if let Some(attached) = self.0.attached.get()
            && attached.port.flush(self, memory) == Flushed::More
        {
            attached.lane.schedule(self.clone());
        }
    }

    fn fail(&self) {
        self.close(Reason::TransportError);
    }
}

impl Outbox {
    /// What there is to write now: at most `max_bytes` of frames, but at least one, and the ping that is due.
    pub fn try_take(&self, max_bytes: usize, pings: Pings) -> Option<Batch> {
        self.try_take_few(max_bytes, usize::MAX, pings)
    }

    /// Like [`Self::try_take`], and at most `max_frames` frames.
    pub fn try_take_few(&self, max_bytes: usize, max_frames: usize, pings: Pings) -> Option<Batch> {
        let mut state = self.0.state.lock();
        let batch = state.batch(max_bytes, max_frames, pings)?;
        let has_room = state.bytes <= self.0.limit / 2;
        drop(state);
        if has_room && !batch.frames.is_empty() {
            self.0.room.notify_waiters();
        }
        Some(batch)
    }

    /// What there is to write now, for a port; and whether there is more. Once there is not, the next push schedules the
    /// flusher again.
    pub fn take_scheduled(&self, max_bytes: usize) -> (Option<Batch>, Flushed) {
        let mut state = self.0.state.lock();
        let batch = state.batch(max_bytes, usize::MAX, Pings::ForProof);
        state.is_scheduled = !state.queue.is_empty();
        let left = if state.is_scheduled {
            Flushed::More
        } else {
            Flushed::All
        };
        let has_room = state.bytes <= self.0.limit / 2;
        drop(state);
        if has_room && batch.is_some() {
            self.0.room.notify_waiters();
        }
        (batch, left)
    }

    /// Waits for something to write. `None` when the session has ended and nothing is left. Cancelling loses nothing.
    pub async fn take(&self, max_bytes: usize, pings: Pings) -> Option<Batch> {
        loop {
            consume_budget().await;
            let signal = self.write_signal();
            tokio::pin!(signal);
            signal.as_mut().enable();
            if let Some(batch) = self.try_take(max_bytes, pings) {
                return Some(batch);
            }
            if self.is_closed() {
                return None;
            }
            signal.await;
        }
    }

    /// A pong came: what was written before its ping is proved. One that nobody asked for is ignored.
    pub fn pong(&self) {
        self.prove(|state| {
            if state.proof.pong()
                && let Some(pulse) = &mut state.pulse
            {
                pulse.answered(Instant::now());
            }
        });
    }

    /// Everything taken so far was received: the client polled again after the response that held it.
    pub fn prove_taken(&self) {
        self.prove(|state| state.proof.prove_taken());
    }

    fn prove(&self, step: impl FnOnce(&mut State)) {
        let mut state = self.0.state.lock();
        step(&mut state);
        let report = state.proof.has_report();
        // What waits may have waited for this pong ([`Pings::EachBatch`]).
        if state.proof.wants_ping() || !state.queue.is_empty() {
            self.signal(state);
        } else {
            drop(state);
        }
        if report {
            self.0.to_session.notify_waiters();
        }
    }

    /// What is proved, if that is news or was asked for by [`Outbox::mark`]. For the session's own task.
    #[must_use]
    pub fn take_report(&self) -> Option<Mark> {
        self.0.state.lock().proof.report()
    }

    /// Whether the session has ended or there is something for [`Outbox::take_report`].
    #[must_use]
    pub fn has_news(&self) -> bool {
        let state = self.0.state.lock();
        state.end.is_some() || state.proof.has_report()
    }

    /// Resolves when there may be something to write; look again with [`Outbox::try_take`].
    pub fn write_signal(&self) -> Notified<'_> {
        self.0.to_write.notified()
    }

    /// Resolves when the session's task should look at [`Outbox::take_report`], [`Outbox::reason`] and its own flags.
    pub fn session_signal(&self) -> Notified<'_> {
        self.0.to_session.notified()
    }

    /// Wakes the session's task.
    pub fn wake_session(&self) {
        self.0.to_session.notify_waiters();
    }

    /// Wakes the writer.
    pub fn wake_writer(&self) {
        self.0.to_write.notify_waiters();
    }
}

impl State {
    fn batch(&mut self, max_bytes: usize, max_frames: usize, pings: Pings) -> Option<Batch> {
        let waits = pings == Pings::EachBatch && self.proof.ping_in_flight();
        // Once the session has ended nothing is proved any more.
        if waits && self.end.is_none() {
            return None;
        }
        let frames = self.frames(max_bytes, max_frames);
        self.proof.take(frames.len());
        let wanted = match pings {
            Pings::ForProof => self.proof.wants_ping(),
            Pings::HeartbeatOnly => false,
            Pings::EachBatch => !frames.is_empty(),
        };
        let ping = self.take_ping(wanted);
        (ping || !frames.is_empty()).then_some(Batch { frames, ping })
    }

    fn frames(&mut self, max_bytes: usize, max_frames: usize) -> VecDeque<Frame> {
        if self.bytes <= max_bytes && self.queue.len() <= max_frames {
            self.bytes = 0;
            // The whole queue with its allocation: an idle session keeps none.
            return std::mem::take(&mut self.queue);
        }
        let mut frames = VecDeque::new();
        let mut taken = 0;
        while frames.len() < max_frames
            && let Some(frame) = self.queue.pop_front()
        {
            if taken > 0 && taken + frame.cost() > max_bytes {
                self.queue.push_front(frame);
                break;
            }
            taken += frame.cost();
            frames.push_back(frame);
        }
        self.bytes -= taken;
        frames
    }

    /// Whether a ping goes out now, because it is wanted or because the heartbeat's is due.
    fn take_ping(&mut self, is_wanted: bool) -> bool {
        if self.end.is_some() || self.proof.ping_in_flight() {
            return false;
        }
        let due = self.pulse.as_ref().is_some_and(Pulse::ping_is_due);
        if !(due || is_wanted) {
            return false;
        }
        self.proof.ping_written();
        if let Some(pulse) = &mut self.pulse {
            pulse.ping_written(Instant::now());
        }
        true
    }
}
