//! Sessions that come: at a steady rate (a ramp), or all at once (a storm, as after a lost gateway). Each comes back until
//! it is live, as clients do, and then reads what has waited for it; its time counts from when it should have come. CPU is
//! what is used beyond the rate before, until a while after the last.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rand::Rng;
use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::super::cost::{Baseline, Meter};
use super::super::figures::Figures;
use super::scene::{Scene, Speaks, figure, open};
use crate::Invalid;
use crate::accounts::User;
use crate::client::{Connection, Dial, Incoming, Protocol};
use crate::measure::Latencies;

/// Within this time a session that has not become live counts as refused.
const PATIENCE: Duration = Duration::from_secs(60);
/// Connections from one source address; one has about 28,000 ports.
const PER_SOURCE: usize = 5_000;
/// How long the servers are watched before the first comes.
const BEFORE: Duration = Duration::from_secs(6);
/// After the last: time for what comes with it, and for what came that should not have.
const REST: Duration = Duration::from_secs(3);

/// How they come.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Connect {
    /// How many.
    sessions: usize,
    /// Of how many users.
    pub(super) users: usize,
    /// How many a second; all at once without.
    per_second: Option<f64>,
    /// Rooms that each user is a member of.
    #[serde(default)]
    pub(super) conversations: usize,
    /// Members of each room; all users without.
    pub(super) members: Option<usize>,
    /// Messages that wait for each user, spread over the rooms.
    #[serde(default)]
    pub(super) waiting: usize,
    #[serde(default)]
    pub(super) protocol: Speaks,
}

/// What a session was told since it came.
#[derive(Debug, Default)]
struct Told {
    messages: usize,
    /// How often it had to try again.
    retries: usize,
    /// Why, at first.
    refusal: Option<String>,
    /// Whatever else was not an answer.
    others: usize,
    out_of_order: usize,
    latest: HashMap<String, u64>,
}

impl Told {
    fn take(&mut self, incoming: &Incoming<'_>) {
        match incoming {
            Incoming::Message(message) => {
                self.messages += 1;
                self.arrived(&message.conversation_id, message.seq.unwrap_or_default());
            }
            Incoming::Changed(change, _) => self.arrived(&change.conversation_id, change.seq),
            Incoming::Other => self.others += 1,
            _ => {}
        }
    }

    fn arrived(&mut self, conversation: &str, seq: u64) {
        let latest = self.latest.entry(conversation.to_owned()).or_default();
        self.out_of_order += usize::from(seq <= *latest);
        *latest = seq.max(*latest);
    }
}

impl Connect {
    pub(super) async fn run(&self, scene: Scene<'_>) -> Result<Figures, Invalid> {
        let baseline = Baseline::over(scene.processes, BEFORE).await?;
        let (meter, begin) = (Meter::start(scene.processes)?, Instant::now());
        let (arrivals, mut arrived) = mpsc::channel(self.sessions.max(1));
        let (over, _) = watch::channel(false);
        let mut sessions = JoinSet::new();
        for index in 0..self.sessions {
            let session = self.session(scene, index, begin);
            sessions.spawn(session.live(arrivals.clone(), over.subscribe()));
        }
        drop(arrivals);
        let (mut count, mut latencies) = (0, Latencies::new()?);
        while let Some(latency) = arrived.recv().await {
            latencies.add(latency);
            count += 1;
        }
        let all_live = begin.elapsed();
        sleep(REST).await;
        let (costs, watched) = (meter.costs(1)?, begin.elapsed());
        over.send_replace(true);
        let told: Vec<Told> = sessions.join_all().await.into_iter().flatten().collect();
        explain(&told);
        let (mut figures, times) = (self.judge(&told), latencies.percentiles());
        for cost in costs {
            let micros = baseline.micros_beyond(&cost, watched, count as u64);
            figures.insert(format!("{}MicrosPerJoin", cost.name), micros);
        }
        let all = figures
            .iter()
            .filter(|(name, _)| name.ends_with("MicrosPerJoin"));
        let all = all.map(|(_, micros)| micros).sum();
        figures.insert("allMicrosPerJoin".to_owned(), all);
        let from = begin.duration_since(scene.begin);
        figures.extend([
            ("connectP50Ms".to_owned(), times.p50),
            ("connectP99Ms".to_owned(), times.p99),
            ("allLiveMs".to_owned(), all_live.as_secs_f64() * 1000.0),
            ("connectFromSecond".to_owned(), from.as_secs_f64()),
            (
                "connectToSecond".to_owned(),
                (from + all_live).as_secs_f64(),
            ),
        ]);
        Ok(figures)
    }

