//! Simulated miners under a difficulty strategy: shares arrive as Poisson has it, hashrates
//! step, drop out and burst. In the end every phase must be mined at the strategy's own rate.

use chimera_plugin::{Batch, DifficultyStrategy, Hello};
use chimera_pow::Difficulty;

use super::LevelReport;
use crate::dice::Dice;

const SESSIONS: usize = 40;
const TICK_MS: u32 = 10_000;
/// A phase lasts until so many shares should have come: luck is then below 4 %, and below
/// 1 % for all sessions together.
const SHARES_PER_PHASE: f64 = 600.0;
/// Of the target, for all sessions together.
const TOLERANCE: f64 = 0.20;
/// Of one session's difficulty while its hashrate stands, highest to lowest.
const SWING_MAX: f64 = 2.0;
const UNITS: f64 = 4_294_967_296.0;
const MINIMUM: u64 = 1 << 12;
const MAXIMUM: u64 = 1 << 62;

/// Sessions of one strategy.
pub(super) struct Simulator<'a> {
    strategy: &'a DifficultyStrategy,
    per_minute: f64,
    /// Difficulty 1 hashes per ms, each.
    hashrate: Vec<f64>,
    current: Vec<u64>,
    state: Vec<u64>,
    connected_ms: u32,
}

/// What came of the second half of a phase.
struct Settled {
    /// Shares per minute and session.
    rate: f64,
    /// Mean of highest by lowest difficulty.
    swing: f64,
}

impl<'a> Simulator<'a> {
    /// Plays all phases.
    pub(super) fn run(
        strategy: &'a DifficultyStrategy,
        per_minute: f64,
        dice: &mut Dice,
        report: &mut LevelReport,
    ) {
        let Some(mut sessions) = Self::connect(strategy, per_minute, dice, report) else { return };
        let ticks = ((SHARES_PER_PHASE / per_minute) * 60_000.0 / f64::from(TICK_MS)) as u32;
        let ticks = ticks.clamp(60, 4_000);
        // what happens, how the hashrate changes, for how many ticks, whether it must settle
        let phases: [(&str, f64, u32, bool); 7] = [
            ("after connecting", 1.0, ticks, true),
            ("after eight times the hashrate", 8.0, ticks, true),
            ("after an eighth of the hashrate", 1.0 / 8.0, ticks, true),
            ("silent", 0.0, 12, false),
            ("after a silence", 1.0, ticks, true),
            ("rented", 100.0, 6, false),
            ("after a rented burst", 0.01, ticks, true),
        ];
        let mut before_silence = sessions.hashrate.clone();
        for (what, factor, ticks, settles) in phases {
            if factor == 0.0 {
                before_silence.clone_from(&sessions.hashrate);
                sessions.hashrate.iter_mut().for_each(|rate| *rate = 0.0);
            } else {
                if sessions.hashrate[0] == 0.0 {
                    sessions.hashrate.clone_from(&before_silence);
                }
                sessions.hashrate.iter_mut().for_each(|rate| *rate *= factor);
            }
            let Some(settled) = sessions.phase(ticks, dice, report) else { return };
            if settles {
                sessions.judge(what, &settled, report);
            }
        }
    }

    /// Sessions with hashrates over four orders of magnitude, each with its first difficulty.
    fn connect(
        strategy: &'a DifficultyStrategy,
        per_minute: f64,
        dice: &mut Dice,
        report: &mut LevelReport,
    ) -> Option<Self> {
        let hello = Hello {
            user_agent: "cpuminer/2.5.1".to_owned(),
            hint: None,
            previous: None,
            minimum: Difficulty::from_units(MINIMUM)?,
            maximum: Difficulty::from_units(MAXIMUM)?,
        };
        report.tried();
        let current = match strategy.initial(&vec![hello; SESSIONS]) {
            Ok(first) => first.into_iter().map(Difficulty::to_units).collect(),
            Err(error) => {
                let mend = "answer one difficulty per session";
                report.error("initial", "a first difficulty", error.to_string(), mend);
                return None;
            }
        };
        let hashrate = (0..SESSIONS).map(|_| 10_f64.powf(-3.0 + 4.0 * dice.fraction())).collect();
        let state = vec![0; SESSIONS * strategy.state_words()];
        Some(Self { strategy, per_minute, hashrate, current, state, connected_ms: 0 })
    }

