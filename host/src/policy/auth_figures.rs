//! What came of logins beside the component's own answers, counted since the start.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// One more.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many.
    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts of one pool.
#[derive(Debug, Default)]
pub(crate) struct AuthFigures {
    /// Answers reused within their time to live.
    pub reused: Count,
    /// Answers that stood in for a component that failed.
    pub stale: Count,
    /// Users refused because nobody could check them.
    pub unknown_refused: Count,
    /// Users put in quarantine for the same reason.
    pub quarantined: Count,
    /// Logins from banned addresses.
    pub banned: Count,
    /// Logins for accounts that have all their sessions.
    pub crowded: Count,
}
