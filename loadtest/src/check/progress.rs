//! A live line of how far a run is, for whoever watches. Knows the counters and a terminal.

use std::io::{IsTerminal, Write, stderr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use crate::client::Shared;

/// How often the line changes on a terminal.
const LIVE: Duration = Duration::from_millis(200);
/// How often a line is written elsewhere.
const LOGGED: Duration = Duration::from_secs(5);

/// The line, which ends with this value.
pub(super) struct Progress {
    shared: Arc<Shared>,
    begin: Instant,
    /// Aborted when dropped.
    _shown: JoinSet<()>,
}

impl Progress {
    /// Shows it from now on.
    pub(super) fn show(shared: &Arc<Shared>) -> Self {
        let (shared, begin) = (Arc::clone(shared), Instant::now());
        let mut shown = JoinSet::new();
        let watched = Arc::clone(&shared);
        shown.spawn(async move {
            let is_live = stderr().is_terminal();
            let mut ticks = interval(if is_live { LIVE } else { LOGGED });
            loop {
                ticks.tick().await;
                write(&line(&watched, begin), is_live);
            }
        });
        Self {
            shared,
            begin,
            _shown: shown,
        }
    }
}

impl Drop for Progress {
    /// Leaves how far it came.
    fn drop(&mut self) {
        write(&format!("{}\n", line(&self.shared, self.begin)), true);
    }
}

fn write(line: &str, is_live: bool) {
    // Over the line before; who cannot be told misses nothing that counts.
    let (begin, end) = if is_live {
        ("\r\x1b[K", "")
    } else {
        ("", "\n")
    };
    let _ = write!(stderr(), "{begin}{line}{end}");
}

fn line(shared: &Shared, begin: Instant) -> String {
    let counters = &shared.counters;
    let acknowledged = counters.acknowledged.load(Ordering::Relaxed);
    let outstanding = counters.outstanding.load(Ordering::Relaxed).max(0);
    format!(
        "{:5.1} s   sent {:6}   acknowledged {acknowledged:6}   delivered {:7} of {:7}   connected {:4}",
        begin.elapsed().as_secs_f64(),
        acknowledged + outstanding.unsigned_abs(),
        counters.delivered.load(Ordering::Relaxed),
        counters.expected.load(Ordering::Relaxed),
        counters.connected.load(Ordering::Relaxed),
    )
}
