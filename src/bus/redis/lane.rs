//! One publishing connection: a bounded queue, and a task that sends what waits, in order. Knows neither subscriptions
//! nor what is published.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use fred::error::Error;
use futures_util::future::{MaybeDone, maybe_done};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::outlet::Outlet;
use super::commands::PubSubCommands;
use super::sealed::Sealing;
use crate::domain::{Backoff, Entropy};
use crate::redis::{Connection, Purpose, RedisConfig, backoff};

/// Payloads waiting for one connection. Full: the payload is dropped and a `PublishDoubt` follows (D10).
const QUEUE: usize = 16_384;

/// Payloads on the wire at once. One batch is in flight at a time, so that a failure leaves nothing out of order (D9).
const BATCH: usize = 512;

/// What waited longer than this for a connection is not sent any more: typing and presence would be wrong, and events
/// are announced again after the doubt.
const STALE: Duration = Duration::from_secs(2);

/// The longest that a payload has waited in the queue when it is sent or dropped: a batch in flight ends with its
/// command's time limit, a lost connection with `STALE`.
const QUEUED: Duration = Duration::from_secs(5);

/// How long a closing lane may take to send what is queued.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// A payload on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The channel's name.
    pub(super) name: String,
    /// What is published.
    pub(super) payload: Bytes,
    /// Told when the server has taken it; dropped when that is not known.
    pub(super) receipt: Option<oneshot::Sender<()>>,
}

/// The sending half of a lane.
#[derive(Debug)]
pub(super) struct PublishLane {
    queue: mpsc::Sender<Outgoing>,
    doubt: Arc<Doubtful>,
}

/// Since when payloads may have been lost on the way to others, if any may.
#[derive(Debug, Default)]
struct Doubtful(Mutex<Option<Instant>>);

impl Doubtful {
    fn note(&self, since: Instant) {
        let mut earliest = self.0.lock();
        *earliest = Some(earliest.map_or(since, |other| other.min(since)));
    }

    /// From when on publishers cannot rely on what they gave to the queue.
    fn take(&self) -> Option<Instant> {
        let since = self.0.lock().take()?;
        Some(since.checked_sub(QUEUED).unwrap_or(since))
    }
}

impl PublishLane {
    /// A lane and the task that serves it, once it is spawned.
    pub(super) fn new(shared: BusContext) -> (Self, LaneTask) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let doubt = Arc::<Doubtful>::default();
        let lane = Self {
            queue,
            doubt: Arc::clone(&doubt),
        };
        let task = LaneTask {
            shared,
            waiting,
            doubt,
            backoff: backoff(),
        };
        (lane, task)
    }

    /// Queues a payload, or drops it; the doubt is signalled when publishing works again, since announcing everything
    /// anew is of no use before.
    pub(super) fn send(&self, outgoing: Outgoing) {
        if self.queue.try_send(outgoing).is_err() {
            self.doubt.note(Instant::now());
        }
    }
}

/// What all tasks of one bus need.
#[derive(Debug, Clone)]
pub(super) struct BusContext {
    pub(super) config: RedisConfig,
    pub(super) commands: PubSubCommands,
    pub(super) sealing: Arc<Sealing>,
    pub(super) outlet: Arc<Outlet>,
    pub(super) entropy: Arc<Entropy>,
    pub(super) stop: CancellationToken,
}

impl BusContext {
    /// Connects, again and again; none when the bus is closed. Every failure is told to `failed`.
    pub(super) async fn connect(
        &self,
        purpose: Purpose,
        backoff: &mut Backoff,
        mut failed: impl FnMut(&Error) + Send,
    ) -> Option<Connection> {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return None,
                opened = Connection::open(&self.config, purpose) => match opened {
                    Ok(connection) => return Some(connection),
                    Err(error) => failed(&error),
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep(backoff.step(&self.entropy)) => {}
            }
        }
    }
}

/// The task behind a lane.
#[derive(Debug)]
pub(super) struct LaneTask {
    shared: BusContext,
    waiting: mpsc::Receiver<Outgoing>,
    doubt: Arc<Doubtful>,
    backoff: Backoff,
}

