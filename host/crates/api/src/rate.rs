//! Hashrates: exact work over the exact time it was done in.

use chimera_pow::Work;
use chimera_store::Span;
use serde::Serialize;

use crate::snapshot::finite;

/// Work of a while, and the rate it amounts to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Recent {
    /// Where the while begins, ms since the Unix epoch.
    since_ms: u64,
    /// Accepted shares in it.
    shares: u64,
    /// Their expected hashes.
    work: String,
    #[serde(serialize_with = "finite")]
    hashes_per_s: f64,
}

impl Recent {
    pub(crate) fn new(span: &Span, now_ms: u64) -> Self {
        let Span { since_ms, shares, work } = *span;
        let hashes_per_s = hashes_per_s(work, since_ms, now_ms);
        Self { since_ms, shares, work: work.to_string(), hashes_per_s }
    }
}

/// 0 where no time has passed.
pub(crate) fn hashes_per_s(work: Work, since_ms: u64, now_ms: u64) -> f64 {
    let ms = now_ms.saturating_sub(since_ms);
    if ms == 0 { 0.0 } else { work.hashes() as f64 * 1000.0 / ms as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t21_a_rate_is_finite_for_any_work_and_any_time() {
        for (hashes, since_ms, now_ms, expected) in [
            (0, 0, 0, 0.0),
            (1, 5, 5, 0.0),
            (1, 9, 5, 0.0),
            (600_000, 0, 60_000, 10_000.0),
            (u128::MAX, 0, 1, u128::MAX as f64 * 1000.0),
        ] {
            let rate = hashes_per_s(Work::from_hashes(hashes), since_ms, now_ms);
            assert!(rate.is_finite());
            assert_eq!(rate.to_bits(), f64::to_bits(expected));
        }
    }
}
