//! Whose turn it is: one line for each network, one circle of them for each site, one circle of the sites. Who comes once
//! is next but for as many others as there are, however many one of them has brought. Knows not what waits.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use crate::domain::ClientNetwork;

/// The network that something comes from; none where that is not known.
pub(super) type Whence = Option<ClientNetwork>;

/// What waits, at most so many in all.
#[derive(Debug)]
pub(super) struct Turns<T> {
    sites: Circle<Whence, Circle<Whence, VecDeque<T>>>,
    most: usize,
}

impl<T> Turns<T> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            sites: Circle::default(),
            most,
        }
    }

    /// Takes its place. When all are taken, what stands last in the longest line leaves, if that is longer than its own;
    /// else this does. Whoever leaves is dropped; false when it is this one.
    #[must_use]
    pub(super) fn push(&mut self, from: Whence, item: T) -> bool {
        let site = from.map(ClientNetwork::site);
        if self.sites.count() >= self.most && !self.make_room(site, from) {
            return false;
        }
        self.sites.change(site, |networks| {
            networks.change(from, |line| line.push_back(item))
        });
        true
    }

    /// Takes out what is next.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.sites.next()
    }

    fn make_room(&mut self, site: Whence, from: Whence) -> bool {
        let own = self.sites.get(&site);
        let ours = own.map_or(0, Line::count);
        let mine = own
            .and_then(|networks| networks.get(&from))
            .map_or(0, Line::count);
        let Some(longest) = self.sites.longest() else {
            return false;
        };
        let is_longer = self.sites.get(&longest).map_or(0, Line::count) > ours + 1;
        let site = if is_longer { longest } else { site };
        let Some(networks) = self.sites.get(&site) else {
            return false;
        };
        let Some(network) = networks.longest() else {
            return false;
        };
        let length = networks.get(&network).map_or(0, Line::count);
        if !is_longer && length <= mine + 1 {
            return false;
        }
        self.sites.change(site, |networks| {
            networks.change(network, |line| drop(line.pop_back()));
        });
        true
    }
}

/// Something whose items come one after the other.
trait Line {
    type Item;
    fn count(&self) -> usize;
    fn next(&mut self) -> Option<Self::Item>;
}

impl<T> Line for VecDeque<T> {
    type Item = T;

    fn count(&self) -> usize {
        self.len()
    }

    fn next(&mut self) -> Option<T> {
        self.pop_front()
    }
}

/// Lines that take turns. An empty one is forgotten.
#[derive(Debug)]
struct Circle<K, L> {
    lines: HashMap<K, L>,
    /// The lines in the order of their turns, each once.
    order: VecDeque<K>,
    count: usize,
}

impl<K, L> Default for Circle<K, L> {
    fn default() -> Self {
        Self {
            lines: HashMap::new(),
            order: VecDeque::new(),
            count: 0,
        }
    }
}

impl<K: Eq + Hash + Copy, L: Line + Default> Circle<K, L> {
    fn get(&self, key: &K) -> Option<&L> {
        self.lines.get(key)
    }

    fn longest(&self) -> Option<K> {
        let lines = self.lines.iter();
        lines
            .max_by_key(|(_, line)| line.count())
            .map(|(key, _)| *key)
    }

    /// Changes one line, which stays in the order as long as something is in it.
    fn change(&mut self, key: K, work: impl FnOnce(&mut L)) {
        let line = self.lines.entry(key).or_default();
        let before = line.count();
        work(line);
        let after = line.count();
        self.count = self.count + after - before;
        match (before, after) {
            (0, 1..) => self.order.push_back(key),
            (_, 0) => self.forget(&key),
            _ => {}
        }
    }

    fn forget(&mut self, key: &K) {
        self.lines.remove(key);
        self.order.retain(|other| other != key);
    }
}

impl<K: Eq + Hash + Copy, L: Line + Default> Line for Circle<K, L> {
    type Item = L::Item;

    fn count(&self) -> usize {
        self.count
    }

    fn next(&mut self) -> Option<L::Item> {
        let key = self.order.pop_front()?;
        let line = self.lines.get_mut(&key)?;
        let item = line.next()?;
        self.count -= 1;
        if line.count() == 0 {
            self.lines.remove(&key);
        } else {
            self.order.push_back(key);
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> Whence {
        Some(ClientNetwork::of(address.parse().unwrap()))
    }

    fn all(turns: &mut Turns<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| turns.pop()).collect()
    }

    #[test]
    fn who_comes_once_waits_for_one_of_each_of_the_others() {
        let mut turns = Turns::new(100);
        for item in ["a1", "a2", "a3"] {
            assert!(turns.push(from("192.0.2.1"), item));
        }
        // Another address of the same site shares its turns.
        assert!(turns.push(from("192.0.2.2"), "b1"));
        assert!(turns.push(from("198.51.100.1"), "c1"));
        assert!(turns.push(None, "d1"));
        assert_eq!(all(&mut turns), ["a1", "c1", "d1", "b1", "a2", "a3"]);
        assert!(turns.sites.lines.is_empty() && turns.sites.order.is_empty());
    }

    #[test]
    fn when_all_places_are_taken_the_longest_line_loses_its_last() {
        let mut turns = Turns::new(4);
        for item in ["a1", "a2", "a3", "a4"] {
            assert!(turns.push(from("192.0.2.1"), item));
        }
        assert!(!turns.push(from("192.0.2.1"), "a5"));
        assert!(turns.push(from("198.51.100.1"), "b1"));
        assert!(turns.push(from("192.0.2.2"), "c1"));
        assert!(turns.push(from("198.51.100.1"), "b2"));
        // Each has two now.
        assert!(!turns.push(from("198.51.100.1"), "b3"));
        assert_eq!(all(&mut turns), ["a1", "b1", "c1", "b2"]);
    }

    #[test]
    fn many_addresses_of_one_site_are_one_site() {
        let mut turns = Turns::new(8);
        for number in 0..8 {
            let address = format!("2001:db8:0:{number}::1");
            assert!(turns.push(from(&address), "a"));
        }
        assert!(turns.push(from("198.51.100.1"), "b"));
        assert_eq!(all(&mut turns)[1], "b");
    }
}
