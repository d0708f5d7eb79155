//! How long to wait between attempts. Knows nothing of what is attempted.

use std::time::Duration;

use super::Entropy;

/// Waits that double from attempt to attempt, with jitter, so that a fleet does not come back in step.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Begins with a wait of at most `first`; none is longer than `longest`.
    pub const fn between(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    /// Something worked: begin again.
    pub const fn reset(&mut self) {
        self.next = self.first;
    }

    /// The next wait: between half and all of a step, which doubles until it is the longest.
    pub fn step(&mut self, entropy: &Entropy) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.longest);
        step / 2 + entropy.jitter(step / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_begin_again_after_a_reset() {
        let (first, longest) = (Duration::from_millis(50), Duration::from_millis(500));
        let entropy = Entropy::seeded(7);
        let mut backoff = Backoff::between(first, longest);
        assert!(backoff.step(&entropy) <= first);
        for _ in 0..10 {
            assert!(backoff.step(&entropy) <= longest);
        }
        assert!(backoff.step(&entropy) >= longest / 2);
        backoff.reset();
        assert!(backoff.step(&entropy) <= first);
    }
}
