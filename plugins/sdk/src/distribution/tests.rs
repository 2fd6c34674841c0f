//! Nothing is lost, nothing invented, nobody favoured, whatever accounts pay.

use proptest::prelude::*;

use super::*;
use crate::{PPM, Unfilled, distribute_window};

/// Rows of (work, account fee), keys in row order.
fn accounts(rows: &[(u64, i32)]) -> Accounts {
    Accounts {
        key: (0..rows.len() as u64).collect(),
        work: rows.iter().map(|row| row.0).collect(),
        fee_ppm: rows.iter().map(|row| row.1).collect(),
    }
}

/// What each row is paid; the host apportions weights by the same rule.
fn paid(outcome: &Outcome, pot: u64, keys: &[u64]) -> Vec<u64> {
    match &outcome.allocation {
        Allocation::Amounts(amounts) => amounts.clone(),
        Allocation::Weights(weights) => crate::split_exact(pot - outcome.pool_fee, weights, keys),
    }
}

#[test]
fn t15_an_account_keeps_one_less_both_fees() {
    // rows of (work, fee), scheme fee, pot, amounts, pool fee
    for (rows, scheme, pot, expected, pool) in [
        (vec![(1, 0), (1, 500_000)], 0, 100, vec![50, 25], 25),
        (vec![(1, 0), (1, 500_000)], 0, 101, vec![51, 25], 25),
        (vec![(3, 1_000_000), (1, 0)], 0, 100, vec![0, 25], 75),
        (vec![(1, 1), (1, 0)], 0, 10, vec![5, 5], 0),
        // A bonus comes from the pool's fee and at most waives it.
        (vec![(1, -5_000), (1, 0)], 10_000, 2_000, vec![995, 990], 15),
        (vec![(1, -10_000), (1, 0)], 10_000, 2_000, vec![1000, 990], 10),
        (vec![(1, -1_000_000), (1, 0)], 10_000, 2_000, vec![1000, 990], 10),
        // What others keep does not depend on it.
        (vec![(1, 990_000), (1, 0)], 10_000, 2_000, vec![0, 990], 1010),
        (vec![(1, -250_000), (3, 0)], 1_000_000, 4_000, vec![250, 0], 3_750),
        // Who did not work does not matter.
        (vec![(1, 0), (0, 500_000)], 10_000, 1_000, vec![990, 0], 10),
    ] {
        let outcome = distribute(accounts(&rows), pot, scheme);
        let amounts = paid(&outcome, pot, &accounts(&rows).key);
        assert_eq!((amounts, outcome.pool_fee), (expected, pool), "{rows:?} {scheme} {pot}");
    }
}

#[test]
fn where_all_keep_the_same_the_host_apportions() {
    for (fee, pool) in [(0, 10), (5_000, 15), (-5_000, 5), (-20_000, 0), (1_000_000, 1000)] {
        let outcome = distribute(accounts(&[(7, fee), (2, fee)]), 1000, 10_000);
        assert!(matches!(outcome.allocation, Allocation::Weights(weights) if weights == [7, 2]));
        assert_eq!(outcome.pool_fee, pool, "{fee}");
    }
}

#[test]
fn work_of_nobody_is_paid_to_the_pool() {
    for rows in [vec![], vec![(0, 10)]] {
        let outcome = distribute(accounts(&rows), 105, 10_000);
        assert_eq!((outcome.pool_fee, outcome.notes.len()), (105, 1));
        let outcome = distribute_by(&accounts(&rows), &vec![0; rows.len()], 105, 10_000);
        assert_eq!((outcome.pool_fee, outcome.notes.len()), (105, 1));
    }
}

#[test]
fn t15_the_largest_numbers_there_are_divide_exactly() {
    let most = (1 << 62) - 1;
    let rows = [(most, 1), (most, -1), (1, 0)];
    for pot in [0, 1, 1 << 63, u64::MAX] {
        for scheme in [0, 1, 10_000, PPM] {
            let outcome = distribute(accounts(&rows), pot, scheme);
            let sum: u64 = paid(&outcome, pot, &[0, 1, 2]).iter().sum();
            assert_eq!(sum + outcome.pool_fee, pot, "{pot} {scheme}");
        }
    }
    let weights = [(1 << 94) - 1, (1 << 94) - 1, 1];
    let outcome = distribute_by(&accounts(&rows), &weights, u64::MAX, 3);
    let sum: u64 = paid(&outcome, u64::MAX, &[0, 1, 2]).iter().sum();
    assert_eq!(sum + outcome.pool_fee, u64::MAX);
}

/// Few different works and fees, so that rows with equal ones meet; and extreme ones.
fn rows() -> impl Strategy<Value = Vec<(u64, i32)>> {
    let work = prop_oneof![0..4_u64, 0..(1_u64 << 56)];
    let fee = prop_oneof![
        Just(0),
        Just(-5_000),
        Just(7),
        Just(1_000_000),
        Just(-1_000_000),
        -1_000_000..=1_000_000_i32
    ];
    prop::collection::vec((work, fee), 0..40)
}

