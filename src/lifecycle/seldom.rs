//! One line a second about what may happen a thousand times. Knows not what it is about.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The least time between two lines of the log.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Seldom(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    said: Option<Instant>,
    times: u64,
}

impl Seldom {
    /// It has happened: how often since the last line, this time included, when it is time for a line.
    pub(super) fn happened(&self) -> Option<u64> {
        let mut state = self.0.lock();
        state.times += 1;
        let now = Instant::now();
        if state.said.is_some_and(|said| now < said + PAUSE) {
            return None;
        }
        state.said = Some(now);
        Some(std::mem::take(&mut state.times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_not_said_is_counted() {
        let seldom = Seldom::default();
        assert_eq!(seldom.happened(), Some(1));
        assert_eq!((seldom.happened(), seldom.happened()), (None, None));
        tokio::time::advance(PAUSE).await;
        assert_eq!(seldom.happened(), Some(3));
    }
}
