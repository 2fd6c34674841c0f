//! L4: what a call costs as it grows, and what room is left. Fuel is the same on every
//! machine and is judged; time is told.

use std::time::{Duration, Instant};

use chimera_plugin::{DifficultyStrategy, PayoutScheme};

use super::l2_money::occasions;
use super::l6_auth::attempts;
use super::l6_difficulty::batch;
use super::{LevelReport, Subject};
use crate::dice::Dice;
use crate::rounds::Round;
use crate::subject::Loaded;

/// Twice the rows may cost little more than twice.
const EXPONENT_MAX: f64 = 1.2;
/// Room for a machine or a build that is a bit worse.
const HEADROOM: f64 = 0.5;

pub(super) fn run(subject: &Subject<'_>, report: &mut LevelReport) {
    match &subject.loaded {
        Loaded::Payout(scheme) => payout(subject, scheme, report),
        Loaded::Auth(policy) => {
            let mut slowest = Duration::ZERO;
            for attempt in attempts() {
                let begun = Instant::now();
                // What it answers is judged in L6.
                drop(policy.authorize(&attempt));
                slowest = slowest.max(begun.elapsed());
            }
            report.tried();
            report.fact(format!("slowest decision {} us", slowest.as_micros()));
        }
        Loaded::Difficulty(strategy) => difficulty(subject, strategy, report),
    }
}

fn payout(subject: &Subject<'_>, scheme: &PayoutScheme, report: &mut LevelReport) {
    let plan = scheme.plan();
    for &occasion in occasions(plan.kind) {
        let mut dice = Dice::new(subject.options.seed);
        let mut points = Vec::new();
        for rows in [1, 10, 100, 1_000, 10_000, 100_000] {
            let round = Round::random(&mut dice, occasion, plan, rows);
            if round.miners.len() < rows {
                break;
            }
            let (request, _) = round.request(plan);
            let begun = Instant::now();
            report.tried();
            let usage = match scheme.settle_repeatedly(&request, 1) {
                Ok(answers) => answers[0].1,
                Err(error) => {
                    let expected = "a settlement of 100,000 accounts within the class's limits";
                    let mend = "do each row once, and keep nothing that grows faster than the rows";
                    return report.error("limits", expected, format!("{rows} rows: {error}"), mend);
                }
            };
            let took = begun.elapsed();
            points.push((rows as f64, usage.fuel as f64));
            let share = usage.fuel as f64 / usage.fuel_budget as f64;
            // Beyond the limits it is stopped, an error above; close to them is a warning.
            if share > HEADROOM {
                report.warning(
                    "headroom",
                    "half of the fuel is left",
                    format!("{rows} rows take {} of {} units", usage.fuel, usage.fuel_budget),
                    "look for work that is done per row and need not be",
                );
            }
            if usage.memory_bytes as f64 > HEADROOM * usage.memory_bytes_max as f64 {
                report.warning(
                    "memory",
                    "half of the memory is left",
                    format!("{rows} rows take {} bytes", usage.memory_bytes),
                    "build the answer in the columns that came, instead of beside them",
                );
            }
            report.fact(format!(
                "{occasion:?}, {rows} rows: {} units of fuel ({:.1} %), {} KiB, {} us",
                usage.fuel,
                share * 100.0,
                usage.memory_bytes / 1024,
                took.as_micros()
            ));
        }
        growth(&points, "fuel", report);
    }
}

fn difficulty(subject: &Subject<'_>, strategy: &DifficultyStrategy, report: &mut LevelReport) {
    let mut dice = Dice::new(subject.options.seed);
    for rows in [1, 10, 100, 1_000, 10_000] {
        let batch = batch(&mut dice, rows, strategy.state_words());
        let begun = Instant::now();
        report.tried();
        if let Err(error) = strategy.retarget(batch) {
            let expected = "a batch of 10,000 sessions within the class's limits";
            let mend = "do each row once; answer with two columns and nothing else";
            return report.error("limits", expected, format!("{rows} rows: {error}"), mend);
        }
        report.fact(format!("{rows} rows: {} us", begun.elapsed().as_micros()));
    }
}

/// How cost grows with rows: the slope of the logarithms, where rows outweigh the rest.
fn growth(points: &[(f64, f64)], what: &str, report: &mut LevelReport) {
    let Some(exponent) = exponent(points) else { return };
    report.fact(format!("{what} grows with rows to the power of {exponent:.2}"));
    report.require(
        exponent <= EXPONENT_MAX,
        "growth",
        format!("{what} grows with rows to the power of at most {EXPONENT_MAX}"),
        || format!("to the power of {exponent:.2}"),
        "look for a loop within a loop over the rows",
    );
}

/// The least squares slope of log cost over log rows, without the fixed part.
fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let (_, fixed) = *points.first()?;
    let logs: Vec<(f64, f64)> = points
        .iter()
        .filter(|(rows, cost)| *rows >= 100.0 && *cost > fixed)
        .map(|(rows, cost)| (rows.ln(), (cost - fixed).ln()))
        .collect();
    if logs.len() < 3 {
        return None;
    }
    let count = logs.len() as f64;
    let mean_x = logs.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = logs.iter().map(|(_, y)| y).sum::<f64>() / count;
    let covariance: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    Some(covariance / variance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponent_of_a_power_is_found_whatever_comes_on_top() {
        for power in [1.0, 1.5, 2.0] {
            let rows = [1.0_f64, 10.0, 100.0, 1_000.0, 10_000.0];
            let points: Vec<_> = rows.iter().map(|n| (*n, 5_000.0 + 3.0 * n.powf(power))).collect();
            assert!((exponent(&points).unwrap() - power).abs() < 0.02, "{power}");
        }
        assert_eq!(exponent(&[(1.0, 1.0), (10.0, 2.0)]), None);
    }
}
