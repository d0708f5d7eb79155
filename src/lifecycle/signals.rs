//! The signals that stop the process: SIGTERM from whoever runs it, SIGINT from a terminal. Both mean the same. An operator's
//! request to drain comes the same way, and begins a drain, but never cuts one.
//!
//! They are listened for by a thread with a runtime of its own, which also ends the process when it does not end by
//! itself: whatever the clients' tasks do, a signal ends the process (D39).

use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::failure::Failure;
use crate::admin::DRAIN;

/// What the process is given beyond the drain's grace, or after a second signal: the last call, requests in flight and
/// blocking work have three seconds at most.
const LAST_WORDS: Duration = Duration::from_secs(4);

/// How long the log line of a process that is ended may take.
const SAYING_SO: Duration = Duration::from_secs(1);

/// The first signal drains, the second cuts, and an operator may have asked as well; further ones say nothing new and are
/// dropped.
const KEPT: usize = 3;

/// The signals, listened for from when this is made; one that comes during the start is not lost.
#[derive(Debug)]
pub struct Signals(mpsc::Receiver<&'static str>);

impl Signals {
    /// Starts listening for the process's signals. What is sent through the sender counts as one of them. From the
    /// first signal on the process lives for the grace of its drain and a little more, at most.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn listen(grace: Duration) -> Result<(mpsc::Sender<&'static str>, Self), Failure> {
        let (sender, signals) = Self::by_hand();
        let runtime = thread_runtime("signals")?;
        let inside = runtime.enter();
        let listening = Listening {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            signals: sender.clone(),
            grace,
        };
        drop(inside);
        on_thread("signals", runtime, listening.run())?;
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

struct Listening {
    terminate: Signal,
    interrupt: Signal,
    signals: mpsc::Sender<&'static str>,
    grace: Duration,
}

impl Listening {
    /// Hands signals on until the process has ended, or has to be.
    async fn run(mut self) {
        let mut end: Option<Instant> = None;
        loop {
            let signal = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
                () = reached(end) => end_process(),
            };
            let soon = Instant::now() + LAST_WORDS;
            end = Some(end.map_or(soon + self.grace, |end| end.min(soon)));
            // Full: so many have come that one more says nothing new.
            let _ = self.signals.try_send(signal);
        }
    }
}

async fn reached(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// The end, whatever other threads are doing. Said by a thread of its own: a log that nobody reads must not keep it.
fn end_process() -> ! {
    let (said, heard) = std::sync::mpsc::channel();
    let saying = thread::Builder::new().spawn(move || {
        tracing::error!("the process does not end by itself after a signal, and is ended");
        said.send(())
    });
    if saying.is_ok() {
        let _ = heard.recv_timeout(SAYING_SO);
    }
    std::process::exit(1)
}

/// A runtime for one thread alone.
pub(super) fn thread_runtime(name: &str) -> Result<Runtime, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Runtime(format!("no runtime for {name}: {error}")))
}

/// Runs work on a thread of its own, to the end of the process.
pub(super) fn on_thread(
    name: &str,
    runtime: Runtime,
    work: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Failure> {
    let thread = thread::Builder::new().name(name.to_owned());
    let started = thread.spawn(move || runtime.block_on(work));
    started
        .map(drop)
        .map_err(|error| Failure::Runtime(format!("no thread for {name}: {error}")))
}
