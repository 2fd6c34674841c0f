//! What work is worth, and that fractions add up.

use proptest::prelude::*;

use super::*;
use crate::{BLOCK_WORK as BLOCK, PPM};

/// Rows of (key, work, account fee).
fn accounts(rows: &[(u64, u64, i32)]) -> Accounts {
    Accounts {
        key: rows.iter().map(|row| row.0).collect(),
        work: rows.iter().map(|row| row.1).collect(),
        fee_ppm: rows.iter().map(|row| row.2).collect(),
    }
}

/// Amounts and next state.
fn pay(reward: u64, fee: u32, rows: &[(u64, u64, i32)], state: &[u8]) -> (Vec<u64>, Vec<u8>) {
    let outcome = accrue(&accounts(rows), BLOCK, reward, fee, state).unwrap();
    let Allocation::Amounts(amounts) = outcome.allocation else { panic!("amounts") };
    assert_eq!((outcome.pool_fee, outcome.carry), (0, 0));
    (amounts, outcome.state)
}

#[test]
fn work_is_paid_its_expected_value_less_both_fees() {
    // fee, account fee, work, reward, amount
    for (fee, own, work, reward, amount) in [
        (0, 0, BLOCK, 5_000_000_000, 5_000_000_000),
        (20_000, 0, BLOCK, 5_000_000_000, 4_900_000_000),
        (20_000, 5_000, BLOCK, 5_000_000_000, 4_875_000_000),
        (20_000, -5_000, BLOCK, 5_000_000_000, 4_925_000_000),
        (20_000, -20_001, BLOCK, 5_000_000_000, 5_000_000_000),
        (20_000, 0, BLOCK / 1024, 5_000_000_000, 4_785_156),
        (20_000, 0, 3 * BLOCK, 5_000_000_000, 14_700_000_000),
        (1_000_000, 1_000_000, BLOCK, 5_000_000_000, 0),
        (0, 0, BLOCK, u64::MAX, u64::MAX),
    ] {
        let (amounts, _) = pay(reward, fee, &[(7, work, own)], &[]);
        assert_eq!(amounts, [amount], "{fee} {own} {work} {reward}");
    }
}

#[test]
fn t15_a_share_below_one_base_unit_is_paid_in_the_end() {
    // 2^10 intervals of 0.98 / 2^10 and of 1.96 / 2^10 units.
    let mut state = vec![];
    let mut paid = 0;
    for _ in 0..1 << 10 {
        let (amounts, next) = pay(1, 20_000, &[(1, BLOCK >> 10, 0), (2, BLOCK >> 9, 0)], &state);
        paid += amounts.iter().sum::<u64>();
        state = next;
    }
    // 0.98 and 1.96 units in all; the fractions stay owed.
    assert_eq!(paid, 1);
    assert_eq!(state.len(), 8 + 2 * 24);
}

#[test]
fn who_does_not_work_keeps_what_is_owed() {
    let (_, state) = pay(1, 0, &[(1, BLOCK / 2, 0)], &[]);
    let (_, state) = pay(1, 0, &[(2, BLOCK, 0)], &state);
    let (amounts, _) = pay(1, 0, &[(1, BLOCK / 2, 0)], &state);
    assert_eq!(amounts, [1]);
}

#[test]
fn a_new_unit_of_account_keeps_the_fractions() {
    let (_, state) = pay(1, 0, &[(1, BLOCK / 2, 0)], &[]);
    let outcome = accrue(&accounts(&[(1, BLOCK, 0)]), 2 * BLOCK, 1, 0, &state).unwrap();
    assert!(matches!(outcome.allocation, Allocation::Amounts(amounts) if amounts == [1]));
}

#[test]
fn strange_state_and_worthless_work_are_refused() {
    for (network_work, reward, rows, state) in [
        (0, 1, vec![], vec![]),
        (1 << 63, 1, vec![], vec![]),
        (BLOCK, 1, vec![], vec![1, 2, 3]),
        (BLOCK, 1, vec![], vec![1; 9]),
        (BLOCK, 1, vec![], vec![0; 8]),
        (BLOCK, 1, vec![], vec![0xff; 8 + 24]),
        (1, u64::MAX, vec![(1, 1 << 62, 0)], vec![]),
        (1, u64::MAX, vec![(1, 2, 0)], vec![]),
    ] {
        assert!(accrue(&accounts(&rows), network_work, reward, 0, &state).is_err());
    }
}

proptest! {
    /// However work is cut into intervals, it is paid the same, and the same is still owed.
    #[test]
    fn t15_many_small_intervals_pay_what_one_large_one_does(
        parts in prop::collection::vec((0..2_u64, 0..BLOCK), 1..60),
        reward in prop_oneof![0..1_000_u64, any::<u32>().prop_map(u64::from)],
        fee in 0..=PPM,
        own in -1_000_000..=1_000_000_i32,
    ) {
        let (mut state, mut paid, mut work) = (vec![], [0, 0], [0, 0]);
        for (who, part) in parts {
            let (amounts, next) = pay(reward, fee, &[(who, part, own)], &state);
            paid[who as usize] += amounts[0];
            work[who as usize] += part;
            state = next;
        }
        let (once, owed) = pay(reward, fee, &[(0, work[0], own), (1, work[1], own)], &[]);
        prop_assert_eq!(paid.as_slice(), once);
        prop_assert_eq!(state, owed);
    }

    #[test]
    fn work_is_never_paid_above_its_worth(
        work in 0..=BLOCK << 9, reward in any::<u32>(), fee in 0..=PPM,
        own in -1_000_000..=1_000_000_i32,
    ) {
        let (amounts, _) = pay(reward.into(), fee, &[(1, work, own)], &[]);
        let worth = u128::from(reward) * u128::from(work) / u128::from(BLOCK);
        prop_assert!(u128::from(amounts[0]) <= worth);
    }
}
