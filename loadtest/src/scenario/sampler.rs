//! What the watched processes use, second by second. Knows no load.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::cost::Named;
use crate::measure::{Usage, usage};

const EVERY: Duration = Duration::from_secs(1);
/// A run is no longer than this, in samples.
const LONGEST: usize = 4 * 3600;

/// One second of all watched processes, by name; those of one name are added up.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sample {
    /// When, in seconds from the first sample.
    pub(crate) at: f64,
    pub(crate) processes: BTreeMap<String, Used>,
}

/// What was used in one second.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Used {
    /// Of one core, as a share; 2 is two cores.
    pub(crate) cores: f64,
    /// Resident memory, in bytes.
    pub(crate) resident: u64,
}

/// Samples until it is told to stop.
#[derive(Debug)]
pub(crate) struct Sampler {
    samples: Arc<Mutex<Vec<Sample>>>,
    task: JoinHandle<()>,
}

impl Sampler {
    /// A process that is not there (any more) uses nothing.
    pub(crate) fn start(processes: Vec<Named>) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(sample(processes, Arc::clone(&samples)));
        Self { samples, task }
    }

    pub(crate) fn stop(self) -> Vec<Sample> {
        self.task.abort();
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut samples)
    }
}

async fn sample(processes: Vec<Named>, samples: Arc<Mutex<Vec<Sample>>>) {
    let begin = Instant::now();
    let read = || processes.iter().map(|process| usage(process.pid).ok());
    let mut before: Vec<Option<Usage>> = read().collect();
    let mut last = begin;
    for number in 1..=LONGEST {
        sleep_until(begin + EVERY * u32::try_from(number).unwrap_or(u32::MAX)).await;
        let (now, after) = (Instant::now(), read().collect::<Vec<_>>());
        let mut used: BTreeMap<String, Used> = BTreeMap::new();
        for ((process, before), after) in processes.iter().zip(&before).zip(&after) {
            let entry = used.entry(process.name.clone()).or_default();
            if let (Some(before), Some(after)) = (before, after) {
                let cpu = after.cpu.saturating_sub(before.cpu);
                entry.cores += cpu.as_secs_f64() / now.duration_since(last).as_secs_f64();
                entry.resident += after.resident;
            }
        }
        samples
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Sample {
                at: now.duration_since(begin).as_secs_f64(),
                processes: used,
            });
        (before, last) = (after, now);
    }
}
