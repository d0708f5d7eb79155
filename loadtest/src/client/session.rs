//! The life of one user's device: connects, sends what it is told, records what arrives, and comes back after every
//! cut, at another gateway, from where it was. Knows no faults: it meets them as any client does.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::Rng;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval, sleep};

use super::connection::{Connection, Gone, NotConnected};
use super::dial::Dial;
use super::order::Order;
use super::outstanding::Outstanding;
use super::own::Own;
use super::place::Place;
use super::protocol::Protocol;
use super::record::Record;
use super::rest_answer::RestAnswer;
use super::said::Joining;
use super::shared::{Phase, Resume, Shared, Supply};
use crate::accounts::User;
use crate::mix::Kind;

/// How often retries, acknowledgements and time limits are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How often cursors are moved by a client that does so itself, in ticks.
const ACKNOWLEDGE_EVERY: u32 = 10;
/// The first and the longest wait before connecting again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// How many answers over REST wait to be taken up; those who bring more wait with them.
const REST_ANSWERS: usize = 16;

/// One device of one user.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) user: User,
    pub(super) protocol: Protocol,
    phase: watch::Receiver<Phase>,
    supply: Supply,
    pub(super) outstanding: Outstanding,
    pub(super) places: HashMap<String, Place>,
    reported: HashMap<String, u64>,
    pub(super) record: Record,
    heard: Instant,
    pub(super) gateway: usize,
    /// What it can change, by conversation.
    pub(super) own: HashMap<usize, Own>,
    /// Answers to what was asked over REST.
    pub(super) telling: mpsc::Sender<RestAnswer>,
    told: mpsc::Receiver<RestAnswer>,
}

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Lost,
    Over,
}

impl Session {
    /// Its first connection goes to the gateway of this number, in turn.
    pub(crate) fn new(
        shared: Arc<Shared>,
        user: User,
        protocol: Protocol,
        phase: watch::Receiver<Phase>,
        supply: Supply,
        gateway: usize,
    ) -> Self {
        let gateway = gateway % shared.gateways.all.len();
        let (telling, told) = mpsc::channel(REST_ANSWERS);
        Self {
            shared,
            user,
            protocol,
            phase,
            supply,
            outstanding: Outstanding::default(),
            places: HashMap::new(),
            reported: HashMap::new(),
            record: Record::default(),
            heard: Instant::now(),
            gateway,
            own: HashMap::new(),
            telling,
            told,
        }
    }

    /// Lives until the run is over.
    pub(crate) async fn run(mut self) -> Record {
        let mut wait = BACKOFF.0;
        while !self.phase.borrow().over {
            match self.connect().await {
                Ok(connection) => {
                    wait = BACKOFF.0;
                    self.record.connections += 1;
                    self.shared
                        .counters
                        .connected
                        .fetch_add(1, Ordering::Relaxed);
                    let ended = self.serve(connection).await;
                    self.note_waits();
                    self.shared
                        .counters
                        .connected
                        .fetch_sub(1, Ordering::Relaxed);
                    if ended == Ended::Over {
                        break;
                    }
                }
                Err(error) => self.failed(&error).await,
            }
            self.move_elsewhere();
            let share = rand::rng().random_range(0.5..1.0);
            sleep(wait.mul_f64(share)).await;
            wait = (wait * 2).min(BACKOFF.1);
        }
        self.take_remaining_orders();
        self.record
    }

    fn move_elsewhere(&mut self) {
        let count = self.shared.gateways.all.len();
        if count > 1 {
            self.gateway = (self.gateway + rand::rng().random_range(1..count)) % count;
        }
    }

    async fn failed(&mut self, error: &NotConnected) {
        self.record.failed_connects += 1;
        if let NotConnected::Refused(code) = error {
            self.record.error(code);
            if code == "token_expired" {
                // Whoever cannot log in now can try again after the next refusal.
                let _ = self.shared.accounts.renew(&mut self.user).await;
            }
        }
    }

    async fn connect(&mut self) -> Result<Connection, NotConnected> {
        let since = self.resume_points();
        let joining = Joining {
            user: &self.user.id,
            token: &self.user.token,
            since: &since,
            last: self.record.hindsight.last(),
            acknowledges: self.acknowledges(),
        };
        let dial = Dial::to(&self.shared.gateways, self.gateway);
        let mut early = Vec::new();
        let keep = |text: &str| early.push(text.to_owned());
        let connection = Connection::open(&dial, self.protocol, &joining, keep).await?;
        for (conversation, place) in &mut self.places {
            place.reconnected(since.get(conversation).copied());
        }
        self.record.hindsight.reconnected();
        self.outstanding.reconnected();
        self.heard = Instant::now();
        early.iter().for_each(|text| self.take(text));
        Ok(connection)
    }

    fn acknowledges(&self) -> bool {
        self.protocol == Protocol::Native
    }

    fn resume_points(&self) -> BTreeMap<String, u64> {
        if self.shared.resume == Resume::Cursor {
            return BTreeMap::new();
        }
        let points = self
            .places
            .iter()
            .map(|(id, place)| (id.clone(), place.contiguous()));
        points.filter(|(_, seq)| *seq > 0).collect()
    }

