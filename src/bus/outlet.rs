//! Where an adapter puts the signals for its gateway: a bounded queue that drops payloads, and never a doubt. Knows no
//! backend; every adapter of the bus has one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Channel, Doubt, Signal};

/// Signals waiting for the hub. Full: payloads are dropped, and `Gap(Lagged)` follows as soon as there is room.
pub(super) const SIGNAL_QUEUE: usize = 8_192;

/// One gateway's signals.
#[derive(Debug)]
pub(super) struct Outlet {
    sender: mpsc::Sender<Signal>,
    receiver: Mutex<Option<mpsc::Receiver<Signal>>>,
    waiting: Arc<WaitingDoubts>,
}

/// Which doubts wait for room in the queue: at most one of each kind, which is the bound.
#[derive(Debug, Default)]
struct WaitingDoubts {
    reconnected: AtomicBool,
    lagged: AtomicBool,
    deaf: AtomicBool,
    late: AtomicBool,
    /// Since when payloads of this gateway may have been lost.
    publish: Mutex<Option<Instant>>,
}

impl WaitingDoubts {
    const fn flag(&self, doubt: Doubt) -> &AtomicBool {
        match doubt {
            Doubt::Reconnected => &self.reconnected,
            Doubt::Lagged => &self.lagged,
            Doubt::Deaf => &self.deaf,
            Doubt::Late => &self.late,
        }
    }

    /// True when it waits already; of two publish doubts the earlier stands.
    fn put(&self, doubt: &Signal) -> bool {
        match doubt {
            Signal::Gap(doubt) => self.flag(*doubt).swap(true, Ordering::AcqRel),
            Signal::PublishDoubt(since) => {
                let mut publish = self.publish.lock();
                let before = *publish;
                *publish = Some(before.map_or(*since, |other| other.min(*since)));
                before.is_some()
            }
            Signal::Payload { .. } => true,
        }
    }

    /// What is to be told of a doubt that waited.
    fn take(&self, doubt: Signal) -> Signal {
        match doubt {
            Signal::Gap(gap) => self.flag(gap).store(false, Ordering::Release),
            Signal::PublishDoubt(since) => {
                let earliest = self.publish.lock().take().unwrap_or(since);
                return Signal::PublishDoubt(earliest);
            }
            Signal::Payload { .. } => {}
        }
        doubt
    }
}

impl Outlet {
    pub(super) fn new() -> Self {
        Self::with_capacity(SIGNAL_QUEUE)
    }

    pub(super) fn with_capacity(capacity: usize) -> Self {
        let (sender, receiver) = mpsc::channel(capacity);
        Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
            waiting: Arc::default(),
        }
    }

    /// The receiving end, once.
    pub(super) fn receiver(&self) -> Option<mpsc::Receiver<Signal>> {
        self.receiver.lock().take()
    }

    /// Hands a payload over without waiting, or drops it and says so.
    pub(super) fn payload(&self, channel: Channel, payload: Bytes) {
        let signal = Signal::Payload { channel, payload };
        if let Err(mpsc::error::TrySendError::Full(_)) = self.sender.try_send(signal) {
            self.gap(Doubt::Lagged);
        }
    }

    /// Payloads may have been lost on the way here.
    pub(super) fn gap(&self, doubt: Doubt) {
        self.doubt(Signal::Gap(doubt));
    }

    /// Payloads published since then may have been lost on the way to others.
    pub(super) fn publish_doubt(&self, since: Instant) {
        self.doubt(Signal::PublishDoubt(since));
    }

    fn doubt(&self, doubt: Signal) {
        if let Err(mpsc::error::TrySendError::Full(doubt)) = self.sender.try_send(doubt)
            && !self.waiting.put(&doubt)
        {
            tokio::spawn(deliver(
                self.sender.clone(),
                Arc::clone(&self.waiting),
                doubt,
            ));
        }
    }
}

/// Waits for room. The flag falls before the doubt is in the queue: what is lost in between asks for another one.
async fn deliver(sender: mpsc::Sender<Signal>, waiting: Arc<WaitingDoubts>, doubt: Signal) {
    let permit = sender.reserve().await;
    let doubt = waiting.take(doubt);
    if let Ok(permit) = permit {
        permit.send(doubt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::GatewayId;

    fn channel() -> Channel {
        Channel::Gateway(GatewayId::from_u64(1))
    }

    #[tokio::test]
    async fn a_full_queue_drops_payloads_and_says_so_once() {
        let outlet = Outlet::with_capacity(2);
        let mut signals = outlet.receiver().unwrap();
        assert!(outlet.receiver().is_none());
        for _ in 0..5 {
            outlet.payload(channel(), Bytes::new());
        }
        for _ in 0..2 {
            assert!(matches!(signals.recv().await, Some(Signal::Payload { .. })));
        }
        assert_eq!(signals.recv().await, Some(Signal::Gap(Doubt::Lagged)));
        outlet.payload(channel(), Bytes::from_static(b"later"));
        assert!(matches!(signals.recv().await, Some(Signal::Payload { .. })));
    }

    #[tokio::test]
    async fn doubts_of_different_kinds_all_arrive() {
        let outlet = Outlet::with_capacity(1);
        let mut signals = outlet.receiver().unwrap();
        outlet.payload(channel(), Bytes::new());
        outlet.gap(Doubt::Reconnected);
        outlet.gap(Doubt::Deaf);
        let since = Instant::now();
        outlet.publish_doubt(since);
        outlet.publish_doubt(since);
        let mut seen = Vec::new();
        while seen.len() < 4 {
            seen.extend(signals.recv().await);
        }
        assert!(seen.contains(&Signal::Gap(Doubt::Reconnected)));
        assert!(seen.contains(&Signal::Gap(Doubt::Deaf)));
        assert!(seen.contains(&Signal::PublishDoubt(since)));
    }
}
