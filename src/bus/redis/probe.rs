//! The proof that this gateway hears (D17): it publishes to itself and must hear it. Runs always, not only when idle.
//! Knows nothing of what others publish.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use super::health::BusHealth;
use super::lane::{BusContext, Outgoing, PublishLane};

/// The time between two probes; jitter adds up to a quarter.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a probe may take; jitter adds up to a quarter of the interval.
const DEADLINE: Duration = Duration::from_millis(1_500);

/// Which of the probes that this gateway publishes to itself it has heard (D17).
#[derive(Debug)]
pub(super) struct ProbeEchoes {
    names: Vec<String>,
    /// The newest round heard, for each name.
    rounds: Mutex<Vec<u64>>,
    news: Notify,
}

impl ProbeEchoes {
    pub(super) fn new(names: Vec<String>) -> Self {
        Self {
            rounds: Mutex::new(vec![0; names.len()]),
            names,
            news: Notify::new(),
        }
    }

    /// The channels that must be subscribed.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// A payload on a channel that is no hint's.
    pub(super) fn heard(&self, name: &str, payload: &[u8]) {
        let (Some(index), Ok(round)) = (
            self.names.iter().position(|own| own == name),
            <[u8; 8]>::try_from(payload),
        ) else {
            return;
        };
        let mut rounds = self.rounds.lock();
        rounds[index] = rounds[index].max(u64::from_be_bytes(round));
        drop(rounds);
        self.news.notify_one();
    }

    /// So much was heard that some of it was lost.
    pub(super) fn heard_something(&self) {
        self.rounds.lock().fill(u64::MAX);
        self.news.notify_one();
    }

    fn begin(&self, round: u64) {
        for heard in self
            .rounds
            .lock()
            .iter_mut()
            .filter(|heard| **heard > round)
        {
            *heard = 0;
        }
    }

    fn has_heard(&self, round: u64) -> bool {
        self.rounds.lock().iter().all(|heard| *heard >= round)
    }

    async fn all_heard(&self, round: u64) {
        while !self.has_heard(round) {
            self.news.notified().await;
        }
    }
}

#[derive(Debug)]
pub(super) struct Probe {
    pub(super) shared: BusContext,
    pub(super) lanes: Arc<[PublishLane]>,
    pub(super) health: Arc<BusHealth>,
    pub(super) echoes: Arc<ProbeEchoes>,
}

impl Probe {
    pub(super) async fn run(self) {
        let rounds = async {
            for round in 1_u64.. {
                sleep(INTERVAL + self.jitter()).await;
                if self.health.is_subscribed() {
                    self.round(round).await;
                }
            }
        };
        tokio::select! {
            () = self.shared.stop.cancelled() => {}
            () = rounds => {}
        }
    }

    fn jitter(&self) -> Duration {
        self.shared.entropy.jitter(INTERVAL / 4)
    }

    async fn round(&self, round: u64) {
        let begun = Instant::now();
        let deadline = begun + DEADLINE + self.jitter();
        self.echoes.begin(round);
        let receipts = self.publish(round);
        if timeout_at(deadline, self.echoes.all_heard(round))
            .await
            .is_ok()
        {
            self.shared
                .config
                .metrics()
                .hints
                .lag_seconds
                .record(begun.elapsed());
            self.health.set_probe(None);
        } else if all_received(receipts) {
            self.health
                .set_probe(Some("the subscriber is deaf".to_owned()));
            if self.health.is_subscribed() {
                self.health.report_deaf();
            }
        } else {
            // That connection is replaced by its own time limits; nothing says that the subscriber does not hear.
            let trouble = "probes cannot be published".to_owned();
            self.health.set_probe(Some(trouble));
        }
    }

    /// Through one publishing connection after the other, so that each is tried.
    fn publish(&self, round: u64) -> Vec<oneshot::Receiver<()>> {
        let turn = usize::try_from(round).unwrap_or_default();
        let lane = &self.lanes[turn % self.lanes.len()];
        let publish = |name: &String| {
            let (receipt, received) = oneshot::channel();
            lane.send(Outgoing {
                name: name.clone(),
                payload: Bytes::copy_from_slice(&round.to_be_bytes()),
                receipt: Some(receipt),
            });
            received
        };
        self.echoes.names().iter().map(publish).collect()
    }
}

fn all_received(receipts: Vec<oneshot::Receiver<()>>) -> bool {
    receipts
        .into_iter()
        .all(|mut receipt| receipt.try_recv().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_name_must_be_heard() {
        let echoes = ProbeEchoes::new(vec!["a".to_owned(), "b".to_owned()]);
        echoes.begin(1);
        echoes.heard("a", &1_u64.to_be_bytes());
        echoes.heard("b", b"not a probe");
        echoes.heard("c", &1_u64.to_be_bytes());
        assert!(!echoes.has_heard(1));
        echoes.heard("b", &1_u64.to_be_bytes());
        echoes.all_heard(1).await;
        echoes.begin(2);
        assert!(!echoes.has_heard(2));
    }

    #[test]
    fn losing_payloads_proves_hearing_once() {
        let echoes = ProbeEchoes::new(vec!["a".to_owned()]);
        echoes.heard_something();
        assert!(echoes.has_heard(1));
        echoes.begin(2);
        assert!(!echoes.has_heard(2));
    }
}
