//! The last step of every scheme that divides a pot: weights become an allocation.
//!
//! An account's quota is `pot * weight / unit * kept`, where `kept` is one less its fees
//! (see [`kept_ppm`](crate::kept_ppm)). Every account gets its quota rounded down, and the
//! units left go to the largest fractions, ties by key: nothing is lost, equal weight with
//! equal fee differs by one unit at most, and a fee or bonus of one account moves nothing
//! but the pool's fee.

use crate::{Accounts, Allocation, Outcome, Quota, kept_ppm};

/// Divides `pot` among those present by their work, less the scheme's fee and their own.
/// If nobody worked, the pot is the pool's, so that nothing is left without an owner.
///
/// Where all keep the same part, the answer is the work itself, for the host to apportion.
pub fn distribute(accounts: Accounts, pot: u64, fee_ppm: u32) -> Outcome {
    let total = accounts.total_work().into();
    divide(accounts, pot, fee_ppm, total)
}

/// As [`distribute`], by other weights than work, one per row: each below 2^95, and so their
/// sum. The answer is amounts.
///
/// # Panics
/// When there is not one weight per row, or they sum to 2^95 or more.
pub fn distribute_by(accounts: &Accounts, weights: &[u128], pot: u64, fee_ppm: u32) -> Outcome {
    assert_eq!(weights.len(), accounts.key.len(), "one weight per account");
    let unit: u128 = weights.iter().sum();
    if unit == 0 {
        return pool_takes_all(weights.len(), pot);
    }
    let (amounts, paid) = amounts(accounts, weights, pot, fee_ppm, unit);
    outcome(Allocation::Amounts(amounts), pot - paid)
}

/// Divides by work where a weight of `unit` would be the whole pot. What the work leaves of
/// it is the pool's.
pub(crate) fn divide(accounts: Accounts, pot: u64, fee_ppm: u32, unit: u128) -> Outcome {
    let total = u128::from(accounts.total_work());
    if total == 0 {
        return pool_takes_all(accounts.key.len(), pot);
    }
    let mut workers = accounts.work.iter().zip(&accounts.fee_ppm).filter(|row| *row.0 > 0);
    let first = workers.next().map_or(0, |(_, fee)| kept_ppm(fee_ppm, *fee));
    if workers.all(|(_, fee)| kept_ppm(fee_ppm, *fee) == first) {
        let quota = quota(pot, total, unit, first);
        let fraction = u64::from(quota.part > 0 && total == unit);
        let paid = u64::try_from(quota.whole).expect("a quota is not above the pot") + fraction;
        return outcome(Allocation::Weights(accounts.work), pot - paid);
    }
    let weights: Vec<u128> = accounts.work.iter().map(|work| u128::from(*work)).collect();
    let (amounts, paid) = amounts(&accounts, &weights, pot, fee_ppm, unit);
    outcome(Allocation::Amounts(amounts), pot - paid)
}

/// Nobody but the pool can be paid.
pub fn pool_takes_all(rows: usize, amount: u64) -> Outcome {
    let mut outcome = outcome(Allocation::Weights(vec![0; rows]), amount);
    outcome.notes.push("no work to pay: all to the pool".to_owned());
    outcome
}

/// Every row's amount, and their sum: that of the quotas, whose last fraction of a unit is
/// the miners' when they share the whole pot, and the pool's when it has a part of its own.
fn amounts(
    accounts: &Accounts,
    weights: &[u128],
    pot: u64,
    fee_ppm: u32,
    unit: u128,
) -> (Vec<u64>, u64) {
    let quotas: Vec<Quota> = weights
        .iter()
        .zip(&accounts.fee_ppm)
        .map(|(weight, fee)| quota(pot, *weight, unit, kept_ppm(fee_ppm, *fee)))
        .collect();
    let mut amounts: Vec<u64> = quotas
        .iter()
        .map(|quota| u64::try_from(quota.whole).expect("a quota is not above the pot"))
        .collect();
    let mut fractions: Vec<_> = quotas
        .iter()
        .enumerate()
        .filter(|(_, quota)| quota.part > 0)
        .map(|(row, quota)| (std::cmp::Reverse(quota.part), accounts.key[row], row))
        .collect();
    let left =
        units_left(&quotas, unit * u128::from(crate::PPM), weights.iter().sum::<u128>() == unit);
    if left > 0 {
        fractions.select_nth_unstable(left - 1);
        for (_, _, row) in &fractions[..left] {
            amounts[*row] += 1;
        }
    }
    let paid = amounts.iter().sum();
    (amounts, paid)
}

/// How many units the fractions of all quotas make together. Never more than there are
/// fractions: each is below one.
fn units_left(quotas: &[Quota], denominator: u128, up: bool) -> usize {
    let (mut units, mut rest) = (0, 0);
    for quota in quotas {
        // Both are below the denominator, which is below 2^115.
        rest += quota.part;
        if rest >= denominator {
            rest -= denominator;
            units += 1;
        }
    }
    units + usize::from(up && rest > 0)
}

fn quota(pot: u64, weight: u128, unit: u128, kept: u32) -> Quota {
    Quota::of(pot, weight, unit, kept).expect("a weight is not above the whole")
}

fn outcome(allocation: Allocation, pool_fee: u64) -> Outcome {
    Outcome { allocation, pool_fee, carry: 0, state: Vec::new(), notes: Vec::new() }
}

#[cfg(test)]
mod tests;
