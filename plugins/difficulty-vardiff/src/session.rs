//! What is remembered of one session, and when that is enough to change its difficulty.

use crate::Config;

/// Accepted difficulty, and over how long.
pub(crate) const STATE_WORDS: u32 = 2;

/// What is beyond luck: 5 standard deviations, about one measurement in 300,000. At 3, tested
/// at every tick, a steady session would be moved, wrongly and far, every few hours.
const SIGMAS_SQUARED: u128 = 25;

/// So many expected shares without one are no luck either: e^-12 is 6 in a million.
const SILENT_SHARES: u128 = 12;

/// A session so far above its rate that waiting helps nobody: this many times the shares a
/// whole interval should have.
const FLOOD: u128 = 4;

/// One change is at most this large: what a miner batched up, or a proxy gone for a minute,
/// must not throw a session out of reach.
const STEP: u64 = 64;

/// Old work fades after this many intervals, so that a change of hashrate shows.
const MEMORY_INTERVALS: u64 = 20;

const MS_PER_MINUTE: u128 = 60_000;

/// What the host allows a session, in units of 2^-32.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) minimum: u64,
    pub(crate) maximum: u64,
}

impl Bounds {
    pub(crate) fn clamp(self, difficulty: u64) -> u64 {
        difficulty.min(self.maximum).max(self.minimum).max(1)
    }
}

/// The measurement under way.
pub(crate) struct Session {
    /// Sum of the difficulties of accepted shares.
    difficulty: u64,
    /// Since the last change.
    elapsed_ms: u64,
}

impl Session {
    pub(crate) fn from_words([difficulty, elapsed_ms]: [u64; STATE_WORDS as usize]) -> Self {
        Self { difficulty, elapsed_ms }
    }

    pub(crate) fn to_words(&self) -> [u64; STATE_WORDS as usize] {
        [self.difficulty, self.elapsed_ms]
    }

    /// Adds what was accepted in a further `window_ms`.
    pub(crate) fn observe(&mut self, accepted: u64, window_ms: u32) {
        self.difficulty = self.difficulty.saturating_add(accepted);
        self.elapsed_ms = self.elapsed_ms.saturating_add(window_ms.into());
    }

    /// The next difficulty, 0 to keep. A change starts the measurement anew.
    pub(crate) fn next(&mut self, config: &Config, current: u64, bounds: Bounds) -> u64 {
        let current = current.max(1);
        let next = if self.has_seen_enough(config, current) {
            bounds.clamp(self.ideal(config, current))
        } else {
            // The bounds may have moved meanwhile.
            bounds.clamp(current)
        };
        if next != current {
            *self = Self { difficulty: 0, elapsed_ms: 0 };
            return next;
        }
        if self.elapsed_ms > MEMORY_INTERVALS * config.retarget_interval_s * 1000 {
            self.difficulty /= 2;
            self.elapsed_ms /= 2;
        }
        0
    }

    /// Whether the rate is off by more than the tolerance and by more than luck, and was
    /// watched for an interval (or is a flood).
    fn has_seen_enough(&self, config: &Config, current: u64) -> bool {
        // Shares of the current difficulty, found and expected, in hundredths.
        let found = u128::from(self.difficulty) * 100 / u128::from(current);
        let expected = self.expected_centishares(config);
        let off = found.abs_diff(expected);
        let interval = u128::from(config.retarget_interval_s)
            * u128::from(config.target_shares_per_minute)
            * 100
            / 60;
        let watched = self.elapsed_ms >= config.retarget_interval_s * 1000
            || found > FLOOD * interval.max(100);
        let tolerated = expected * u128::from(config.tolerance_percent) / 100;
        // Poisson: the variance is the expected count. (off/100)^2 > 25 * expected/100; an
        // expectation below one share is taken as one.
        let beyond_luck = off.saturating_mul(off) > SIGMAS_SQUARED * 100 * expected.max(100)
            || (found == 0 && expected > SILENT_SHARES * 100);
        watched && off > tolerated && beyond_luck
    }

    fn expected_centishares(&self, config: &Config) -> u128 {
        u128::from(self.elapsed_ms) * u128::from(config.target_shares_per_minute) * 100
            / MS_PER_MINUTE
    }

    /// The difficulty at which the measured hashrate finds shares at the target rate. A silent
    /// session counts as one that found a share just now: it could still be there.
    fn ideal(&self, config: &Config, current: u64) -> u64 {
        let difficulty = u128::from(self.difficulty.max(current)) * MS_PER_MINUTE;
        let shares = u128::from(self.elapsed_ms) * u128::from(config.target_shares_per_minute);
        let ideal = u64::try_from(difficulty / shares.max(1)).unwrap_or(u64::MAX);
        ideal.clamp(current / STEP, current.saturating_mul(STEP))
    }
}