    fn session(&self, scene: Scene<'_>, index: usize, begin: Instant) -> Session {
        let mut dial = scene.dial(index);
        let block = u8::try_from(index / PER_SOURCE + 2).unwrap_or(u8::MAX);
        dial.source = Some([127, 0, 0, block].into());
        Session {
            dial,
            protocol: self.protocol.into(),
            user: scene.people[index % scene.people.len()].clone(),
            due: begin + self.delay(index),
            waiting: self.waiting,
        }
    }

    fn delay(&self, index: usize) -> Duration {
        let seconds = self
            .per_second
            .map_or(0.0, |rate| figure(index) / rate.max(0.001));
        Duration::from_secs_f64(seconds)
    }

    fn judge(&self, told: &[Told]) -> Figures {
        let sum = |of: &dyn Fn(&Told) -> usize| figure(told.iter().map(of).sum());
        let waiting = self.waiting;
        let retries = figure(told.iter().map(|told| told.retries).sum());
        Figures::from([
            ("sessionsLive".to_owned(), figure(told.len())),
            (
                "sessionsRefused".to_owned(),
                figure(self.sessions - told.len()),
            ),
            ("connectRetries".to_owned(), retries),
            ("joinMessages".to_owned(), sum(&|told| told.messages)),
            ("joinOtherEvents".to_owned(), sum(&|told| told.others)),
            (
                "joinMessagesMissing".to_owned(),
                sum(&|told| waiting.saturating_sub(told.messages)),
            ),
            (
                "joinMessagesTooMany".to_owned(),
                sum(&|told| told.messages.saturating_sub(waiting)),
            ),
            ("joinOutOfOrder".to_owned(), sum(&|told| told.out_of_order)),
        ])
    }
}

/// One that comes.
struct Session {
    dial: Dial,
    protocol: Protocol,
    user: User,
    /// When it should.
    due: Instant,
    /// How many messages it has to get before it counts as live.
    waiting: usize,
}

impl Session {
    /// Comes, says so with how long it took, and listens until all is over. `None` when it could not come.
    async fn live(
        self,
        arrivals: mpsc::Sender<Duration>,
        mut over: watch::Receiver<bool>,
    ) -> Option<Told> {
        sleep_until(self.due).await;
        let (mut connection, mut told) = timeout(PATIENCE, self.come()).await.ok()?;
        arrivals.send(self.due.elapsed()).await.ok()?;
        drop(arrivals);
        let mut take = |incoming: &Incoming<'_>, _: &str| told.take(incoming);
        loop {
            tokio::select! {
                heard = connection.hear(&mut take) => heard.ok()?,
                _ = over.changed() => break,
            }
        }
        Some(told)
    }

    async fn come(&self) -> (Connection, Told) {
        let (mut retries, mut refusal) = (0, None);
        loop {
            let mut told = Told::default();
            let early = |incoming: &Incoming<'_>| told.take(incoming);
            let reason = match open(&self.dial, self.protocol, &self.user, early).await {
                Ok(mut connection) => {
                    if self.catch_up(&mut connection, &mut told).await {
                        (told.retries, told.refusal) = (retries, refusal);
                        return (connection, told);
                    }
                    "it ended before everything had come".to_owned()
                }
                Err(error) => format!("{error:?}"),
            };
            refusal.get_or_insert(reason);
            retries += 1;
            let pause = rand::rng().random_range(200..2000);
            sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Reads what has waited. False when the connection ended before all of it was there.
    async fn catch_up(&self, connection: &mut Connection, told: &mut Told) -> bool {
        while told.messages < self.waiting {
            let mut take = |incoming: &Incoming<'_>, _: &str| told.take(incoming);
            if connection.hear(&mut take).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// Says why some had to try again.
fn explain(told: &[Told]) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for refusal in told.iter().filter_map(|told| told.refusal.as_deref()) {
        *counts.entry(refusal).or_default() += 1;
    }
    for (refusal, count) in counts {
        eprintln!("  {count} had to try again: {refusal}");
    }
}
