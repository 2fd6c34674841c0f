//! What decides difficulties while the component cannot: plain vardiff, without settings. It
//! only has to keep shares coming at a rate that costs neither side much.

use chimera_stratum::Measure;
use serde::{Deserialize, Serialize};

/// A share every three seconds: what the shipped component aims at by default.
const SHARE_EVERY_MS: u64 = 3_000;
/// Watched for so long, or for so many shares, before anything changes.
const WATCH_MS: u64 = 30_000;
const WATCH_SHARES: u64 = 20;
/// Nothing changes within this factor of the target: shares come at random.
const TOLERANCE: u64 = 2;
/// The most a difficulty grows in one step.
const GROWTH_MAX: u64 = 16;
/// What a silent session's difficulty is divided by.
const SILENCE: u64 = 4;

/// What is remembered of a session since its difficulty last changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watched {
    elapsed_ms: u64,
    shares: u64,
    /// In units of 2^-32.
    work: u64,
}

/// The session's next difficulty in units of 2^-32, within its bounds; `None` keeps it.
pub(crate) fn retarget(watched: &mut Watched, row: &Measure) -> Option<u64> {
    watched.elapsed_ms = watched.elapsed_ms.saturating_add(row.window_ms.into());
    watched.shares = watched.shares.saturating_add(row.accepted.into());
    watched.work = watched.work.saturating_add(row.accepted_difficulty);
    let (least, most) = (row.minimum.max(1), row.maximum.max(row.minimum).max(1));
    // A session without a job has no difficulty yet.
    if row.current == 0 {
        return None;
    }
    if watched.elapsed_ms < WATCH_MS && watched.shares < WATCH_SHARES {
        return None;
    }
    let next = if watched.shares == 0 { row.current / SILENCE } else { watched.ideal(row.current) };
    *watched = Watched::default();
    let next = next.clamp(least, most);
    (next != row.current).then_some(next)
}

impl Watched {
    /// The difficulty at which the measured work makes shares at the target rate; the current
    /// one if that is near.
    fn ideal(&self, current: u64) -> u64 {
        let elapsed_ms = u128::from(self.elapsed_ms.max(1));
        let ideal = u128::from(self.work) * u128::from(SHARE_EVERY_MS) / elapsed_ms;
        let ideal = u64::try_from(ideal).unwrap_or(u64::MAX);
        let near = current / TOLERANCE..=current.saturating_mul(TOLERANCE);
        if near.contains(&ideal) { current } else { ideal.min(current.saturating_mul(GROWTH_MAX)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: u64 = 1 << 32;

    fn row(current: u64, accepted: u32, window_ms: u32) -> Measure {
        Measure {
            current,
            minimum: ONE / 1024,
            maximum: 1024 * ONE,
            accepted,
            accepted_difficulty: current * u64::from(accepted),
            window_ms,
            ..Measure::default()
        }
    }

    #[test]
    fn one_look_at_a_session() {
        for (why, row, next) in [
            ("at the target rate", row(ONE, 10, 30_000), None),
            ("a bit too fast", row(ONE, 19, 30_000), None),
            ("not watched long enough", row(ONE, 1, 5_000), None),
            ("four times too fast", row(ONE, 40, 30_000), Some(4 * ONE)),
            ("so fast that it is seen at once", row(ONE, 20, 1_000), Some(16 * ONE)),
            ("four times too slow", row(4 * ONE, 2, 24_000 + 6_000), Some(4 * ONE / 5)),
            ("silent", row(ONE, 0, 30_000), Some(ONE / 4)),
            ("silent at the least", row(ONE / 1024, 0, 30_000), None),
            ("fast at the most", row(1024 * ONE, 500, 1_000), None),
            ("without a job", row(0, 0, 60_000), None),
        ] {
            assert_eq!(retarget(&mut Watched::default(), &row), next, "{why}");
        }
    }

    /// A miner of steady hashrate: shares come at the target rate after a few looks.
    #[test]
    fn sessions_of_any_speed_come_to_the_target_rate() {
        for work_per_s in [ONE / 256, ONE / 3, ONE, 40 * ONE, 300 * ONE] {
            let (mut watched, mut current, mut debt) = (Watched::default(), ONE, 0);
            for _ in 0..600 {
                debt += 5 * work_per_s;
                let accepted = u32::try_from(debt / current).unwrap();
                debt %= current;
                let next = retarget(&mut watched, &row(current, accepted, 5_000));
                current = next.unwrap_or(current);
            }
            let ideal = 3 * work_per_s;
            assert!((ideal / 2..=ideal * 2).contains(&current), "{current} for {ideal}");
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        let extreme = Measure {
            current: u64::MAX,
            minimum: u64::MAX,
            maximum: 0,
            accepted: u32::MAX,
            accepted_difficulty: u64::MAX,
            window_ms: u32::MAX,
            ..Measure::default()
        };
        let mut watched = Watched::default();
        for _ in 0..3 {
            retarget(&mut watched, &extreme);
        }
    }
}
