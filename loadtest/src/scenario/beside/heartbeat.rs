//! What presence costs Redis and its gateway while nobody comes or goes: with few users on one gateway, and with many. A
//! user here has one session. Knows no command of presence; counts all that Redis is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;
use testbed::servers::{Reply, ask};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::super::cost::Baseline;
use super::super::figures::Figures;
use super::super::idle::{IdleOptions, Speaks as Protocol, connect, hold};
use super::people::users;
use super::scene::{Scene, figure};
use crate::Invalid;

/// After the last who came: time for what comes with it.
const REST: Duration = Duration::from_secs(5);
/// Commands that are asked less often than this, a second, are not told one by one.
const RARE: f64 = 0.05;

/// How many, and for how long.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Heartbeat {
    few: usize,
    /// How long each number is watched. Whatever is done user by user is seen only when that is as long as it is put off.
    few_seconds: u64,
    many: usize,
    many_seconds: u64,
}

impl Heartbeat {
    pub(super) async fn run(&self, scene: Scene<'_>) -> Result<Figures, Invalid> {
        let people = users(scene, "heartbeat", self.many).await?;
        let (few, rest) = people.split_at(self.few.min(people.len()));
        let (mut held, lost) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
        let mut figures = Figures::new();
        let mut live = 0;
        let phases = [
            ("Few", few, self.few_seconds),
            ("Many", rest, self.many_seconds),
        ];
        for (number, comers, seconds) in phases {
            for connection in connect(&options(scene, comers.len()), comers).await {
                held.spawn(hold(connection, Arc::clone(&lost)));
                live += 1;
            }
            sleep(REST).await;
            figures.extend(watch(scene, number, Duration::from_secs(seconds)).await?);
        }
        let ratio = |name: &str| {
            let of = |number: &str| figures.get(&format!("{name}{number}")).copied();
            Some(of("Many")? / of("Few")?.max(f64::MIN_POSITIVE))
        };
        let ratio = ratio("redisCommandsPerSecond").unwrap_or_default();
        let lost = lost.load(Ordering::Relaxed);
        figures.extend([
            ("redisCommandsRatio".to_owned(), ratio),
            ("sessionsRefused".to_owned(), figure(self.many - live)),
            (
                "sessionsLost".to_owned(),
                figure(usize::try_from(lost).unwrap_or(usize::MAX)),
            ),
        ]);
        Ok(figures)
    }
}

/// Commands and CPU, a second, over the scenario's time.
async fn watch(scene: Scene<'_>, number: &str, time: Duration) -> Result<Figures, Invalid> {
    let (before, begin) = (calls(scene.redis)?, Instant::now());
    let used = Baseline::over(scene.processes, time).await?;
    let (after, seconds) = (calls(scene.redis)?, begin.elapsed().as_secs_f64());
    let micros = used.rates().map(|(name, rate)| {
        let name = format!("{name}MicrosPerSecond{number}");
        (name, rate * 1e6)
    });
    let mut figures: Figures = micros.collect();
    let mut all = 0.0;
    for command in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let of = |counts: &BTreeMap<String, f64>| counts.get(command).copied();
        let rate = (of(&after).unwrap_or_default() - of(&before).unwrap_or_default()) / seconds;
        all += rate;
        if rate >= RARE {
            figures.insert(format!("redis-{command}-perSecond{number}"), rate);
        }
    }
    figures.insert(format!("redisCommandsPerSecond{number}"), all);
    Ok(figures)
}
/// One session each, spread over many source addresses.
fn options(scene: Scene<'_>, sessions: usize) -> IdleOptions {
    IdleOptions {
        gateways: scene.gateways.clone(),
        sessions,
        users: sessions,
        seconds: 0,
        protocol: Protocol::Ws,
        pids: Vec::new(),
        json: None,
    }
}

/// How often each command was called, our own question aside.
fn calls(redis: u16) -> Result<BTreeMap<String, f64>, Invalid> {
    match ask(redis, &["INFO", "commandstats"])? {
        Reply::Text(info) => Ok(read_calls(&info)),
        other => Err(Invalid(format!("redis-server: {other:?}"))),
    }
}

fn read_calls(info: &str) -> BTreeMap<String, f64> {
    let calls = info.lines().filter_map(|line| {
        let (command, counts) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let (calls, _) = counts.split_once(',')?;
        Some((command.to_owned(), calls.parse().ok()?))
    });
    calls.filter(|(command, _)| command != "info").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_command_by_command() {
        let info = "# Commandstats\r\ncmdstat_pexpire:calls=7,usec=9,usec_per_call=1.3\r\ncmdstat_info:calls=2,usec=1\r\n";
        assert_eq!(
            read_calls(info),
            BTreeMap::from([("pexpire".to_owned(), 7.0)])
        );
    }
}
