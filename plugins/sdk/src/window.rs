//! What the schemes with a window of N blocks share: its size, its division, and who has the
//! part of a pot that a young pool's window leaves.

use serde::{Deserialize, Serialize};

use crate::distribution::divide;
use crate::{Accounts, Diagnostic, Outcome, PluginError, distribute, mul_div_floor, problem};

/// Who has what an unfilled window leaves. Rosenfeld (arXiv 1112.4980): it "must go somewhere
/// explicit".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unfilled {
    /// The miners present share the whole pot.
    Miners,
    /// Each unit of work is paid what it would be in a full window; the rest is the pool's.
    /// Where no share stands before the block, that is all of it.
    Pool,
}

/// A window of a thousand blocks: past it the u64 sum of a window's work could pass 2^63.
const N_MILLI_MAX: u64 = 1_000_000;

/// What is wrong with a window in thousandths of a block at `/n_milli`, if anything is.
pub fn window_problem(n_milli: u64) -> Option<Diagnostic> {
    let message = || format!("a window of {n_milli} thousandths of a block");
    let hint = "1 to 1000000; 2000 is the usual N = 2";
    (!(1..=N_MILLI_MAX).contains(&n_milli)).then(|| problem("/n_milli", message(), hint))
}

/// Divides `pot` over a window that can hold `window_work`, less the scheme's fee and those
/// of single accounts; what an unfilled window leaves goes where the policy says.
///
/// # Errors
/// When there is more work than the window holds.
pub fn distribute_window(
    accounts: Accounts,
    pot: u64,
    window_work: u64,
    unfilled: Unfilled,
    fee_ppm: u32,
) -> Result<Outcome, PluginError> {
    let work = accounts.total_work();
    if work > window_work {
        let text = format!("{work} of work in a window of {window_work}");
        return Err(PluginError::InvalidInput(text));
    }
    let mut outcome = match unfilled {
        Unfilled::Miners => distribute(accounts, pot, fee_ppm),
        Unfilled::Pool => divide(accounts, pot, fee_ppm, window_work.into()),
    };
    if work < window_work {
        let filled = mul_div_floor(work, 1000, window_work);
        outcome.notes.push(format!("window filled to {filled} of 1000"));
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Allocation;

    const BLOCK: u64 = 1 << 52;

    #[test]
    fn what_an_unfilled_window_leaves_goes_where_the_policy_says() {
        use Unfilled::{Miners, Pool};
        let full = 2 * BLOCK;
        // fee, unfilled, work, what the pool has of 1000
        for (fee_ppm, unfilled, work, pool) in [
            (0, Miners, vec![full], 0),
            (0, Pool, vec![full], 0),
            (0, Miners, vec![BLOCK / 2, BLOCK / 2], 0),
            (0, Pool, vec![BLOCK / 2, BLOCK / 2], 500),
            (10_000, Miners, vec![BLOCK], 10),
            (10_000, Pool, vec![BLOCK], 505),
            (1_000_000, Miners, vec![BLOCK], 1000),
            (0, Miners, vec![], 1000),
            (0, Pool, vec![], 1000),
            (0, Pool, vec![0], 1000),
            // No share before the block: the finder stands there with the least work there is.
            (0, Miners, vec![1], 0),
            (0, Pool, vec![1], 1000),
        ] {
            let rows = work.len();
            let accounts = Accounts {
                key: (0..rows as u64).collect(),
                work: work.clone(),
                fee_ppm: vec![0; rows],
            };
            let outcome = distribute_window(accounts, 1000, full, unfilled, fee_ppm).unwrap();
            assert_eq!(outcome.pool_fee, pool, "{fee_ppm} {unfilled:?} {work:?}");
            let Allocation::Weights(weights) = outcome.allocation else { panic!("weights") };
            assert_eq!(weights, work);
        }
    }

    #[test]
    fn a_window_that_holds_more_than_it_can_is_refused() {
        let accounts = Accounts { key: vec![1], work: vec![3], fee_ppm: vec![0] };
        let refused = distribute_window(accounts, 1000, 2, Unfilled::Miners, 0);
        assert!(matches!(refused, Err(PluginError::InvalidInput(_))));
    }

    #[test]
    fn a_window_has_a_size() {
        for (n_milli, good) in [(0, false), (1, true), (1_000_000, true), (1_000_001, false)] {
            assert_eq!(window_problem(n_milli).is_none(), good, "{n_milli}");
        }
    }
}
