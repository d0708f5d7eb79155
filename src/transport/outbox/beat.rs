//! The outbox as the heartbeat sees it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::{Outbox, OutboxInner};
use crate::transport::heartbeat::{Beats, Pulse, Wheel};

impl Outbox {
    /// Starts the heartbeat: a ping `interval` after the start and after each pong, and the end of the session when
    /// a pong is `timeout` late. With `settle_within`, the session also ends unless [`Outbox::settle`] comes in time.
    pub fn start_heartbeat(
        &self,
        wheel: &Wheel,
        interval: Duration,
        timeout: Duration,
        settle_within: Option<Duration>,
    ) {
        let now = Instant::now();
        let pulse = Pulse::new(
            wheel.clone(),
            now,
            interval,
            timeout,
            settle_within.map(|within| now + within),
        );
        let first = pulse.next();
        self.0.state.lock().pulse = Some(pulse);
        let shared = Arc::downgrade(&self.0);
        wheel.schedule(first, shared as Weak<dyn Beats>);
    }

    /// The client has said what it wants: no `ConnectTimeout` any more.
    pub fn settle(&self) {
        if let Some(pulse) = &mut self.0.state.lock().pulse {
            pulse.settle();
        }
    }

    /// Whether the client has said what it wants, or need not.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let state = self.0.state.lock();
        state.pulse.as_ref().is_none_or(Pulse::is_settled)
    }

    /// While the session's handler is busy nothing is read, so a missing pong means nothing.
    pub fn set_busy(&self, busy: bool) {
        if let Some(pulse) = &mut self.0.state.lock().pulse {
            pulse.set_busy(busy);
        }
    }

    /// Does what is due at `now`; returns when to look again, or `None` when the session has ended.
    pub fn beat(&self, now: Instant) -> Option<Instant> {
        let mut state = self.0.state.lock();
        if state.end.is_some() {
            return None;
        }
        match state.pulse.as_mut()?.beat(now) {
            Ok(beat) => {
                if beat.ping {
                    self.signal(state);
                }
                Some(beat.next)
            }
            Err(reason) => {
                drop(state);
                self.close(reason);
                None
            }
        }
    }
}

impl Beats for OutboxInner {
    fn beat(self: Arc<Self>, now: Instant) -> Option<Instant> {
        Outbox(self).beat(now)
    }
}
