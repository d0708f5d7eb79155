//! How long to wait between attempts. Knows nothing of what is attempted.

use std::time::Duration;

use crate::domain::Entropy;

/// The first wait.
const SHORTEST: Duration = Duration::from_millis(50);

/// The longest wait: part of the 5 s in which a gateway must hear again (P5).
const LONGEST: Duration = Duration::from_millis(500);

/// Exponential waits with jitter, so that a fleet does not come back in step.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    /// Begins with the shortest wait.
    pub(crate) const fn new() -> Self {
        Self { next: SHORTEST }
    }

    /// Something worked: begin again with the shortest wait.
    pub(crate) const fn reset(&mut self) {
        self.next = SHORTEST;
    }

    /// The next wait: between half and all of the step, which doubles up to the longest.
    pub(crate) fn step(&mut self, entropy: &Entropy) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(LONGEST);
        step / 2 + entropy.jitter(step / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_begin_again_after_a_reset() {
        let entropy = Entropy::seeded(7);
        let mut backoff = Backoff::new();
        assert!(backoff.step(&entropy) <= SHORTEST);
        for _ in 0..10 {
            assert!(backoff.step(&entropy) <= LONGEST);
        }
        assert!(backoff.step(&entropy) >= LONGEST / 2);
        backoff.reset();
        assert!(backoff.step(&entropy) <= SHORTEST);
    }
}
