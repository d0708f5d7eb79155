//! What a session has been told to send and has not seen acknowledged. Retries keep the clientMessageId (P3).

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

use super::protocol::Target;

/// A message to send.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// Its number in this run.
    pub(crate) number: u64,
    /// Its conversation, as the run numbers them.
    pub(crate) conversation: usize,
    /// Whom for.
    pub(crate) target: Target,
    /// When it should leave, from the start of the run: latencies count from here, however late it really leaves.
    pub(crate) intended: Duration,
}

/// One send that has no answer yet.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) target: Target,
    /// Its conversation, as the run numbers them.
    pub(super) conversation: usize,
    /// When it was written in the present connection, if it was.
    written: Option<Instant>,
    /// Not again before.
    not_before: Instant,
}

/// All of a session, by number.
#[derive(Debug, Default)]
pub(super) struct Outstanding(BTreeMap<u64, Unanswered>);

impl Outstanding {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn add(&mut self, order: Order) {
        let send = Unanswered {
            target: order.target,
            conversation: order.conversation,
            written: None,
            not_before: Instant::now(),
        };
        self.0.insert(order.number, send);
    }

    /// Whether something may be due.
    pub(super) fn has_unwritten(&self) -> bool {
        self.0.values().any(|send| send.written.is_none())
    }

    /// Takes an answered one out; `None` when it was answered before.
    pub(super) fn remove(&mut self, number: u64) -> Option<Unanswered> {
        self.0.remove(&number)
    }

    /// A retryable refusal: again after a short, jittered wait.
    pub(super) fn postpone(&mut self, number: u64) {
        if let Some(send) = self.0.get_mut(&number) {
            let wait = Duration::from_millis(rand::rng().random_range(200..1000));
            send.written = None;
            send.not_before = Instant::now() + wait;
        }
    }

    /// In a new connection everything is to be written again.
    pub(super) fn reconnected(&mut self) {
        for send in self.0.values_mut() {
            send.written = None;
            send.not_before = Instant::now();
        }
    }

    /// What is to be written now, in the order of numbers; marks it as written.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(u64, Target)> {
        let mut due = Vec::new();
        for (number, send) in &mut self.0 {
            if send.written.is_none() && send.not_before <= now {
                send.written = Some(now);
                due.push((*number, send.target.clone()));
            }
        }
        due
    }

    /// How long the oldest written one has been waiting for its answer.
    pub(super) fn longest_wait(&self, now: Instant) -> Duration {
        let waits = self.0.values().filter_map(|send| send.written);
        waits
            .map(|written| now.duration_since(written))
            .max()
            .unwrap_or_default()
    }
}
