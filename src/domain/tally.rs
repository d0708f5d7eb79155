//! How many of something each one holds, never more than a limit. Knows neither what is held nor what is done when
//! there is no more to be had. One who holds nothing takes no memory.

use std::collections::HashMap;
use std::hash::Hash;

/// Counts by key.
#[derive(Debug)]
pub struct Tally<K>(HashMap<K, usize>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Tally<K> {
    /// One more; false, and nothing is counted, when this one holds as many as the limit already.
    #[must_use]
    pub fn add(&mut self, key: K, limit: usize) -> bool {
        let held = self.0.get(&key).copied().unwrap_or_default();
        let is_allowed = held < limit;
        if is_allowed {
            self.0.insert(key, held + 1);
        }
        is_allowed
    }

    /// Counts one less under this key.
    pub fn remove(&mut self, key: &K) {
        if let Some(held) = self.0.get_mut(key) {
            *held -= 1;
            if *held == 0 {
                self.0.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_the_limit_to_themselves_and_nothing_is_kept_of_who_holds_nothing() {
        let mut tally = Tally::default();
        assert!(tally.add('a', 2) && tally.add('a', 2) && tally.add('b', 2));
        assert!(!tally.add('a', 2));
        tally.remove(&'a');
        assert!(tally.add('a', 2));
        tally.remove(&'b');
        // Nobody's is nobody's loss.
        tally.remove(&'b');
        assert_eq!(tally.0.len(), 1);
        // A limit that was lowered refuses, and who has more keeps it.
        assert!(!tally.add('a', 1));
        assert_eq!(tally.0[&'a'], 2);
    }
}
