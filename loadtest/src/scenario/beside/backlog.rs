//! People who were away: each has direct messages waiting, all come back at once, and everything must arrive in order.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use rand::Rng;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::super::cost::{Meter, rate};
use super::super::figures::Figures;
use super::feed::feed;
use super::scene::{Scene, Speaks, figure, micros_per, open};
use crate::Invalid;
use crate::accounts::User;
use crate::client::{Incoming, Target};

/// How long a backlog may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much waits for how many.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Backlog {
    sleepers: usize,
    /// For each.
    messages: usize,
    #[serde(default)]
    protocol: Speaks,
}

/// What one of them got.
#[derive(Debug, Default)]
struct Got {
    numbers: HashSet<usize>,
    highest: usize,
    out_of_order: usize,
}

impl Got {
    fn take(&mut self, incoming: &Incoming<'_>) {
        if let Incoming::Message(message) = incoming
            && let Ok(number) = message.content.parse::<usize>()
            && self.numbers.insert(number)
        {
            self.out_of_order += usize::from(number < self.highest);
            self.highest = self.highest.max(number);
        }
    }
}

impl Backlog {
    pub(super) async fn run(&self, scene: Scene<'_>) -> Result<Figures, Invalid> {
        let run = format!("backlog-{:08x}", rand::rng().random::<u32>());
        let users = scene.accounts().register(&run, self.sleepers + 1).await?;
        let (sender, sleepers) = users
            .split_first()
            .ok_or_else(|| Invalid("nobody".to_owned()))?;
        let messages = (0..self.messages).flat_map(|number| {
            let targets = sleepers.iter().map(|user| Target::User(user.id.clone()));
            targets.map(move |to| (to, number.to_string()))
        });
        feed(scene, sender, messages).await?;
        let (meter, begin) = (Meter::start(scene.processes)?, Instant::now());
        let woken = (0..)
            .zip(sleepers)
            .map(|(index, user)| self.wake(scene, index, user));
        let got: Vec<(Got, Duration)> = join_all(woken).await;
        let time = begin.elapsed();
        let events: usize = got.iter().map(|(got, _)| got.numbers.len()).sum();
        let slowest = got.iter().map(|(_, time)| *time).max().unwrap_or_default();
        let mut figures = micros_per("Event", &meter, events as u64)?;
        let out_of_order = got.iter().map(|(got, _)| got.out_of_order).sum();
        figures.extend([
            ("backlogEvents".to_owned(), figure(events)),
            (
                "backlogLost".to_owned(),
                figure(self.sleepers * self.messages - events),
            ),
            ("backlogOutOfOrder".to_owned(), figure(out_of_order)),
            ("backlogPerSecond".to_owned(), rate(events as u64, time)),
            (
                "backlogSlowestMs".to_owned(),
                slowest.as_secs_f64() * 1000.0,
            ),
        ]);
        Ok(figures)
    }

    async fn wake(&self, scene: Scene<'_>, index: usize, user: &User) -> (Got, Duration) {
        let (begin, mut got) = (Instant::now(), Got::default());
        let early = |incoming: &Incoming<'_>| got.take(incoming);
        let opened = open(&scene.dial(index), self.protocol.into(), user, early).await;
        if let Ok(mut connection) = opened {
            while got.numbers.len() < self.messages {
                let mut take = |incoming: &Incoming<'_>, _: &str| got.take(incoming);
                let heard = timeout_at(begin + PATIENCE, connection.hear(&mut take)).await;
                if !matches!(heard, Ok(Ok(()))) {
                    break;
                }
            }
        }
        (got, begin.elapsed())
    }
}
