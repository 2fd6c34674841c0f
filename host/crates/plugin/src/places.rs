//! Places in a pool of instances: who finds none free waits for one, and nobody is refused.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A number of places.
#[derive(Clone)]
pub(crate) struct Places(Arc<Counter>);

struct Counter {
    free: Mutex<usize>,
    returned: Condvar,
}

/// A place, given back when it is dropped.
pub(crate) struct Place(Arc<Counter>);

impl Places {
    pub(crate) fn new(places: usize) -> Self {
        Self(Arc::new(Counter { free: Mutex::new(places), returned: Condvar::new() }))
    }

    /// Waits for a place.
    pub(crate) fn take(&self) -> Place {
        let mut free = self.0.lock();
        while *free == 0 {
            free = self.0.returned.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Place(Arc::clone(&self.0))
    }
}

impl Counter {
    fn lock(&self) -> MutexGuard<'_, usize> {
        // The number is right whoever panicked.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.lock() += 1;
        self.0.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn no_more_than_there_are_places_are_inside_and_all_get_one() {
        let places = Places::new(3);
        let (inside, served) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    let place = places.take();
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    served.fetch_add(1, Ordering::SeqCst);
                    drop(place);
                });
            }
        });
        assert_eq!(served.into_inner(), 20);
    }
}
