//! Slows down what a client sends without asking for anything: control frames, pongs, no-operations, acknowledgements of
//! nothing. Requests have rates of their own. Knows no protocol.

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::throttle::{Meter, Rate, TooFast};

/// How many of these a connection may send in a second, and five times as many at once: clients of good will answer one
/// ping a second at most, and send few of their own. When it is full the connection is not read until there is room:
/// TCP holds its sender back, and nothing is kept.
const PER_SECOND: u32 = 20;

/// One connection's, or one session's over all its transports.
#[derive(Debug, Default)]
pub(crate) struct Brake(Mutex<Meter>);

impl Brake {
    /// Counts one, and waits until it is within the rate.
    pub(crate) async fn slow_down(&self) {
        while let Err(TooFast { retry_after }) = self.take() {
            sleep(retry_after).await;
        }
    }

    fn take(&self) -> Result<(), TooFast> {
        let rate = Rate::per_second(PER_SECOND);
        self.0.lock().take(rate, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_few_pass_at_once_and_a_flood_at_the_rate() {
        let (brake, begun) = (Brake::default(), Instant::now());
        for _ in 0..5 * PER_SECOND {
            brake.slow_down().await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for _ in 0..10 * PER_SECOND {
            brake.slow_down().await;
        }
        assert!(begun.elapsed() >= Duration::from_secs(9));
    }
}
