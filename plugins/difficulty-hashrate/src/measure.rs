//! The hashrate of one session, over about the window.

use chimera_plugin_sdk::{
    Aim, Bounds, METER_WORDS, Meter, Pace, SHARE, Sums, beyond_luck, beyond_percent,
};

use crate::Config;

/// Words of state.
pub(crate) const WORDS: usize = METER_WORDS;

/// So many shares say something of a hashrate.
const SHARES_MIN: u64 = 4 * SHARE;
/// How sure an estimate is before it moves a difficulty: 2 standard deviations.
const SURE: u64 = 4;

/// The settings, ready for arithmetic.
pub(crate) struct Rule {
    pace: Pace,
    aim: Aim,
    max_step: u64,
    tolerance_percent: u64,
    window_ms: u64,
}

impl Rule {
    pub(crate) fn new(config: &Config) -> Self {
        let pace = Pace::new(config.target_shares_per_minute, 60_000);
        Self {
            pace,
            aim: Aim::new(pace, config.tolerance_percent, 0).with_step(config.max_step),
            max_step: config.max_step,
            tolerance_percent: config.tolerance_percent,
            window_ms: config.window_s * 1000,
        }
    }

    /// Adds what was accepted in the last tick and answers the next difficulty, 0 to keep.
    pub(crate) fn tick(&self, meter: &mut Meter, tick: Sums, current: u64, bounds: Bounds) -> u64 {
        let current = current.max(1);
        let next = meter.surprise(&self.aim, tick, current);
        let next = bounds.clamp(next.unwrap_or_else(|| self.follow(meter, current)));
        if next == current { 0 } else { next }
    }

    /// No surprise: the estimate moves the difficulty as soon as it is sure enough.
    fn follow(&self, meter: &mut Meter, current: u64) -> u64 {
        let measured = meter.settled.plus(meter.recent);
        if meter.is_ripe(&self.aim) {
            // Older work fades: what is kept is between half a window and a whole one.
            let fade = if measured.ms > self.window_ms { 2 } else { 1 };
            *meter = Meter { settled: measured.divided(fade), recent: Sums::default() };
        }
        let found = measured.shares(current);
        let expected = self.pace.expected(measured.ms);
        let is_known = found.max(expected) >= SHARES_MIN
            && beyond_luck(found, expected, SURE)
            && beyond_percent(found, expected, self.tolerance_percent);
        if is_known { self.pace.ideal(measured, current, self.max_step) } else { current }
    }
}
