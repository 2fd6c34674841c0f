//! Counts over all connections since the start.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use chimera_stratum::Counters;

/// Counts over all connections since the start.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Open connections.
    pub connected: AtomicU32,
    /// Open connections with an authorised worker.
    pub authorised: AtomicU32,
    /// See [`Counters::accepted`].
    pub accepted: AtomicU64,
    /// See [`Counters::uncredited`].
    pub uncredited: AtomicU64,
    /// See [`Counters::stale`].
    pub stale: AtomicU64,
    /// See [`Counters::duplicate`].
    pub duplicate: AtomicU64,
    /// See [`Counters::low_difficulty`].
    pub low_difficulty: AtomicU64,
    /// See [`Counters::invalid`].
    pub invalid: AtomicU64,
    /// See [`Counters::not_stored`].
    pub not_stored: AtomicU64,
    /// What became of those who sent what is refused.
    pub conduct: ConductTotals,
}

/// The steps of the ladder, since the start.
#[derive(Debug, Default)]
pub(crate) struct ConductTotals {
    /// Miners told that much of what they send is refused.
    pub warned: AtomicU64,
    /// Connections closed for it.
    pub dropped: AtomicU64,
    /// Addresses banned for it.
    pub banned: AtomicU64,
    /// Connections not let in, because their address was banned.
    pub refused: AtomicU64,
}

impl ConductTotals {
    /// By the word used in the API and in metrics.
    pub(crate) fn by_step(&self) -> BTreeMap<String, u64> {
        [
            ("warned", &self.warned),
            ("dropped", &self.dropped),
            ("banned", &self.banned),
            ("refused", &self.refused),
        ]
        .map(|(step, count)| (step.to_owned(), count.load(Ordering::Relaxed)))
        .into()
    }
}

impl Totals {
    /// Judged submissions by the word used in the API and in metrics.
    pub(crate) fn by_verdict(&self) -> BTreeMap<String, u64> {
        [
            ("accepted", &self.accepted),
            ("uncredited", &self.uncredited),
            ("stale", &self.stale),
            ("duplicate", &self.duplicate),
            ("low-difficulty", &self.low_difficulty),
            ("invalid", &self.invalid),
            ("not-stored", &self.not_stored),
        ]
        .map(|(verdict, count)| (verdict.to_owned(), count.load(Ordering::Relaxed)))
        .into()
    }

    /// A connection's first worker was authorised.
    pub(crate) fn authorised_one_more(&self) {
        self.authorised.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection with an authorised worker has ended.
    pub(crate) fn authorised_one_less(&self) {
        self.authorised.fetch_sub(1, Ordering::Relaxed);
    }

    /// Adds what one connection has counted since `before`.
    pub(crate) fn add(&self, before: &Counters, now: &Counters) {
        let add = |total: &AtomicU64, before: u64, now: u64| {
            if now > before {
                total.fetch_add(now - before, Ordering::Relaxed);
            }
        };
        add(&self.accepted, before.accepted, now.accepted);
        add(&self.uncredited, before.uncredited, now.uncredited);
        add(&self.stale, before.stale, now.stale);
        add(&self.duplicate, before.duplicate, now.duplicate);
        add(&self.low_difficulty, before.low_difficulty, now.low_difficulty);
        add(&self.invalid, before.invalid, now.invalid);
        add(&self.not_stored, before.not_stored, now.not_stored);
    }
}
