//! How a session did since its difficulty was last looked at: what a difficulty strategy
//! is asked with. Plain integers, difficulties in units of 2^-32 as components see them.

use chimera_pow::Difficulty;
use chimera_work::Reject;
use serde::{Deserialize, Serialize};

/// One row of a difficulty strategy's batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measure {
    /// What the newest job was issued at; 0 before the first job.
    pub current: u64,
    /// The least the session may be given.
    pub minimum: u64,
    /// The most.
    pub maximum: u64,
    /// Shares credited in the window.
    pub accepted: u32,
    /// Shares that came too late.
    pub stale: u32,
    /// Shares refused for any other reason.
    pub rejected: u32,
    /// Sum of the difficulties of the credited shares.
    pub accepted_difficulty: u64,
    /// Length of the window so far.
    pub window_ms: u32,
    /// Age of the connection.
    pub connected_ms: u32,
}

/// The counts behind a [`Measure`].
#[derive(Debug)]
pub(crate) struct ShareRate {
    connected_at_ms: u64,
    window_start_ms: u64,
    accepted: u32,
    stale: u32,
    rejected: u32,
    accepted_difficulty: u64,
}

/// A [`ShareRate`] as data: ages instead of times, because clocks of processes differ.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct RateState {
    connected_ms: u64,
    window_ms: u64,
    accepted: u32,
    stale: u32,
    rejected: u32,
    accepted_difficulty: u64,
}

impl ShareRate {
    pub(crate) const fn new(now_ms: u64) -> Self {
        Self {
            connected_at_ms: now_ms,
            window_start_ms: now_ms,
            accepted: 0,
            stale: 0,
            rejected: 0,
            accepted_difficulty: 0,
        }
    }

    pub(crate) fn accepted(&mut self, difficulty: Difficulty) {
        self.accepted = self.accepted.saturating_add(1);
        self.accepted_difficulty = self.accepted_difficulty.saturating_add(difficulty.to_units());
    }

    pub(crate) fn refused(&mut self, reject: Reject) {
        let count = match reject {
            Reject::Stale | Reject::UnknownJob => &mut self.stale,
            _ => &mut self.rejected,
        };
        *count = count.saturating_add(1);
    }

    /// Begins a new window.
    pub(crate) fn restart(&mut self, now_ms: u64) {
        *self = Self { connected_at_ms: self.connected_at_ms, ..Self::new(now_ms) };
    }

    /// The window so far, as data.
    pub(crate) const fn state(&self, now_ms: u64) -> RateState {
        RateState {
            connected_ms: now_ms.saturating_sub(self.connected_at_ms),
            window_ms: now_ms.saturating_sub(self.window_start_ms),
            accepted: self.accepted,
            stale: self.stale,
            rejected: self.rejected,
            accepted_difficulty: self.accepted_difficulty,
        }
    }

    /// Goes on with the window of another process.
    pub(crate) const fn restore(state: RateState, now_ms: u64) -> Self {
        Self {
            connected_at_ms: now_ms.saturating_sub(state.connected_ms),
            window_start_ms: now_ms.saturating_sub(state.window_ms),
            accepted: state.accepted,
            stale: state.stale,
            rejected: state.rejected,
            accepted_difficulty: state.accepted_difficulty,
        }
    }

    /// The counts, without what the difficulty choice knows.
    pub(crate) fn measure(&self, now_ms: u64) -> Measure {
        let since = |start| u32::try_from(now_ms.saturating_sub(start)).unwrap_or(u32::MAX);
        Measure {
            accepted: self.accepted,
            stale: self.stale,
            rejected: self.rejected,
            accepted_difficulty: self.accepted_difficulty,
            window_ms: since(self.window_start_ms),
            connected_ms: since(self.connected_at_ms),
            ..Measure::default()
        }
    }
}
