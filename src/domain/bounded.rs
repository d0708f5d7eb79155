//! Maps that remember at most so many. Knows nothing of what.

use std::collections::HashMap;
use std::hash::Hash;

/// Makes room for `key` in a map of at most `most` entries: when it is full, everything that is of no use any more is
/// forgotten. Returns whether there is room now; what else to give up is for the caller to say.
pub fn make_room<K: Eq + Hash, V>(
    map: &mut HashMap<K, V>,
    most: usize,
    key: &K,
    is_of_use: impl Fn(&V) -> bool,
) -> bool {
    if map.len() >= most && !map.contains_key(key) {
        map.retain(|_, value| is_of_use(value));
        return map.len() < most;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_map_forgets_what_is_of_no_use() {
        let mut map = HashMap::from([(1, "old"), (2, "young"), (3, "old")]);
        let is_young = |value: &&str| *value == "young";
        assert!(make_room(&mut map, 4, &4, is_young));
        assert!(make_room(&mut map, 3, &1, is_young));
        assert_eq!(map.len(), 3);
        assert!(make_room(&mut map, 3, &4, is_young));
        assert_eq!(map, HashMap::from([(2, "young")]));
        assert!(!make_room(&mut map, 1, &4, is_young));
    }
}
