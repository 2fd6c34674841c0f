//! One session measured until it can be said what its difficulty should be.
//!
//! Two measurements run one after the other. The *recent* one is some tens of expected shares
//! long and asks at every tick whether the hashrate has changed by more than luck explains;
//! then the difficulty follows at once and what was before is forgotten. What was no surprise
//! joins the *settled* one, which is up to hundreds of shares long and brings the rate closer
//! to its target than the recent one could tell.

use crate::{Diagnostic, problem};

use super::pace::{Bounds, Pace, SHARE, Sums, beyond_luck, beyond_percent};

/// Words of state of a [`Meter`].
pub const METER_WORDS: usize = 3;

/// More shares than luck explains, asked at every tick: 5 standard deviations.
const SURGE: u64 = 25;
/// The same for a session nothing is known of yet: soon right is better than surely right.
const SURGE_AT_START: u64 = 12;
/// Fewer shares than luck explains. The lower tail is thin: none of 12, or 5 of 20, is about
/// one in 15,000 and rarer.
const DROP: u64 = 11;
/// Off by more than the tolerance, measured over the settled time: 3 standard deviations.
const DRIFT: u64 = 9;

/// So many expected shares make a recent measurement.
const RECENT_SHARES: u64 = 20 * SHARE;
/// So many found in one tick say enough without the ticks before, which may be of another time.
const TICK_SHARES: u64 = 16 * SHARE;
/// Above so many expected shares the older half of the settled measurement fades.
const SETTLED_SHARES: u64 = 512 * SHARE;
/// A drift seen after more than this began long ago: newer evidence gets more weight.
const DRIFT_SHARES: u64 = 128 * SHARE;
/// A session so far above its rate that waiting helps nobody: this many times the shares a
/// whole interval should have.
const FLOOD: u64 = 4;
/// One change is at most this large: what a miner batched up, or a proxy gone for a minute,
/// must not throw a session out of reach.
const STEP: u64 = 256;

/// What a [`Meter`] aims at.
#[derive(Debug, Clone, Copy)]
pub struct Aim {
    pace: Pace,
    /// How long a settled session is watched before a change, in milliseconds.
    interval_ms: u64,
    tolerance_percent: u64,
    flood: u64,
    step: u64,
}

impl Aim {
    /// A pace, how far off it may be, and how long a session is watched before a change.
    ///
    /// Wants values without [`aim_problems`].
    pub fn new(pace: Pace, tolerance_percent: u64, interval_s: u64) -> Self {
        let interval_ms = interval_s * 1000;
        let flood = FLOOD * pace.expected(interval_ms).max(SHARE);
        Self { pace, interval_ms, tolerance_percent, flood, step: STEP }
    }

    /// With another bound of one change.
    #[must_use]
    pub fn with_step(self, step: u64) -> Self {
        Self { step, ..self }
    }
}

/// What is wrong with the settings of an [`Aim`], under the names strategies give them.
pub fn aim_problems(
    target_shares_per_minute: u64,
    tolerance_percent: u64,
    retarget_interval_s: u64,
) -> Vec<Diagnostic> {
    [
        ("/retarget_interval_s", retarget_interval_s, 1, 3600),
        ("/target_shares_per_minute", target_shares_per_minute, 1, 6000),
        ("/tolerance_percent", tolerance_percent, 5, 100),
    ]
    .into_iter()
    .filter(|(_, value, low, high)| !(low..=high).contains(&value))
    .map(|(at, value, low, high)| problem(at, format!("{value}"), &format!("{low} to {high}")))
    .collect()
}

/// What is known of one session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meter {
    /// What is known of the hashrate so far.
    pub settled: Sums,
    /// What may yet turn out to be another hashrate.
    pub recent: Sums,
}

impl Meter {
    /// From a row's words; zeroes are a new session.
    pub fn from_words([settled, recent, ms]: [u64; METER_WORDS]) -> Self {
        Self {
            settled: Sums { difficulty: settled, ms: ms >> 32 },
            recent: Sums { difficulty: recent, ms: ms & u64::from(u32::MAX) },
        }
    }

    /// A row's words.
    pub fn to_words(self) -> [u64; METER_WORDS] {
        // Times stay below 2^27, see `Sums::plus`.
        [self.settled.difficulty, self.recent.difficulty, (self.settled.ms << 32) | self.recent.ms]
    }

    /// Adds what was accepted in the last tick and answers the next difficulty, 0 to keep.
    pub fn tick(&mut self, aim: &Aim, tick: Sums, current: u64, bounds: Bounds) -> u64 {
        let current = current.max(1);
        let next = match self.surprise(aim, tick, current) {
            Some(next) => next,
            None if self.is_ripe(aim) && self.recent.ms >= 2 * aim.interval_ms => {
                self.settle(aim, current)
            }
            None => current,
        };
        // The bounds may have moved meanwhile.
        let next = bounds.clamp(next);
        if next == current { 0 } else { next }
    }

    /// Adds what was accepted in the last tick. If that makes another hashrate of it, what was
    /// before is forgotten, and the answer is the difficulty that is right now.
    #[inline]
    pub fn surprise(&mut self, aim: &Aim, tick: Sums, current: u64) -> Option<u64> {
        self.recent = self.recent.plus(tick);
        let found = self.recent.shares(current);
        let expected = aim.pace.expected(self.recent.ms);
        self.is_surprising(aim, found, expected)
            .then(|| self.start_anew(aim, tick, current, found > expected))
    }

    /// Whether the recent measurement is long enough to be no surprise any more.
    pub fn is_ripe(&self, aim: &Aim) -> bool {
        aim.pace.expected(self.recent.ms) >= RECENT_SHARES
    }

    fn is_surprising(&self, aim: &Aim, found: u64, expected: u64) -> bool {
        if found <= expected {
            return beyond_luck(found, expected, DROP)
                && beyond_percent(found, expected, aim.tolerance_percent);
        }
        if self.settled.ms == 0 {
            return beyond_luck(found, expected, SURGE_AT_START)
                && beyond_percent(found, expected, aim.tolerance_percent);
        }
        (self.recent.ms >= aim.interval_ms || found > aim.flood)
            && beyond_luck(found, expected, SURGE)
            && beyond_percent(found, expected, aim.tolerance_percent)
    }

    /// The hashrate has changed. After a rise the last tick alone is kept: it is surely of the
    /// new time. After a fall a few heavy shares would pass for many light ones.
    fn start_anew(&mut self, aim: &Aim, tick: Sums, current: u64, rise: bool) -> u64 {
        let alone = tick.shares(current) >= TICK_SHARES;
        let next = aim.pace.ideal(if alone { tick } else { self.recent }, current, aim.step);
        *self =
            Self { settled: if rise { tick } else { Sums::default() }, recent: Sums::default() };
        next
    }

    /// No surprise: more is known of the same hashrate.
    fn settle(&mut self, aim: &Aim, current: u64) -> u64 {
        self.settled = self.settled.plus(self.recent);
        self.recent = Sums::default();
        let found = self.settled.shares(current);
        let expected = aim.pace.expected(self.settled.ms);
        if beyond_percent(found, expected, aim.tolerance_percent)
            && beyond_luck(found, expected, DRIFT)
        {
            let next = aim.pace.ideal(self.settled, current, aim.step);
            if expected > DRIFT_SHARES {
                self.settled = self.settled.divided(4);
            }
            return next;
        }
        if expected > SETTLED_SHARES {
            self.settled = self.settled.divided(2);
        }
        current
    }
}
