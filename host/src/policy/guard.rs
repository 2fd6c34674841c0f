//! The circuit breaker of a slot. What another component did says nothing about the one that
//! follows it: with each a new breaker begins.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::breaker::{Breaker, Patience};
use super::{Filled, Slot};

/// A breaker over whatever is in force.
pub(super) struct Guard<T> {
    patience: Patience,
    watched: Mutex<(Weak<Filled<T>>, Breaker)>,
}

impl<T> Guard<T> {
    /// Closed.
    pub(super) fn new(patience: Patience) -> Self {
        Self { patience, watched: Mutex::new((Weak::new(), Breaker::new(patience))) }
    }

    /// Whether a component in force may be called now; the outcome must be told.
    pub(super) fn may_call(&self, filled: &Arc<Filled<T>>, now_ms: u64) -> bool {
        let mut watched = self.watched();
        if !is(&watched.0, filled) {
            *watched = (Arc::downgrade(filled), Breaker::new(self.patience));
        }
        watched.1.may_call(now_ms)
    }

    /// It answered.
    pub(super) fn succeeded(&self, filled: &Arc<Filled<T>>) {
        let mut watched = self.watched();
        if is(&watched.0, filled) {
            watched.1.succeeded();
        }
    }

    /// It failed. Says how it stands now, unless another is in force meanwhile.
    pub(super) fn failed(&self, filled: &Arc<Filled<T>>, now_ms: u64) -> Option<Breaker> {
        let mut watched = self.watched();
        is(&watched.0, filled).then(|| {
            watched.1.failed(now_ms);
            watched.1.clone()
        })
    }

    /// How the one in force stands.
    pub(super) fn breaker(&self, slot: &Slot<T>) -> Breaker {
        let watched = self.watched();
        if is(&watched.0, &slot.active()) { watched.1.clone() } else { Breaker::new(self.patience) }
    }

    fn watched(&self) -> MutexGuard<'_, (Weak<Filled<T>>, Breaker)> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is<T>(watched: &Weak<Filled<T>>, filled: &Arc<Filled<T>>) -> bool {
    std::ptr::eq(watched.as_ptr(), Arc::as_ptr(filled))
}
