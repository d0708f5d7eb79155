//! The signals that stop the process: SIGTERM from whoever runs it, SIGINT from a terminal. Both mean the same. An operator's
//! request to drain comes the same way, and begins a drain, but never cuts one.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::Failure;
use crate::admin::DRAIN;

/// The first signal drains, the second cuts, and an operator may have asked as well; further ones say nothing new and are
/// dropped.
const KEPT: usize = 3;

/// The signals, listened for from when this is made; one that comes during the start is not lost.
#[derive(Debug)]
pub struct Signals(mpsc::Receiver<&'static str>);

impl Signals {
    /// Starts listening for the process's signals. What is sent through the sender counts as one of them.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn listen() -> Result<(mpsc::Sender<&'static str>, Self), Failure> {
        let terminate = listen(SignalKind::terminate())?;
        let interrupt = listen(SignalKind::interrupt())?;
        let (sender, signals) = Self::by_hand();
        tokio::spawn(forward(terminate, interrupt, sender.clone()));
        Ok((sender, signals))
    }

    /// Signals that come from the sender returned, for tests.
    #[must_use]
    pub fn by_hand() -> (mpsc::Sender<&'static str>, Self) {
        let (sender, receiver) = mpsc::channel(KEPT);
        (sender, Self(receiver))
    }

    /// Waits for the next one; returns its name.
    pub async fn next(&mut self) -> &'static str {
        match self.0.recv().await {
            Some(signal) => signal,
            // Nobody can send any more: there will be none.
            None => std::future::pending().await,
        }
    }

    /// Waits for the second signal of those who run the process, after `first` began the drain; returns its name. A
    /// supervisor that stops a gateway which an operator drains already sends its first one.
    pub async fn second(&mut self, first: &'static str) -> &'static str {
        let mut signalled = first != DRAIN;
        loop {
            let signal = self.next().await;
            if signal != DRAIN && signalled {
                return signal;
            }
            signalled |= signal != DRAIN;
            tracing::info!(signal, "draining already");
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::Runtime(format!("cannot listen for signals: {error}")))
}

/// SIGHUP: read the configuration again.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// Starts listening; from here on SIGHUP does not end the process.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn listen() -> Result<Self, Failure> {
        listen(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            // There will be none.
            std::future::pending::<()>().await;
        }
    }
}

async fn forward(
    mut terminate: Signal,
    mut interrupt: Signal,
    signals: mpsc::Sender<&'static str>,
) {
    loop {
        let signal = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        if signals.try_send(signal).is_err() && signals.is_closed() {
            return;
        }
    }
}
