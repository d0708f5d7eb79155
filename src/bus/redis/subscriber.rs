//! The one subscriber connection: subscribes, confirms, hands over, and is replaced at its first trouble. Knows neither
//! publishing nor what payloads say.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fred::error::Error;
use fred::interfaces::ClientLike;
use fred::types::{Message, Value};
use tokio::sync::broadcast;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::super::outlet::Outlet;
use super::super::{Channel, Doubt};
use super::commands::PubSubCommands;
use super::health::BusHealth;
use super::interest::Interest;
use super::lane::BusContext;
use super::probe::ProbeEchoes;
use super::sealed::{PayloadRefusal, Sealing};
use crate::domain::Backoff;
use crate::logging::served::spawn_task;
use crate::metrics::RefusedHints;
use crate::redis::{Connection, Purpose, backoff};

/// How often the server must answer a PING (trap 7: fred never notices that a subscriber's server is frozen), and how
/// long an unsubscription waits for others at most.
const WATCHDOG: Duration = Duration::from_secs(1);

/// How often at most what comes late is a doubt. Somebody who publishes old payloads again costs a comparison with the
/// log in each, and no more.
const LATE_AT_MOST_EVERY: Duration = Duration::from_secs(5);

/// The task behind the subscriptions.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) shared: BusContext,
    pub(super) interest: Arc<Interest>,
    pub(super) health: Arc<BusHealth>,
    pub(super) echoes: Arc<ProbeEchoes>,
}

/// Why a connection is no longer served.
enum Disconnect {
    Closed,
    Trouble(Error),
}

impl Subscriber {
    /// Keeps the subscriptions alive until the bus is closed.
    pub(super) async fn run(self) {
        let mut backoff = backoff();
        // The very first connection owes no gap, unless somebody had to give up waiting for it.
        let mut gap = false;
        loop {
            let failed = |error: &Error| {
                self.health
                    .set_subscriber(Some(format!("the subscriber cannot connect: {error}")));
            };
            let connecting = self
                .shared
                .connect(Purpose::Subscriptions, &mut backoff, failed);
            let Some(connection) = connecting.await else {
                return;
            };
            match self.serve(connection, gap, &mut backoff).await {
                Disconnect::Closed => return,
                Disconnect::Trouble(error) => {
                    self.shared.config.metrics().bus.errors.increment(1);
                    tracing::warn!(%error, "subscriber connection lost");
                    self.health
                        .set_subscriber(Some(format!("the subscriber lost Redis: {error}")));
                }
            }
            gap = true;
            tokio::time::sleep(backoff.step(&self.shared.entropy)).await;
        }
    }

    async fn serve(
        &self,
        mut connection: Connection,
        gap: bool,
        backoff: &mut Backoff,
    ) -> Disconnect {
        let reader = PayloadReader {
            commands: self.shared.commands.clone(),
            sealing: Arc::clone(&self.shared.sealing),
            refused: self.shared.config.metrics().hints.refused.clone(),
            outlet: Arc::clone(&self.shared.outlet),
            echoes: Arc::clone(&self.echoes),
            lateness: Lateness::new(),
        };
        let Some(messages) = connection.take_messages() else {
            return Disconnect::Closed;
        };
        // It ends with the connection, which holds the sending half.
        let reading = spawn_task("hearing", reader.run(messages));
        let end = tokio::select! {
            () = self.shared.stop.cancelled() => Disconnect::Closed,
            end = self.attend(&mut connection, gap, backoff) => end,
        };
        drop(connection);
        reading.abort();
        end
    }