impl LaneTask {
    pub(super) async fn run(mut self) {
        let mut lost_at = Instant::now();
        loop {
            let failed = |error: &Error| tracing::debug!(%error, "publishing connection failed");
            let connecting = self
                .shared
                .connect(Purpose::Commands, &mut self.backoff, failed);
            let Some(mut connection) = connecting.await else {
                return;
            };
            self.drop_stale(lost_at);
            self.tell_doubt();
            match self.serve(&mut connection).await {
                None => return self.flush(&connection).await,
                Some(error) => tracing::warn!(%error, "publishing connection lost"),
            }
            self.shared.config.metrics().bus.errors.increment(1);
            lost_at = Instant::now();
            tokio::time::sleep(self.backoff.step(&self.shared.entropy)).await;
        }
    }

    /// Publishes until trouble, which it returns, or until the bus is closed.
    async fn serve(&mut self, connection: &mut Connection) -> Option<Error> {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => return None,
                error = connection.ended() => {
                    self.doubt.note(Instant::now());
                    return Some(error);
                }
                _ = self.waiting.recv_many(&mut batch, BATCH) => {}
            }
            let begun = Instant::now();
            if let Err(error) = self.publish(connection, &mut batch).await {
                // D10: whatever was in flight may be lost.
                self.doubt.note(begun);
                return Some(error);
            }
            self.backoff.reset();
            self.tell_doubt();
        }
    }

    /// Publishes a batch in order. After an error it is unknown which of it arrived.
    async fn publish(
        &self,
        connection: &Connection,
        batch: &mut Vec<Outgoing>,
    ) -> Result<(), Error> {
        let mut receipts = Vec::new();
        let mut answers: Vec<_> = batch
            .drain(..)
            .map(|outgoing| {
                receipts.extend(outgoing.receipt);
                let Outgoing { name, payload, .. } = outgoing;
                let BusContext {
                    commands, sealing, ..
                } = &self.shared;
                // Now, since it must be fresh when it is heard.
                let sealed = sealing.seal(&name, &payload);
                Box::pin(maybe_done(commands.publish(
                    connection.client(),
                    name,
                    sealed,
                )))
            })
            .collect();
        let begun = Instant::now();
        start_in_order(&mut answers).await;
        for answer in &mut answers {
            answer.as_mut().await;
            if let Some(Err(error)) = answer.as_mut().take_output() {
                return Err(error);
            }
        }
        self.shared
            .config
            .metrics()
            .bus
            .seconds
            .record(begun.elapsed());
        for receipt in receipts {
            // The probe may have stopped waiting.
            let _ = receipt.send(());
        }
        Ok(())
    }

    fn drop_stale(&mut self, lost_at: Instant) {
        if lost_at.elapsed() < STALE {
            return;
        }
        while self.waiting.try_recv().is_ok() {
            self.doubt.note(lost_at);
        }
    }

    fn tell_doubt(&self) {
        if let Some(since) = self.doubt.take() {
            self.shared.outlet.publish_doubt(since);
        }
    }

    async fn flush(&mut self, connection: &Connection) {
        let rest = async {
            let mut batch = Vec::with_capacity(BATCH);
            self.waiting.close();
            while self.waiting.recv_many(&mut batch, BATCH).await > 0 {
                self.publish(connection, &mut batch).await?;
            }
            Ok::<(), Error>(())
        };
        match tokio::time::timeout(FLUSH_LIMIT, rest).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "payloads were not published at the end"),
            Err(_) => tracing::warn!("payloads were not published in time at the end"),
        }
    }
}

/// Polls every future once, in order: a future hands its command to the connection when it is first polled, and it is
/// this order that the server sees (D9).
async fn start_in_order<F: Future>(futures: &mut [Pin<Box<MaybeDone<F>>>]) {
    std::future::poll_fn(|context| {
        for future in &mut *futures {
            let _ = future.as_mut().poll(context);
        }
        Poll::Ready(())
    })
    .await;
}
