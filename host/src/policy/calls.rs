//! How often a component was asked, and how often it failed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counts of one slot since the start.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    calls: AtomicU64,
    failures: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Calls {
    /// A call is made.
    pub(crate) fn made(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// It failed.
    pub(crate) fn failed(&self, error: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_owned());
    }

    /// Calls, failures, and the latest failure.
    pub(crate) fn read(&self) -> (u64, u64, Option<String>) {
        let last_error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (self.calls.load(Ordering::Relaxed), self.failures.load(Ordering::Relaxed), last_error)
    }
}
