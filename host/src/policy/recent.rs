//! A map that forgets what was used longest ago, so that strangers cannot fill the memory.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// At most so many values; the one used longest ago makes room.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    most: usize,
    uses: u64,
    values: HashMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
}

impl<K: Hash + Eq + Clone, V> Recent<K, V> {
    /// Empty, for `most` values (at least one).
    pub(crate) fn new(most: usize) -> Self {
        let most = most.max(1);
        Self { most, uses: 0, values: HashMap::new(), order: BTreeMap::new() }
    }

    /// A value, which is thereby used.
    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        let (used, value) = self.values.get_mut(key)?;
        let key = self.order.remove(used)?;
        self.uses += 1;
        *used = self.uses;
        self.order.insert(self.uses, key);
        Some(value)
    }

    /// A value, without using it.
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        self.values.get(key).map(|(_, value)| value)
    }

    /// All values, in no order, without using them.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.values.values().map(|(_, value)| value)
    }

    /// Keeps a value; gives the key of the one that had to make room.
    pub(crate) fn put(&mut self, key: K, value: V) -> Option<K> {
        self.uses += 1;
        if let Some((used, _)) = self.values.insert(key.clone(), (self.uses, value)) {
            self.order.remove(&used);
        }
        self.order.insert(self.uses, key);
        if self.values.len() <= self.most {
            return None;
        }
        let (_, oldest) = self.order.pop_first()?;
        self.values.remove(&oldest);
        Some(oldest)
    }

    /// How many are kept.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Forgets a value.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let (used, value) = self.values.remove(key)?;
        self.order.remove(&used);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let mut recent = Recent::new(2);
        recent.put("a", 1);
        recent.put("b", 2);
        assert_eq!(recent.get(&"a"), Some(&1));
        recent.put("c", 3);
        assert_eq!(recent.get(&"a"), Some(&1));
        assert_eq!(recent.get(&"b"), None);
        recent.put("a", 4);
        recent.put("d", 5);
        assert_eq!(recent.get(&"a"), Some(&4));
        assert_eq!(recent.get(&"c"), None);
        recent.remove(&"a");
        recent.remove(&"a");
        assert_eq!(recent.get(&"a"), None);
        assert_eq!(recent.get(&"d"), Some(&5));
        assert_eq!((recent.values.len(), recent.order.len()), (1, 1));
    }
}
