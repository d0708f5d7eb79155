//! How the bus stands, for health and for its own tasks. Knows neither Redis nor what is published.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::super::Doubt;

/// What the tasks of one bus know of each other.
#[derive(Debug)]
pub(super) struct BusHealth {
    subscriber: Mutex<Option<String>>,
    probe: Mutex<Option<String>>,
    deaf: AtomicBool,
    replace: Notify,
}

impl BusHealth {
    pub(super) fn new() -> Self {
        Self {
            subscriber: Mutex::new(Some("the subscriber has not connected yet".to_owned())),
            probe: Mutex::new(None),
            deaf: AtomicBool::new(false),
            replace: Notify::new(),
        }
    }

    /// The subscriber is up, with every subscription confirmed, or down for this reason.
    pub(super) fn set_subscriber(&self, trouble: Option<String>) {
        *self.subscriber.lock() = trouble;
    }

    /// The last probe was heard, or was not for this reason.
    pub(super) fn set_probe(&self, trouble: Option<String>) {
        *self.probe.lock() = trouble;
    }

    /// Whether the subscriber believes that it hears.
    pub(super) fn is_subscribed(&self) -> bool {
        self.subscriber.lock().is_none()
    }

    /// Asks for another subscriber connection, because this one hears nothing.
    pub(super) fn report_deaf(&self) {
        self.deaf.store(true, Ordering::Release);
        self.replace.notify_one();
    }

    /// Waits until the subscriber connection is found deaf ([`Self::report_deaf`]).
    pub(super) async fn deafness(&self) {
        self.replace.notified().await;
    }

    /// Why the connection was replaced; forgets it.
    pub(super) fn take_doubt(&self) -> Doubt {
        if self.deaf.swap(false, Ordering::AcqRel) {
            Doubt::Deaf
        } else {
            Doubt::Reconnected
        }
    }

    /// What is wrong, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        let trouble = self.subscriber.lock().clone();
        trouble
            .or_else(|| self.probe.lock().clone())
            .map_or(Ok(()), Err)
    }
}
