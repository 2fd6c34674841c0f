//! Whether a new generation has proven itself, from its counts alone.

use chimera_store::{GenerationId, SwapId};

use super::SlotName;
use crate::config;

/// One failure in three calls says little: the budget is that of so many calls at least.
const CALLS_MIN: u64 = 20;
const MILLION: u128 = 1_000_000;

/// A generation that is watched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probation {
    /// Which.
    pub generation: GenerationId,
    /// The swap that brought it.
    pub swap: Option<SwapId>,
    /// When it ends at the latest, ms since the Unix epoch.
    pub until_ms: u64,
    /// It is not looked at before, ms since the Unix epoch.
    pub quiet_until_ms: u64,
}

/// What the counts say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Too early to tell.
    Watching,
    /// It has proven itself, for this reason.
    Proven(String),
    /// It fails too often.
    Failed(String),
}

/// Judges by calls and failures since it took over. One settlement that fails is too many:
/// nobody is paid meanwhile.
pub(super) fn judge(
    slot: SlotName,
    probation: &Probation,
    (calls, failures): (u64, u64),
    settings: &config::Swap,
    now_ms: u64,
) -> Verdict {
    let counted = u128::from(calls.max(CALLS_MIN));
    let allowed = match slot {
        SlotName::Payout => 0,
        SlotName::Auth | SlotName::Difficulty => {
            counted * u128::from(settings.error_budget_ppm) / MILLION
        }
    };
    if u128::from(failures) > allowed {
        return Verdict::Failed(format!("{failures} of {calls} calls failed"));
    }
    // A payout scheme that was never asked has proven nothing: blocks ripen for hours.
    if now_ms >= probation.until_ms && (slot != SlotName::Payout || calls > 0) {
        return Verdict::Proven(format!("{calls} calls, {failures} failed, its time is over"));
    }
    if calls >= settings.probation_calls {
        return Verdict::Proven(format!("{calls} calls, {failures} failed"));
    }
    Verdict::Watching
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_generation_is_watched_for_a_time_or_a_number_of_calls() {
        let settings = config::Swap {
            shadow: Duration::ZERO,
            canary: Duration::ZERO,
            canary_ppm: 0,
            probation: Duration::from_secs(1),
            probation_calls: 1_000,
            error_budget_ppm: 100_000,
            notice: Duration::ZERO,
            watch: false,
        };
        let probation = Probation {
            generation: GenerationId(7),
            swap: None,
            until_ms: 2_000,
            quiet_until_ms: 0,
        };
        use SlotName::{Auth, Difficulty, Payout};
        for (slot, calls, failures, now_ms, expected) in [
            (Payout, 0, 0, 1_000, "watching"),
            (Payout, 3, 0, 2_000, "proven"),
            (Payout, 0, 0, 2_000, "watching"),
            (Payout, 50, 1, 1_000, "failed"),
            (Payout, 1_000, 1, 2_000, "failed"),
            (Auth, 1, 1, 1_000, "watching"),
            (Auth, 2, 2, 1_000, "watching"),
            (Auth, 3, 3, 1_000, "failed"),
            (Auth, 100, 10, 1_000, "watching"),
            (Auth, 100, 11, 1_000, "failed"),
            (Difficulty, 999, 99, 1_000, "watching"),
            (Difficulty, 1_000, 100, 1_000, "proven"),
            (Difficulty, 0, 0, 2_001, "proven"),
        ] {
            let verdict = judge(slot, &probation, (calls, failures), &settings, now_ms);
            let found = match verdict {
                Verdict::Watching => "watching",
                Verdict::Proven(_) => "proven",
                Verdict::Failed(_) => "failed",
            };
            assert_eq!(found, expected, "{slot} {failures}/{calls} at {now_ms}");
        }
    }
}
