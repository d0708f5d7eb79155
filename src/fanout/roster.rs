//! The sessions that have to do with something, by their ids: any number of them may come, go or be walked through, and
//! who goes costs no more than one look-up. Knows nothing of sessions.

use std::hash::Hash;

use indexmap::IndexMap;

/// See the module's documentation. In no order.
#[derive(Debug)]
pub(super) struct Roster<K, V>(IndexMap<K, V>);

impl<K, V> Default for Roster<K, V> {
    fn default() -> Self {
        Self(IndexMap::new())
    }
}

impl<K: Eq + Hash, V> Roster<K, V> {
    pub(super) fn add(&mut self, id: K, value: V) {
        self.0.insert(id, value);
    }

    /// Removes an entry and returns it.
    pub(super) fn remove(&mut self, id: &K) -> Option<V> {
        // The last takes its place: nobody else moves.
        self.0.swap_remove(id)
    }

    pub(super) fn get(&self, id: &K) -> Option<&V> {
        self.0.get(id)
    }

    /// Every value, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &V> {
        self.0.values()
    }

    /// Walks through all of them, and keeps those of which this is true.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut V) -> bool) {
        self.0.retain(|_, value| keep(value));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hash::Hasher;

    use super::*;

    thread_local! {
        /// How often ids were compared or hashed.
        static WORK: Cell<usize> = const { Cell::new(0) };
    }

    fn count() {
        WORK.set(WORK.get() + 1);
    }

    #[derive(Eq)]
    struct Counted(u32);

    impl PartialEq for Counted {
        fn eq(&self, other: &Self) -> bool {
            count();
            self.0 == other.0
        }
    }

    impl Hash for Counted {
        fn hash<H: Hasher>(&self, state: &mut H) {
            count();
            self.0.hash(state);
        }
    }

    /// The work of closing so many, the first to come first: for a list the best case, and the newest first its worst.
    fn work_of_leaving(count: u32, order: impl Iterator<Item = u32>) -> usize {
        let mut roster = Roster::default();
        for id in 0..count {
            roster.add(Counted(id), ());
        }
        WORK.set(0);
        for id in order {
            assert!(roster.remove(&Counted(id)).is_some());
        }
        assert!(roster.is_empty());
        WORK.get()
    }

    #[test]
    fn who_goes_costs_the_same_among_few_and_among_many() {
        for count in [100, 4_000] {
            // One hash, one comparison, and once in a while a look at another that hashes alike.
            let most = 4 * count as usize;
            assert!(work_of_leaving(count, 0..count) <= most);
            assert!(work_of_leaving(count, (0..count).rev()) <= most);
        }
    }
}
