//! Score: proportional, but the older the work of a round, the less it counts, which takes
//! most of the gain from hopping (Rosenfeld, arXiv 1112.4980, section 2.4, after Slush's pool).
//!
//! Amount = reward x score / all scores x (1 - fee), where score = work x 2^(-age / half-life)
//! and age is the work the pool did since. Age is counted in work, not time: the clock says
//! nothing, and hashrate that comes and goes does not change what a share is worth.
//!
//! The host cuts the round into 1024 slices of equal work, newest first, and all work of one
//! slice has one age. In a round of one block with the usual half-life of half a block, that
//! moves no share by more than 0.14 % from the continuous curve. Given slices and the factors
//! of `decay`, the division is exact to the last unit.

mod decay;

use chimera_plugin_sdk::{
    Accounts, Component, Diagnostic, Outcome, PayoutScheme, Plan, PluginError, Request, SchemeKind,
    Slices, WindowSize, distribute_by, export_payout_scheme, fee_problem, problem,
};
use serde::{Deserialize, Serialize};

use decay::Decay;

/// Fee and decay.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The pool's part of every reward, parts per million.
    pub fee_ppm: u32,
    /// After how much further work a share counts half, in thousandths of a block.
    pub half_life_milli: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { fee_ppm: 10_000, half_life_milli: 500 }
    }
}

/// As many as the host cuts.
const BUCKETS: u16 = 1024;
const HALF_LIFE_MILLI_MAX: u64 = 1_000_000;

/// The scheme.
pub struct Score;

impl Component for Score {
    type Config = Config;
    const NAME: &'static str = "payout-score";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        let half_life = config.half_life_milli;
        let message = || format!("a half-life of {half_life} thousandths of a block");
        let hint = "1 to 1000000; 500 is half a block";
        (!(1..=HALF_LIFE_MILLI_MAX).contains(&half_life))
            .then(|| problem("/half_life_milli", message(), hint))
            .into_iter()
            .chain(fee_problem(config.fee_ppm))
            .collect()
    }
}

impl PayoutScheme for Score {
    fn plan(_: &Config) -> Result<Plan, PluginError> {
        Ok(Plan {
            kind: SchemeKind::Distribute,
            window: WindowSize::SinceLastBlock,
            buckets: BUCKETS,
            max_carry: 0,
        })
    }

    fn settle(config: &Config, request: Request) -> Result<Outcome, PluginError> {
        let block = request.block()?;
        let pot = request.pot(block.reward)?;
        let scores = scores(config.half_life_milli, &request.accounts, &request.slices)?;
        Ok(distribute_by(&request.accounts, &scores, pot, config.fee_ppm))
    }
}

/// Work by age, per row.
fn scores(
    half_life_milli: u64,
    accounts: &Accounts,
    slices: &Slices,
) -> Result<Vec<u128>, PluginError> {
    let rows = accounts.key.len();
    let cells = || slices.account.iter().zip(&slices.bucket).zip(&slices.work);
    let invalid = |text: String| Err(PluginError::InvalidInput(text));
    if slices.bucket.len() != slices.account.len() || slices.work.len() != slices.account.len() {
        return invalid("slices whose columns differ in length".to_owned());
    }
    let stray = cells().find(|((row, bucket), _)| **row as usize >= rows || **bucket >= BUCKETS);
    if let Some(((row, bucket), _)) = stray {
        return invalid(format!("a slice of row {row} in bucket {bucket}"));
    }
    let (sliced, work) = (sum(&slices.work), sum(&accounts.work));
    if sliced != work {
        return invalid(format!("slices hold {sliced} of the accounts' {work} of work"));
    }
    // The newest work counts in full, whatever its age: only what is relative matters.
    let newest = slices.bucket.iter().copied().min().unwrap_or(0);
    let round = accounts.total_work();
    let decay = Decay::new();
    let factors: Vec<u64> = (0..BUCKETS)
        .map(|age| decay.factor(age.into(), BUCKETS.into(), round, half_life_milli))
        .collect();
    let mut scores = vec![0; rows];
    for ((row, bucket), work) in cells() {
        let factor = factors[usize::from(bucket - newest)];
        scores[*row as usize] += u128::from(*work) * u128::from(factor);
    }
    Ok(scores)
}

fn sum(column: &[u64]) -> u128 {
    column.iter().map(|entry| u128::from(*entry)).sum()
}

export_payout_scheme!(Score);

#[cfg(test)]
mod tests;
