//! Arithmetic every strategy that aims at a share rate needs: what was found, what was to be
//! expected, whether the difference is luck, and which difficulty would be right. Integers
//! only, one 64-bit division per row and tick, 128 bits only for a change of what is huge.

/// Fixed point of share counts: so many parts are one share.
pub const SHARE: u64 = 128;

/// Counts stop here, so that their squares fit in 64 bits: 16 million shares in one window.
const PARTS_MAX: u64 = 1 << 31;

/// Times stop here, so that products fit in 64 bits: 37 hours without a change.
const MS_MAX: u64 = 1 << 27;

/// What the host allows a session, in units of 2^-32.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The lowest difficulty.
    pub minimum: u64,
    /// The highest difficulty.
    pub maximum: u64,
}

impl Bounds {
    /// The nearest difficulty allowed; never 0, which would mean "keep".
    pub fn clamp(self, difficulty: u64) -> u64 {
        difficulty.min(self.maximum).max(self.minimum).max(1)
    }
}

/// Accepted difficulty in units of 2^-32, and over how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Sum of the difficulties of the accepted shares.
    pub difficulty: u64,
    /// Milliseconds.
    pub ms: u64,
}

impl Sums {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            difficulty: self.difficulty.saturating_add(other.difficulty),
            ms: (self.ms + other.ms).min(MS_MAX),
        }
    }

    /// The same rate with less weight.
    #[must_use]
    pub fn divided(self, by: u64) -> Self {
        Self { difficulty: self.difficulty / by, ms: self.ms / by }
    }

    /// How many shares of difficulty `current` this is worth, in parts of a share.
    pub fn shares(self, current: u64) -> u64 {
        let parts = if self.difficulty < u64::MAX / SHARE {
            self.difficulty * SHARE / current.max(1)
        } else {
            self.difficulty / (current / SHARE).max(1)
        };
        parts.min(PARTS_MAX)
    }
}

/// A share rate to aim at.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    shares: u64,
    per_ms: u64,
    /// Parts of a share per millisecond, in units of 2^-32: spares a division per row.
    parts_per_ms: u64,
}

impl Pace {
    /// So many shares in so many milliseconds: at most 100 per second.
    pub fn new(shares: u64, per_ms: u64) -> Self {
        let per_ms = per_ms.max(1);
        let shares = shares.clamp(1, per_ms.div_ceil(10));
        // At most 12.8 * 2^32, so that the product with MS_MAX fits.
        Self { shares, per_ms, parts_per_ms: ((shares * SHARE) << 32) / per_ms }
    }

    /// Shares to be expected in a time, in parts of a share.
    pub fn expected(&self, ms: u64) -> u64 {
        ((ms.min(MS_MAX) * self.parts_per_ms) >> 32).min(PARTS_MAX)
    }

    /// The difficulty at which what was measured would have been exactly this pace. A silent
    /// session counts as one that found a share of `current` just now: it may still be there.
    /// At most a factor of `step` away.
    pub fn ideal(&self, measured: Sums, current: u64, step: u64) -> u64 {
        let (difficulty, shares) =
            (measured.difficulty.max(current), measured.ms.saturating_mul(self.shares));
        let ideal = if difficulty.leading_zeros() + self.per_ms.leading_zeros() >= 64 {
            difficulty * self.per_ms / shares.max(1)
        } else {
            let wide = u128::from(difficulty) * u128::from(self.per_ms) / u128::from(shares.max(1));
            u64::try_from(wide).unwrap_or(u64::MAX)
        };
        ideal.clamp(current / step, current.saturating_mul(step))
    }
}

/// Whether two counts differ by more than so many (squared) standard deviations of the
/// expected one. Poisson: the variance is the expected count, here at least one share.
pub fn beyond_luck(found: u64, expected: u64, sigmas_squared: u64) -> bool {
    let off = found.abs_diff(expected);
    off * off > sigmas_squared * SHARE * expected.max(SHARE)
}

/// Whether two counts differ by more than so many percent of the expected one.
pub fn beyond_percent(found: u64, expected: u64, percent: u64) -> bool {
    found.abs_diff(expected) * 100 > expected * percent
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: u64 = 1 << 32;

    #[test]
    fn shares_are_counted_in_parts() {
        for (difficulty, current, parts) in [
            (0, ONE, 0),
            (ONE, ONE, SHARE),
            (ONE / 2, ONE, SHARE / 2),
            (10 * ONE, ONE, 10 * SHARE),
            (4294, 4294, SHARE),
            (3, 1, 3 * SHARE),
            (u64::MAX, u64::MAX, SHARE),
            (u64::MAX, u64::MAX / 2, 2 * SHARE),
            (u64::MAX, 1, PARTS_MAX),
            (ONE, 0, PARTS_MAX),
        ] {
            let sums = Sums { difficulty, ms: 0 };
            assert_eq!(sums.shares(current), parts, "{difficulty} at {current}");
        }
    }

    #[test]
    fn expectation_and_ideal_agree() {
        for (shares, per_ms) in
            [(1, 1000), (20, 60_000), (7, 60_000), (1, 3_600_000), (6000, 60_000)]
        {
            let pace = Pace::new(shares, per_ms);
            for ms in [per_ms, 3 * per_ms, 30 * per_ms] {
                let exact = ms * shares * SHARE / per_ms;
                assert!(pace.expected(ms).abs_diff(exact) <= exact / 1000 + 1, "{shares}/{per_ms}");
                // Who found exactly what was to be expected keeps the difficulty.
                let measured = Sums { difficulty: ms / per_ms * shares * ONE, ms };
                assert_eq!(pace.ideal(measured, ONE, 64), ONE);
            }
        }
        assert!(Pace::new(20, 60_000).expected(u64::MAX) <= PARTS_MAX);
    }

    #[test]
    fn a_change_is_bounded_by_the_step() {
        let pace = Pace::new(20, 60_000);
        let sums = |shares: u64, ms| Sums { difficulty: shares * ONE, ms };
        for (measured, ideal) in [
            (sums(20, 60_000), ONE),
            (sums(40, 60_000), 2 * ONE),
            (sums(1 << 20, 1000), 64 * ONE),
            (sums(0, 36_000), ONE / 12),
            (sums(0, 3_600_000), ONE / 64),
            (sums(1, 0), 64 * ONE),
        ] {
            assert_eq!(pace.ideal(measured, ONE, 64), ideal, "{measured:?}");
        }
    }
}