    async fn serve(&mut self, mut connection: Connection) -> Ended {
        let mut tick = interval(TICK);
        let mut ticks = 0_u32;
        let cuts = self.phase.borrow().cuts;
        let life = self.life();
        tokio::pin!(life);
        loop {
            if self.write_due(&mut connection).await.is_err() {
                return Ended::Lost;
            }
            let accepts = self.outstanding.len() < 256;
            let worked = tokio::select! {
                frame = connection.next() => match frame {
                    None => Err(Gone),
                    Some(None) => { self.heard = Instant::now(); Ok(()) }
                    Some(Some(text)) => self.hear(&mut connection, &text).await,
                },
                Some(order) = next_order(&mut self.supply), if accepts => { self.order(&order); Ok(()) }
                Some(told) = self.told.recv() => { self.take_told(told); Ok(()) }
                _ = tick.tick() => { ticks += 1; self.on_tick(&mut connection, ticks).await }
                () = &mut life => Err(Gone),
                _ = self.phase.changed() => Ok(()),
            };
            let phase = *self.phase.borrow();
            if phase.over {
                connection.close().await;
                return Ended::Over;
            }
            if worked.is_err() || phase.cuts != cuts {
                return Ended::Lost;
            }
            self.refill(phase.sending);
        }
    }

    /// Resolves when the connection is to be cut by its own client.
    fn life(&self) -> impl Future<Output = ()> + use<> {
        let mean = self.shared.patience.churn;
        let life = mean.map(|mean| mean.mul_f64(rand::rng().random_range(0.1..1.9)));
        async move {
            match life {
                Some(life) => sleep(life).await,
                None => std::future::pending().await,
            }
        }
    }

    async fn hear(&mut self, connection: &mut Connection, text: &str) -> Result<(), Gone> {
        self.heard = Instant::now();
        if !connection.answer_ping(text).await? {
            self.take(text);
        }
        Ok(())
    }

    /// A closed loop's own next deeds.
    fn refill(&mut self, sending: bool) {
        let Supply::Closed {
            window,
            conversation,
            target,
            mix,
        } = &self.supply
        else {
            return;
        };
        let (window, conversation, target) = (*window, *conversation, target.clone());
        let mix = *mix;
        while sending && self.outstanding.len() < window {
            let kind = mix.pick();
            // The first message is waited for: until then there is nothing to change.
            let is_bare = self.own.get(&conversation).is_none_or(Own::is_bare);
            if kind != Kind::Messages && is_bare && self.outstanding.len() > 0 {
                break;
            }
            self.shared
                .counters
                .outstanding
                .fetch_add(1, Ordering::Relaxed);
            self.order(&Order {
                number: self
                    .shared
                    .counters
                    .next_number
                    .fetch_add(1, Ordering::Relaxed),
                kind,
                conversation,
                target: target.clone(),
                intended: self.shared.start.elapsed(),
            });
        }
    }

    async fn write_due(&mut self, connection: &mut Connection) -> Result<(), Gone> {
        if !self.outstanding.has_unwritten() {
            return Ok(());
        }
        let due = self.outstanding.due(Instant::now(), self.is_timed());
        for (number, deed) in due {
            self.note_begun(number);
            match deed.frame(self.protocol, number, &self.shared) {
                Some(text) => connection.write(text).await?,
                None => self.ask(number, &deed),
            }
        }
        Ok(())
    }

    async fn on_tick(&mut self, connection: &mut Connection, ticks: u32) -> Result<(), Gone> {
        let now = Instant::now();
        let patience = self.shared.patience;
        let is_silent = now.duration_since(self.heard) > patience.silence;
        if is_silent || self.outstanding.longest_wait(now) > patience.answer {
            return Err(Gone);
        }
        if self.acknowledges() && ticks.is_multiple_of(ACKNOWLEDGE_EVERY) {
            self.acknowledge(connection).await?;
        }
        Ok(())
    }

    /// Moves the cursors to what this device has.
    async fn acknowledge(&mut self, connection: &mut Connection) -> Result<(), Gone> {
        for (conversation, place) in &self.places {
            let (seq, reported) = (place.contiguous(), self.reported.get_mut(conversation));
            if reported.as_deref().copied().unwrap_or_default() == seq {
                continue;
            }
            connection
                .write(self.protocol.acknowledge(2, conversation, seq))
                .await?;
            match reported {
                Some(reported) => *reported = seq,
                None => drop(self.reported.insert(conversation.clone(), seq)),
            }
        }
        Ok(())
    }

    /// What was ordered and never taken up counts as sent, and as unanswered.
    fn take_remaining_orders(&mut self) {
        while let Supply::Open(orders) = &mut self.supply
            && let Ok(order) = orders.try_recv()
        {
            self.order(&order);
        }
    }
}

async fn next_order(supply: &mut Supply) -> Option<Order> {
    match supply {
        Supply::Open(orders) => orders.recv().await,
        Supply::Closed { .. } => None,
    }
}
