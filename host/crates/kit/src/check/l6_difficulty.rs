//! L6 for difficulty strategies: rows do not know each other, words of state are all that is
//! remembered, and simulated miners come to the rate the strategy aims at.

use chimera_plugin::{Batch, DifficultyStrategy, Hello, Services, Verdicts};
use chimera_pow::Difficulty;
use serde_json::Value;

use super::simulator::Simulator;
use super::{LevelReport, Subject};
use crate::dice::Dice;
use crate::subject::Loaded;

/// Difficulty 1.
const ONE: u64 = 1 << 32;

pub(super) fn run(subject: &Subject<'_>, strategy: &DifficultyStrategy, report: &mut LevelReport) {
    let mut dice = Dice::new(subject.options.seed);
    for _ in 0..20 {
        rows(strategy, &mut dice, report);
    }
    extremes(strategy, report);
    round_trip(subject, strategy, &mut dice, report);
    match target(subject) {
        Target::Rate(per_minute) => Simulator::run(strategy, per_minute, &mut dice, report),
        Target::None => report.fact("declares that it has no target rate".to_owned()),
        Target::Unknown => report.error(
            "target",
            "a target in shares per minute, or the declaration that there is none",
            "neither",
            "\"x-chimera-target\": a JSON Pointer into the configuration, or \"none\", \
             in the schema",
        ),
    }
}

enum Target {
    Rate(f64),
    None,
    Unknown,
}

fn target(subject: &Subject<'_>) -> Target {
    let declared = &subject.schema["x-chimera-target"];
    let value = match declared {
        Value::String(none) if none == "none" => return Target::None,
        Value::String(pointer) => subject.canonical.pointer(pointer),
        _ => subject.canonical.get("target_shares_per_minute"),
    };
    match value.and_then(Value::as_f64) {
        Some(rate) if rate > 0.0 => Target::Rate(rate),
        _ => Target::Unknown,
    }
}

pub(crate) fn hellos(dice: &mut Dice, count: usize) -> Vec<Hello> {
    let agents = ["", "cpuminer/2.5.1", "NiceHash/1.0.0", "bmminer/2.0", "⛏"];
    let some = |dice: &mut Dice| {
        (dice.below(2) == 0)
            .then(|| Difficulty::from_units(1 + dice.next() % (ONE << 16)))
            .flatten()
    };
    (0..count)
        .map(|_| Hello {
            user_agent: (*dice.pick(&agents)).to_owned(),
            hint: some(dice),
            previous: some(dice),
            minimum: Difficulty::from_units(ONE >> 10).unwrap_or(Difficulty::ONE),
            maximum: Difficulty::from_units(ONE << 20).unwrap_or(Difficulty::ONE),
        })
        .collect()
}

/// Sessions of all sorts: new and old, silent, steady and flooding.
pub(crate) fn batch(dice: &mut Dice, rows: usize, words: usize) -> Batch {
    let mut batch = Batch { state: vec![0; rows * words], ..Batch::default() };
    for _ in 0..rows {
        let (minimum, maximum) = (ONE >> dice.below(12), ONE << dice.below(24));
        let current = minimum + dice.below(maximum.saturating_sub(minimum).max(1));
        let most = 1 << dice.below(12);
        let accepted = dice.below(most) as u32;
        batch.current.push(current);
        batch.minimum.push(minimum);
        batch.maximum.push(maximum.max(minimum));
        batch.accepted.push(accepted);
        batch.stale.push(dice.below(3) as u32);
        batch.rejected.push(dice.below(3) as u32);
        batch.accepted_difficulty.push(u64::from(accepted).saturating_mul(current));
        batch.window_ms.push(1 + dice.below(120_000) as u32);
        batch.connected_ms.push(dice.below(86_400_000) as u32);
    }
    batch
}

/// Each row is judged by itself: in any order, and in any batch.
fn rows(strategy: &DifficultyStrategy, dice: &mut Dice, report: &mut LevelReport) {
    let words = strategy.state_words();
    let rows = 2 + dice.below(40) as usize;
    let batch = batch(dice, rows, words);
    report.tried();
    let whole = match strategy.retarget(batch.clone()) {
        Ok(whole) => whole,
        Err(error) => {
            let expected = "a verdict for every session, and the same number of state words";
            let mend = "answer one difficulty per row (0 keeps), and the state column as it came";
            return report.error("shape", expected, error.to_string(), mend);
        }
    };
    let order: Vec<usize> = (0..rows).rev().collect();
    let reversed = strategy.retarget(picked(&batch, &order, words));
    let expected = verdicts(&whole, &order, words);
    report.require(
        reversed.as_ref().ok() == Some(&expected),
        "row order",
        "the same verdict for a session wherever it stands in the batch",
        || format!("{} rows backwards: {}", rows, differing(&reversed, &expected)),
        "judge each row by its own columns",
    );
    let cut = 1 + dice.below(rows as u64 - 1) as usize;
    for part in [0..cut, cut..rows] {
        let part: Vec<usize> = part.collect();
        let found = strategy.retarget(picked(&batch, &part, words));
        let expected = verdicts(&whole, &part, words);
        report.require(
            found.as_ref().ok() == Some(&expected),
            "batches",
            "the same verdicts in one batch and in two",
            || format!("{} of {rows} rows: {}", part.len(), differing(&found, &expected)),
            "judge each row by its own columns",
        );
    }
}

