//! How fast a client takes what is written to it: whoever takes nothing for too long, or next to nothing, is given up. Knows
//! no connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// The slowest client whose connection is kept while more waits for it, in bytes a second.
const SLOWEST: usize = 1024;

/// How fast a client takes what is written to it.
#[derive(Debug)]
pub(super) struct Pace {
    patience: Duration,
    /// Ends when the client has taken too little for too long; none while nothing waits for it.
    stalled: Option<Pin<Box<Sleep>>>,
    /// What it has taken since then, in bytes.
    taken: usize,
}

impl Pace {
    /// A client to whom nothing was written yet.
    pub(super) const fn new(patience: Duration) -> Self {
        Self {
            patience,
            stalled: None,
            taken: 0,
        }
    }

    /// A write of so many bytes that was tried: an error when the client has been taking too little for too long.
    pub(super) fn progress(
        &mut self,
        context: &mut Context<'_>,
        bytes: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.taken += written.as_ref().copied().unwrap_or(0);
            let enough = SLOWEST * usize::try_from(self.patience.as_secs()).unwrap_or(usize::MAX);
            if written.as_ref().is_ok_and(|written| *written == bytes) || self.taken >= enough {
                self.stalled = None;
            }
            return Poll::Ready(written);
        }
        let patience = self.patience;
        if self.stalled.is_none() {
            self.taken = 0;
        }
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::time::advance;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(75);
    const ALL: usize = 1 << 20;

    /// The client takes so many bytes every second, of far more that wait; for how many seconds it is waited for.
    async fn kept(each_second: usize) -> Option<u64> {
        let mut pace = Pace::new(PATIENCE);
        let mut context = Context::from_waker(Waker::noop());
        for second in 0..1000 {
            if pace.progress(&mut context, ALL, Poll::Pending).is_ready() {
                return Some(second);
            }
            advance(Duration::from_secs(1)).await;
            if each_second > 0 {
                let written = Poll::Ready(Ok(each_second));
                assert!(pace.progress(&mut context, ALL, written).is_ready());
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_or_trickles_is_given_up() {
        for each_second in [0, 1, SLOWEST / 2] {
            let kept = kept(each_second).await;
            assert!(
                kept.is_some_and(|kept| kept <= PATIENCE.as_secs() + 1),
                "{each_second}: {kept:?}"
            );
        }
        assert_eq!(kept(2 * SLOWEST).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_for_which_nothing_waits_has_all_the_time() {
        let mut pace = Pace::new(PATIENCE);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..10 {
            assert!(pace.progress(&mut context, 10, Poll::Pending).is_pending());
            advance(PATIENCE / 2).await;
            assert!(
                pace.progress(&mut context, 10, Poll::Ready(Ok(10)))
                    .is_ready()
            );
            advance(10 * PATIENCE).await;
        }
    }
}