    async fn attend(
        &self,
        connection: &mut Connection,
        gap: bool,
        backoff: &mut Backoff,
    ) -> Disconnect {
        let layout = match self.establish(connection, gap).await {
            Ok(layout) => layout,
            Err(error) => return Disconnect::Trouble(error),
        };
        backoff.reset();
        let mut watchdog = interval(WATCHDOG);
        watchdog.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                error = connection.ended() => Err(error),
                () = self.health.deafness() => Err(trouble("it does not hear its own probe")),
                () = self.interest.changed() => self.keep_up(connection).await,
                _ = watchdog.tick() => self.watch(connection, &layout).await,
            };
            if let Err(error) = done {
                return Disconnect::Trouble(error);
            }
        }
    }

    /// Subscribes everything wanted on a new connection; only then is the gap told, so that a re-read after it leaves
    /// no hole.
    async fn establish(&self, connection: &Connection, gap: bool) -> Result<Vec<String>, Error> {
        // Before subscribing: a slot that moves in between is seen to have moved.
        let layout = self.shared.commands.layout(connection.client()).await?;
        let probes = self.echoes.names().to_vec();
        self.shared
            .commands
            .subscribe(connection.client(), probes)
            .await?;
        self.interest.reset();
        let gap = self.settle(connection).await? || gap;
        self.health.set_subscriber(None);
        let doubt = self.health.take_doubt();
        if gap {
            tracing::info!(?doubt, "subscriber is back");
            self.shared.outlet.gap(doubt);
        }
        Ok(layout)
    }

    async fn watch(&self, connection: &Connection, layout: &[String]) -> Result<(), Error> {
        connection.client().ping::<()>(None).await?;
        if self.shared.commands.layout(connection.client()).await? != layout {
            return Err(trouble("slots of the cluster have moved"));
        }
        self.keep_up(connection).await
    }

    async fn keep_up(&self, connection: &Connection) -> Result<(), Error> {
        if self.settle(connection).await? {
            self.shared.outlet.gap(Doubt::Reconnected);
        }
        Ok(())
    }

    /// Tells the server what has changed until nothing has. True when a call had given up on a channel that is now
    /// confirmed.
    async fn settle(&self, connection: &Connection) -> Result<bool, Error> {
        let mut overdue = self.interest.confirm(&[]);
        loop {
            let round = self.interest.next_round();
            if round.is_empty() {
                return Ok(overdue);
            }
            let (commands, client) = (&self.shared.commands, connection.client());
            commands
                .subscribe(client, self.names(&round.subscribe))
                .await?;
            overdue |= self.interest.confirm(&round.subscribe);
            commands
                .unsubscribe(client, self.names(&round.unsubscribe))
                .await?;
        }
    }

    fn names(&self, channels: &[Channel]) -> Vec<String> {
        let commands = &self.shared.commands;
        channels
            .iter()
            .map(|channel| commands.name(*channel))
            .collect()
    }
}

fn trouble(what: &'static str) -> Error {
    Error::new(fred::error::ErrorKind::IO, what)
}

/// Takes payloads from one connection and hands them over; it does nothing else, so that Redis never has to cut the
/// connection for its pending output (trap 8).
struct PayloadReader {
    commands: PubSubCommands,
    sealing: Arc<Sealing>,
    refused: RefusedHints,
    outlet: Arc<Outlet>,
    echoes: Arc<ProbeEchoes>,
    lateness: Lateness,
}

impl PayloadReader {
    async fn run(mut self, mut messages: broadcast::Receiver<Message>) {
        loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Ok(message) => self.take(message),
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        // Much is heard: a probe may have been among it.
                        self.echoes.heard_something();
                        self.outlet.gap(Doubt::Lagged);
                    }
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                () = self.lateness.due() => {
                    self.lateness.told();
                    self.outlet.gap(Doubt::Late);
                }
            }
        }
    }

    fn take(&mut self, message: Message) {
        let payload = match self.sealing.open(&message.channel, bytes_of(message.value)) {
            Ok(payload) => payload,
            Err(refusal) => return self.refuse(refusal),
        };
        match self.commands.channel(&message.channel) {
            Some(channel) => self.outlet.payload(channel, payload),
            None => self.echoes.heard(&message.channel, &payload),
        }
    }
}

impl PayloadReader {
    /// What is refused is counted. Not proved, or heard before, it says nothing: anybody may publish it, as often as they
    /// like. What is late was once published by a gateway, and may not have been heard then.
    fn refuse(&mut self, refusal: PayloadRefusal) {
        let count = match refusal {
            PayloadRefusal::Unproved => &self.refused.unproved,
            PayloadRefusal::Stale => &self.refused.stale,
            PayloadRefusal::Repeated => &self.refused.repeated,
        };
        count.increment(1);
        if refusal == PayloadRefusal::Stale {
            self.lateness.noted();
        }
    }
}

/// When a doubt about what came late is to be told: at once, but not again within [`LATE_AT_MOST_EVERY`]; what came late
/// in between is told then.
struct Lateness {
    is_owed: bool,
    not_before: Instant,
}

impl Lateness {
    fn new() -> Self {
        Self {
            is_owed: false,
            not_before: Instant::now(),
        }
    }

    const fn noted(&mut self) {
        self.is_owed = true;
    }

    /// Resolves when the doubt is to be told; never while none is owed.
    async fn due(&self) {
        match self.is_owed {
            true => sleep_until(self.not_before).await,
            false => std::future::pending().await,
        }
    }

    fn told(&mut self) {
        self.is_owed = false;
        self.not_before = Instant::now() + LATE_AT_MOST_EVERY;
    }
}

fn bytes_of(value: Value) -> Bytes {
    match value {
        Value::Bytes(bytes) => bytes,
        Value::String(text) => text.into_inner(),
        // A payload is a blob; anything else was not published by hobnob.
        _ => Bytes::new(),
    }
}