fn pots() -> impl Strategy<Value = u64> {
    prop_oneof![0..2_000_u64, any::<u64>(), Just(u64::MAX)]
}

fn fees() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(10_000), Just(PPM), 0..=PPM]
}

/// The exact amount of a row is `numerator / (total * 10^6)`, compared without dividing.
fn within_one_unit(amount: u64, pot: u64, work: u64, total: u64, kept: u32) -> bool {
    let quota = Quota::of(pot, work.into(), total.into(), kept).unwrap();
    let up = quota.whole + u128::from(quota.part > 0);
    (quota.whole..=up).contains(&u128::from(amount))
}

proptest! {
    #[test]
    fn t15_amounts_and_fee_sum_to_the_pot_and_each_is_its_quota(
        rows in rows(), pot in pots(), fee in fees(),
    ) {
        let columns = accounts(&rows);
        let total = columns.total_work();
        let outcome = distribute(columns.clone(), pot, fee);
        let amounts = paid(&outcome, pot, &columns.key);
        prop_assert_eq!(amounts.iter().sum::<u64>() + outcome.pool_fee, pot);
        if let Allocation::Amounts(amounts) = &outcome.allocation {
            for (amount, (work, own)) in amounts.iter().zip(&rows) {
                prop_assert!(within_one_unit(*amount, pot, *work, total, kept_ppm(fee, *own)));
            }
        }
    }

    #[test]
    fn t15_equal_work_and_equal_fee_differ_by_one_unit_at_most(
        rows in rows(), pot in pots(), fee in fees(),
    ) {
        let columns = accounts(&rows);
        let amounts = paid(&distribute(columns.clone(), pot, fee), pot, &columns.key);
        for (one, amount) in rows.iter().zip(&amounts) {
            for (other, another) in rows.iter().zip(&amounts) {
                prop_assert!(one != other || amount.abs_diff(*another) <= 1, "{:?}", one);
            }
        }
    }

    #[test]
    fn one_accounts_fee_moves_nothing_but_the_pools(
        rows in rows(), pot in pots(), fee in fees(), own in -1_000_000..=1_000_000_i32,
    ) {
        prop_assume!(rows.iter().any(|row| row.0 > 0));
        let before = accounts(&rows);
        let mut after = before.clone();
        after.fee_ppm[0] = own;
        let one = paid(&distribute(before.clone(), pot, fee), pot, &before.key);
        let other = paid(&distribute(after, pot, fee), pot, &before.key);
        for (row, (one, other)) in one.iter().zip(&other).enumerate().skip(1) {
            prop_assert!(one.abs_diff(*other) <= 1, "row {}: {} and {}", row, one, other);
        }
    }

    #[test]
    fn t15_an_unfilled_window_pays_each_what_a_full_one_would(
        rows in rows(), pot in pots(), fee in fees(), empty in 1..1_u64 << 56,
    ) {
        let columns = accounts(&rows);
        let window_work = columns.total_work() + empty;
        let outcome =
            distribute_window(columns.clone(), pot, window_work, Unfilled::Pool, fee).unwrap();
        let amounts = paid(&outcome, pot, &columns.key);
        prop_assert_eq!(amounts.iter().sum::<u64>() + outcome.pool_fee, pot);
        for (amount, (work, own)) in amounts.iter().zip(&rows) {
            let kept = kept_ppm(fee, *own);
            let quota = Quota::of(pot, (*work).into(), window_work.into(), kept).unwrap();
            prop_assert!(u128::from(*amount).abs_diff(quota.whole) <= 1);
        }
    }

    #[test]
    fn scaled_weights_divide_as_work_does(
        rows in rows(), pot in pots(), fee in fees(), factor in 1..1_u128 << 32,
    ) {
        let mut columns = accounts(&rows);
        // So that work, too, is answered by amounts.
        columns.key.push(rows.len() as u64);
        columns.work.push(1);
        columns.fee_ppm.push(-1);
        columns.key.push(rows.len() as u64 + 1);
        columns.work.push(1);
        columns.fee_ppm.push(1);
        let weights: Vec<u128> =
            columns.work.iter().map(|work| u128::from(*work) * factor).collect();
        let by_weight = distribute_by(&columns, &weights, pot, fee);
        let by_work = distribute(columns.clone(), pot, fee);
        prop_assert!(by_work.pool_fee.abs_diff(by_weight.pool_fee) == 0);
        let (one, other) =
            (paid(&by_work, pot, &columns.key), paid(&by_weight, pot, &columns.key));
        for (one, other) in one.iter().zip(&other) {
            prop_assert!(one.abs_diff(*other) <= 1);
        }
    }
}