fn differing(found: &Result<Verdicts, chimera_plugin::PluginError>, expected: &Verdicts) -> String {
    match found {
        Err(error) => error.to_string(),
        Ok(found) => {
            let row = found.next.iter().zip(&expected.next).position(|(one, other)| one != other);
            match row {
                Some(row) => format!(
                    "row {row} goes to {:?} instead of {:?}",
                    found.next[row], expected.next[row]
                ),
                None => "other words of state".to_owned(),
            }
        }
    }
}

/// Rows of a batch, in this order.
fn picked(batch: &Batch, rows: &[usize], words: usize) -> Batch {
    let long = |column: &[u64]| rows.iter().map(|&row| column[row]).collect::<Vec<_>>();
    let short = |column: &[u32]| rows.iter().map(|&row| column[row]).collect::<Vec<_>>();
    Batch {
        current: long(&batch.current),
        minimum: long(&batch.minimum),
        maximum: long(&batch.maximum),
        accepted: short(&batch.accepted),
        stale: short(&batch.stale),
        rejected: short(&batch.rejected),
        accepted_difficulty: long(&batch.accepted_difficulty),
        window_ms: short(&batch.window_ms),
        connected_ms: short(&batch.connected_ms),
        state: state_of(&batch.state, rows, words),
    }
}

fn verdicts(whole: &Verdicts, rows: &[usize], words: usize) -> Verdicts {
    Verdicts {
        next: rows.iter().map(|&row| whole.next[row]).collect(),
        state: state_of(&whole.state, rows, words),
    }
}

fn state_of(state: &[u64], rows: &[usize], words: usize) -> Vec<u64> {
    rows.iter().flat_map(|&row| &state[row * words..(row + 1) * words]).copied().collect()
}

/// No session, and sessions whose every column is at an end of its range.
fn extremes(strategy: &DifficultyStrategy, report: &mut LevelReport) {
    let words = strategy.state_words();
    report.tried();
    if let Err(error) = strategy.retarget(Batch::default()) {
        let mend = "answer empty columns";
        report.error("extremes", "a batch of no sessions is answered", error.to_string(), mend);
    }
    for (short, long) in [(0, 0), (u32::MAX, u64::MAX), (u32::MAX, 1), (1, u64::MAX)] {
        for (minimum, maximum) in [(1, u64::MAX), (ONE, ONE), (u64::MAX, u64::MAX)] {
            let row = Batch {
                current: vec![long.clamp(minimum, maximum)],
                minimum: vec![minimum],
                maximum: vec![maximum],
                accepted: vec![short],
                stale: vec![short],
                rejected: vec![short],
                accepted_difficulty: vec![long],
                window_ms: vec![short],
                connected_ms: vec![short],
                state: vec![long; words],
            };
            report.tried();
            if let Err(error) = strategy.retarget(row.clone()) {
                report.error(
                    "extremes",
                    "a verdict for every session there can be",
                    format!("{row:?}: {error}"),
                    "use saturating arithmetic, and divide by nothing that can be 0",
                );
            }
        }
    }
    // An operator who narrows the bounds means the sessions there are, too.
    for (current, minimum, maximum) in [(ONE, 2 * ONE, 4 * ONE), (8 * ONE, 2 * ONE, 4 * ONE)] {
        let row = Batch {
            current: vec![current],
            minimum: vec![minimum],
            maximum: vec![maximum],
            accepted: vec![3],
            stale: vec![0],
            rejected: vec![0],
            accepted_difficulty: vec![3 * current],
            window_ms: vec![10_000],
            connected_ms: vec![600_000],
            state: vec![0; words],
        };
        report.tried();
        if let Ok(verdicts) = strategy.retarget(row)
            && verdicts.next == [None]
        {
            report.warning(
                "bounds",
                "a session outside its bounds is moved inside",
                format!("kept at {current} with bounds of {minimum} to {maximum}"),
                "clamp the current difficulty to the row's bounds before keeping it",
            );
        }
    }
}

/// An instance that lived through all ticks and one made anew for each say the same: what is
/// remembered is in the words of state.
fn round_trip(
    subject: &Subject<'_>,
    strategy: &DifficultyStrategy,
    dice: &mut Dice,
    report: &mut LevelReport,
) {
    let words = strategy.state_words();
    let mut state = vec![0; 8 * words];
    for tick in 0..15 {
        let batch = Batch { state, ..batch(dice, 8, words) };
        let Ok(Loaded::Difficulty(fresh)) = subject.again(subject.engines, Services::none()) else {
            return;
        };
        let (old, new) = (strategy.retarget(batch.clone()), fresh.retarget(batch));
        let same = old.as_ref().ok() == new.as_ref().ok();
        report.require(
            same,
            "state words",
            "an instance that was replaced goes on from the words of state",
            || format!("tick {tick}: a fresh instance decides otherwise"),
            "keep nothing between calls but the words of state",
        );
        let Ok(old) = old else { return };
        state = old.state;
    }
}