    fn phase(&mut self, ticks: u32, dice: &mut Dice, report: &mut LevelReport) -> Option<Settled> {
        let (mut shares, mut counted) = (0_u64, 0_u32);
        let (mut lowest, mut highest) = (vec![u64::MAX; SESSIONS], vec![0; SESSIONS]);
        for tick in 0..ticks {
            let accepted: Vec<u32> = (0..SESSIONS)
                .map(|row| {
                    let difficulty = self.current[row] as f64 / UNITS;
                    let expected = self.hashrate[row] * f64::from(TICK_MS) / difficulty;
                    // No pool lets a session flood it beyond this.
                    dice.poisson(expected.min(20_000.0))
                })
                .collect();
            if tick >= ticks / 2 {
                shares += accepted.iter().map(|shares| u64::from(*shares)).sum::<u64>();
                counted += 1;
                for row in 0..SESSIONS {
                    lowest[row] = lowest[row].min(self.current[row]);
                    highest[row] = highest[row].max(self.current[row]);
                }
            }
            self.tick(&accepted, report)?;
        }
        let minutes = f64::from(counted) * f64::from(TICK_MS) / 60_000.0;
        let swings = highest.iter().zip(&lowest).map(|(high, low)| *high as f64 / *low as f64);
        Some(Settled {
            rate: shares as f64 / minutes / SESSIONS as f64,
            swing: swings.sum::<f64>() / SESSIONS as f64,
        })
    }

    fn tick(&mut self, accepted: &[u32], report: &mut LevelReport) -> Option<()> {
        self.connected_ms = self.connected_ms.saturating_add(TICK_MS);
        let done =
            |(shares, difficulty): (&u32, &u64)| u64::from(*shares).saturating_mul(*difficulty);
        let batch = Batch {
            current: self.current.clone(),
            minimum: vec![MINIMUM; SESSIONS],
            maximum: vec![MAXIMUM; SESSIONS],
            accepted: accepted.to_vec(),
            stale: vec![0; SESSIONS],
            rejected: vec![0; SESSIONS],
            accepted_difficulty: accepted.iter().zip(&self.current).map(done).collect(),
            window_ms: vec![TICK_MS; SESSIONS],
            connected_ms: vec![self.connected_ms; SESSIONS],
            state: std::mem::take(&mut self.state),
        };
        match self.strategy.retarget(batch) {
            Ok(verdicts) => {
                for (current, next) in self.current.iter_mut().zip(verdicts.next) {
                    *current = next.unwrap_or(*current);
                }
                self.state = verdicts.state;
                Some(())
            }
            Err(error) => {
                let mend = "replay it: chimera plugin replay";
                report.error("simulation", "a verdict at every tick", error.to_string(), mend);
                None
            }
        }
    }

    fn judge(&self, what: &str, settled: &Settled, report: &mut LevelReport) {
        let Settled { rate, swing } = settled;
        report.fact(format!("{what}: {rate:.1} shares per minute, difficulty within {swing:.2}"));
        report.require(
            (rate / self.per_minute - 1.0).abs() <= TOLERANCE,
            "share rate",
            format!("{} shares per minute, within 20 %", self.per_minute),
            || format!("{what}: {rate:.2}"),
            "aim at hashrate divided by the target rate; watch shares, not the time between two",
        );
        report.require(
            *swing <= SWING_MAX,
            "oscillation",
            format!("a difficulty within a factor of {SWING_MAX} while the hashrate stands"),
            || format!("{what}: a factor of {swing:.2}"),
            "change only what is beyond luck: at n shares that is 5 / sqrt(n)",
        );
    }
}
