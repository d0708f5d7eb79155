//! What a session has been told to do and has not seen answered. Retries of messages keep the clientMessageId (P3).

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

use super::deed::Deed;

/// One that has no answer yet.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) deed: Deed,
    /// Its conversation, as the run numbers them.
    pub(super) conversation: usize,
    /// How often it was written.
    pub(super) tries: u32,
    /// When it was written in the present connection, if it was.
    written: Option<Instant>,
    /// Not again before.
    not_before: Instant,
    /// When it was first written to a gateway whose answers are to come in time.
    timed_since: Option<Instant>,
}

impl Unanswered {
    /// How long such a gateway's answer has been waited for.
    pub(super) fn timed_wait(&self) -> Option<Duration> {
        self.timed_since.map(|since| since.elapsed())
    }
}

/// All of a session, by number.
#[derive(Debug, Default)]
pub(super) struct Outstanding(BTreeMap<u64, Unanswered>);

impl Outstanding {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn add(&mut self, number: u64, conversation: usize, deed: Deed) {
        let send = Unanswered {
            deed,
            conversation,
            tries: 0,
            written: None,
            not_before: Instant::now(),
            timed_since: None,
        };
        self.0.insert(number, send);
    }

    pub(super) fn get(&self, number: u64) -> Option<&Unanswered> {
        self.0.get(&number)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Unanswered> {
        self.0.values()
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

    /// What is to be written now, in the order of numbers; marks it as written, and as timed if it is.
    pub(super) fn due(&mut self, now: Instant, is_timed: bool) -> Vec<(u64, Deed)> {
        let mut due = Vec::new();
        for (number, send) in &mut self.0 {
            if send.written.is_none() && send.not_before <= now {
                send.written = Some(now);
                send.tries += 1;
                if is_timed {
                    send.timed_since.get_or_insert(now);
                }
                due.push((*number, send.deed.clone()));
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
