//! Questions under way: whoever asks the same meanwhile waits for the answer instead.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

type Open<K> = Arc<Mutex<HashMap<K, watch::Receiver<()>>>>;

/// Questions under way.
pub(super) struct Flights<K: Hash + Eq>(Open<K>);

/// What to do about a question.
pub(super) enum Flight<K: Hash + Eq> {
    /// Ask; others wait until this is dropped.
    Lead(Lead<K>),
    /// Somebody asks already.
    Follow(watch::Receiver<()>),
}

/// A question under way, over when dropped.
pub(super) struct Lead<K: Hash + Eq> {
    key: K,
    open: Open<K>,
    /// Its end is the others' signal.
    _over: watch::Sender<()>,
}

impl<K: Hash + Eq> Default for Flights<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Hash + Eq + Clone> Flights<K> {
    /// Begins a question, or joins the one that is under way.
    pub(super) fn join(&self, key: &K) -> Flight<K> {
        let mut open = lock(&self.0);
        if let Some(over) = open.get(key) {
            return Flight::Follow(over.clone());
        }
        let (over, ended) = watch::channel(());
        open.insert(key.clone(), ended);
        Flight::Lead(Lead { key: key.clone(), open: Arc::clone(&self.0), _over: over })
    }
}

impl<K: Hash + Eq> Drop for Lead<K> {
    fn drop(&mut self) {
        lock(&self.open).remove(&self.key);
    }
}

fn lock<K>(
    open: &Mutex<HashMap<K, watch::Receiver<()>>>,
) -> MutexGuard<'_, HashMap<K, watch::Receiver<()>>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asks_the_same_waits_for_the_first() {
        let flights = Flights::default();
        let Flight::Lead(first) = flights.join(&"alice") else { panic!("nobody asked before") };
        let Flight::Follow(mut over) = flights.join(&"alice") else { panic!("one is asking") };
        assert!(matches!(flights.join(&"bob"), Flight::Lead(_)));
        drop(first);
        assert!(over.changed().await.is_err(), "the first one is done");
        assert!(matches!(flights.join(&"alice"), Flight::Lead(_)));
        assert!(lock(&flights.0).is_empty());
    }
}
