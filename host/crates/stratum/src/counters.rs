//! What a session has answered, for metrics and the API.

use chimera_work::Reject;
use serde::{Deserialize, Serialize};

use crate::{Fault, Refusal};

/// Replies by outcome since the connection began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Shares answered `true`: each is durable.
    pub accepted: u64,
    /// Shares answered `true` that earn nothing: below their job's difficulty, but not below a
    /// lower one told since.
    pub uncredited: u64,
    /// Shares of a job that is over or forgotten (code 21).
    pub stale: u64,
    /// Shares sent twice (code 22).
    pub duplicate: u64,
    /// Shares that missed their target (code 23).
    pub low_difficulty: u64,
    /// Shares that do not fit their job: lengths, times, version bits, too many.
    pub invalid: u64,
    /// Checked shares the pool failed to make durable.
    pub not_stored: u64,
    /// Requests refused for another reason than the share in them.
    pub faults: u64,
    /// What the refusals above weigh in the account of misbehaviour: see [`Refusal::score`].
    pub points: u64,
}

impl Counters {
    pub(crate) fn refused(&mut self, refusal: Refusal) {
        self.points += u64::from(refusal.score());
        *match refusal {
            Refusal::Share(Reject::UnknownJob | Reject::Stale) => &mut self.stale,
            Refusal::Share(Reject::Duplicate) => &mut self.duplicate,
            Refusal::Share(Reject::LowDifficulty) => &mut self.low_difficulty,
            Refusal::Share(_) => &mut self.invalid,
            Refusal::Request(Fault::NotStored) => &mut self.not_stored,
            Refusal::Request(_) => &mut self.faults,
        } += 1;
    }
}
