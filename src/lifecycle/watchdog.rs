//! Notices, from a thread of its own, that a task no longer yields: its thread is lost to all others, and maybe the
//! process with it. Knows neither what tasks do nor what is done about it.
//!
//! Two things are looked at. Work that is named (sessions, requests, the gateway's own tasks) is seen to be in the same
//! turn for too long, and is named. And a task that only sleeps must be woken: that finds whatever else keeps the
//! runtime from its timers and sockets. Looks are counted, not time: a process that was frozen is not blamed for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use super::failure::Failure;
use crate::admin::Readiness;
use crate::logging::served::{Turn, spawn_task, turns};

/// How often the watchdog looks, and how patient it is.
#[derive(Debug, Clone, Copy)]
pub struct WatchdogPace {
    /// Time between two looks.
    pub look: Duration,
    /// After how many looks without a change it says so.
    pub looks: u32,
}

impl Default for WatchdogPace {
    /// Ten seconds in all: a turn takes milliseconds at most, on the most crowded machine.
    fn default() -> Self {
        Self {
            look: Duration::from_secs(1),
            looks: 10,
        }
    }
}

/// Watches the runtime that this is called on, as long as somebody has `readiness`, whose liveness it sets.
///
/// # Errors
/// When there is no thread for it.
pub fn watch(readiness: &Arc<Readiness>, pace: WatchdogPace) -> Result<(), Failure> {
    let beats = Arc::new(AtomicU64::new(0));
    spawn_task("watchdog", beat(Arc::downgrade(&beats), pace.look / 2));
    let readiness = Arc::downgrade(readiness);
    let watching = move || look_on(&readiness, &beats, pace);
    let thread = thread::Builder::new().name("watchdog".to_owned());
    let started = thread.spawn(watching);
    started
        .map(drop)
        .map_err(|error| Failure::Runtime(format!("no thread for the watchdog: {error}")))
}

async fn beat(beats: Weak<AtomicU64>, every: Duration) {
    while let Some(beats) = beats.upgrade() {
        beats.fetch_add(1, Ordering::Relaxed);
        drop(beats);
        tokio::time::sleep(every).await;
    }
}

fn look_on(readiness: &Weak<Readiness>, beats: &AtomicU64, pace: WatchdogPace) {
    let mut watch = Watch::default();
    while let Some(readiness) = readiness.upgrade() {
        watch.look(turns(), beats.load(Ordering::Relaxed));
        let trouble = watch.trouble(pace);
        // First of all: the log may be what does not go on.
        if readiness.liveness().set(trouble.clone()) {
            match trouble {
                Some(trouble) => tracing::error!(trouble, "/livez fails: only a restart helps"),
                None => tracing::warn!("/livez is well again: what did not yield has done so"),
            }
        }
        drop(readiness);
        thread::sleep(pace.look);
    }
}

/// What was seen, and in how many looks since.
#[derive(Debug, Default)]
struct Watch {
    turns: HashMap<(usize, u64), (String, u32)>,
    beat: (u64, u32),
}

impl Watch {
    fn look(&mut self, turns: Vec<Turn>, beats: u64) {
        let mut seen = HashMap::new();
        for Turn { number, whom } in turns {
            let looks = self.turns.get(&number).map_or(0, |(_, looks)| looks + 1);
            let name = whom.field().map(|(name, id)| format!("{name}={id}"));
            let name = name.unwrap_or_else(|| "a task without a name".to_owned());
            seen.insert(number, (name, looks));
        }
        self.turns = seen;
        self.beat = match self.beat {
            (last, looks) if last == beats => (last, looks + 1),
            _ => (beats, 0),
        };
    }

    fn trouble(&self, pace: WatchdogPace) -> Option<String> {
        let stuck = self
            .turns
            .values()
            .filter(|(_, looks)| *looks >= pace.looks);
        let mut names: Vec<&str> = stuck.map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let time = pace.look * pace.looks;
        if !names.is_empty() {
            let names = names.join(", ");
            return Some(format!("{names} has not yielded for {time:?}"));
        }
        let is_deaf = self.beat.1 >= pace.looks;
        is_deaf.then(|| format!("timers and sockets have not been served for {time:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::served::Served;

    const PACE: WatchdogPace = WatchdogPace {
        look: Duration::from_secs(1),
        looks: 3,
    };

    fn turn(number: u64) -> Vec<Turn> {
        let whom = Served::Task("flusher");
        vec![Turn {
            number: (1, number),
            whom,
        }]
    }

    #[test]
    fn the_same_turn_for_too_long_is_named_and_new_ones_are_not() {
        let mut watch = Watch::default();
        for beats in 0..10 {
            watch.look(turn(beats), beats);
            assert_eq!(watch.trouble(PACE), None);
        }
        for beats in 10..13 {
            assert_eq!(watch.trouble(PACE), None);
            watch.look(turn(9), beats);
        }
        let trouble = watch.trouble(PACE).unwrap();
        assert_eq!(trouble, "task=flusher has not yielded for 3s");
        watch.look(turn(10), 13);
        assert_eq!(watch.trouble(PACE), None);
    }

    #[test]
    fn a_runtime_that_wakes_nobody_is_noticed() {
        let mut watch = Watch::default();
        for _ in 0..4 {
            assert_eq!(watch.trouble(PACE), None);
            watch.look(Vec::new(), 7);
        }
        assert!(watch.trouble(PACE).is_some());
        watch.look(Vec::new(), 8);
        assert_eq!(watch.trouble(PACE), None);
    }
}
