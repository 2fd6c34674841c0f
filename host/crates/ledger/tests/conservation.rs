//! Properties of every split: nothing is lost, nothing invented, nobody favoured.

use chimera_ledger::{
    Account, AccountName, Accounts, Allocation, Breach, Contribution, Distribution, Event, Limits,
    Names, Plan, Proposal, Request, Salt, SaltedKey, SchemeKind, Slices, WindowSize,
};
use proptest::prelude::*;

const PLAN: Plan = Plan {
    kind: SchemeKind::Distribute,
    window: WindowSize::NetworkWorkMilli(2_000),
    buckets: 1,
    carry_max: u64::MAX,
};

fn names(rows: usize) -> Vec<AccountName> {
    let name = |row| AccountName::new(format!("miner {row}")).expect("short and visible");
    (0..rows).map(name).collect()
}

/// A block for the given work, and the names in row order.
fn block(reward: u64, carry: u64, work: &[u64]) -> (Request, Vec<AccountName>) {
    let contributions = names(work.len())
        .into_iter()
        .zip(work)
        .map(|(account, &work)| {
            let salted = SaltedKey::of(&account, &Salt::from_bytes([1; 16]));
            Contribution { account, salted, work, fee_ppm: 0 }
        })
        .collect();
    let (accounts, Names { accounts: names, .. }) = Accounts::of(contributions);
    let event = Event::Block {
        height: 7,
        reward,
        tx_fees: 0,
        window_work: 0,
        found_at_ms: 0,
        finder: None,
    };
    (Request { event, accounts, slices: Slices::default(), carry, state: Vec::new() }, names)
}

fn by_work(request: &Request, pool_fee: u64, carry: u64) -> Proposal {
    Proposal {
        allocation: Allocation::Weights(request.accounts.work.clone()),
        pool_fee,
        carry,
        state: Vec::new(),
        notes: Vec::new(),
    }
}

fn check(request: &Request, proposal: Proposal) -> Result<Distribution, Breach> {
    Distribution::check("payout-test", request, &PLAN, proposal, &Limits::default())
        .map_err(|imbalance| imbalance.breach)
}

fn amounts(reward: u64, work: &[u64]) -> Vec<u64> {
    let (request, _) = block(reward, 0, work);
    let split = check(&request, by_work(&request, 0, 0)).expect("weights always balance");
    split.amounts().to_vec()
}

fn edge_units() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(u64::MAX), any::<u64>(), 0..1_000_u64]
}

proptest! {
    #[test]
    fn t15_credits_fee_and_carry_sum_to_the_reward(
        reward in edge_units(),
        carry_in in edge_units(),
        fee in edge_units(),
        carry_out in edge_units(),
        work in prop::collection::vec(edge_units(), 0..40),
    ) {
        let (request, names) = block(reward, carry_in, &work);
        match check(&request, by_work(&request, fee, carry_out)) {
            Ok(split) => {
                let credits: u128 = split.amounts().iter().map(|&x| u128::from(x)).sum();
                prop_assert_eq!(
                    credits + u128::from(fee) + u128::from(carry_out),
                    u128::from(reward) + u128::from(carry_in)
                );
                for (&amount, &work) in split.amounts().iter().zip(&request.accounts.work) {
                    prop_assert!(work > 0 || amount == 0);
                }
                let transfers = split.transfers("block:x", &names).unwrap();
                prop_assert_eq!(balance(&transfers, &Account::Chain), -i128::from(reward));
                prop_assert_eq!(balance(&transfers, &Account::PoolFee), i128::from(fee));
                prop_assert_eq!(
                    balance(&transfers, &Account::Carry),
                    i128::from(carry_out) - i128::from(carry_in)
                );
            }
            Err(Breach::Fee { .. }) => prop_assert!(fee > reward),
            Err(Breach::TooLarge { .. }) => prop_assert!(reward.checked_add(carry_in).is_none()),
            Err(Breach::Overdrawn { .. }) => {
                let spent = u128::from(fee) + u128::from(carry_out);
                prop_assert!(spent > u128::from(reward) + u128::from(carry_in));
            }
            Err(Breach::NobodyNamed { pot, .. }) => {
                prop_assert!(pot > 0 && work.iter().all(|&x| x == 0));
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn t15_equal_work_differs_by_one_unit_at_most(
        reward in any::<u64>(),
        work in prop::collection::vec(1..5_u64, 1..60),
    ) {
        let (request, _) = block(reward, 0, &work);
        let split = check(&request, by_work(&request, 0, 0)).unwrap();
        for level in 1..5 {
            let equal = || {
                let rows = split.amounts().iter().zip(&request.accounts.work);
                rows.filter(|&(_, &work)| work == level).map(|(&amount, _)| amount)
            };
            if let (Some(least), Some(most)) = (equal().min(), equal().max()) {
                prop_assert!(most - least <= 1);
            }
        }
    }

    #[test]
    fn t15_amounts_follow_relabelled_accounts_up_to_one_unit(
        reward in any::<u64>(),
        work in prop::collection::vec(any::<u32>().prop_map(u64::from), 2..60),
    ) {
        prop_assume!(work.iter().any(|&x| x > 0));
        let (request, _) = block(reward, 0, &work);
        let split = check(&request, by_work(&request, 0, 0)).unwrap();
        // The same rows under other names: key order and ties change, quotas do not.
        let mut turned = request.clone();
        turned.accounts.work.rotate_left(1);
        let again = check(&turned, by_work(&turned, 0, 0)).unwrap();
        let mut back = again.amounts().to_vec();
        back.rotate_right(1);
        for (a, b) in split.amounts().iter().zip(&back) {
            prop_assert!(a.abs_diff(*b) <= 1);
        }
    }

    #[test]
    fn t15_scaling_all_work_changes_nothing(
        reward in any::<u64>(),
        work in prop::collection::vec(1..1_000_000_u64, 1..60),
        scale in 1..1_000_000_u64,
    ) {
        let scaled: Vec<u64> = work.iter().map(|work| work * scale).collect();
        prop_assert_eq!(amounts(reward, &work), amounts(reward, &scaled));
    }

    #[test]
    fn more_work_never_earns_less(
        reward in any::<u64>(),
        work in prop::collection::vec(1..1_000_u64, 2..40),
    ) {
        let (request, _) = block(reward, 0, &work);
        let split = check(&request, by_work(&request, 0, 0)).unwrap();
        let mut rows: Vec<(u64, u64)> =
            request.accounts.work.iter().copied().zip(split.amounts().iter().copied()).collect();
        rows.sort_unstable();
        prop_assert!(rows.windows(2).all(|pair| pair[0].0 == pair[1].0 || pair[0].1 <= pair[1].1));
    }

    #[test]
    fn t16_the_same_proposal_always_gives_the_same_transfers(
        reward in any::<u64>(),
        work in prop::collection::vec(1..9_u64, 1..40),
    ) {
        let book = || {
            let (request, names) = block(reward, 0, &work);
            check(&request, by_work(&request, 0, 0)).unwrap().transfers("block:x", &names).unwrap()
        };
        prop_assert_eq!(book(), book());
    }
}

fn balance(transfers: &[chimera_ledger::Transfer], account: &Account) -> i128 {
    transfers
        .iter()
        .map(|transfer| {
            let amount = i128::from(transfer.amount.units());
            let credit = if transfer.credit == *account { amount } else { 0 };
            let debit = if transfer.debit == *account { amount } else { 0 };
            credit - debit
        })
        .sum()
}

#[test]
fn t15_sums_are_exact_at_the_edges() {
    for reward in [0, 1, u64::MAX] {
        for rows in [1, 2, 100_000] {
            for work in [1, u64::MAX] {
                let parts = amounts(reward, &vec![work; rows]);
                let sum: u128 = parts.iter().map(|&part| u128::from(part)).sum();
                assert_eq!(sum, u128::from(reward), "{rows} rows of {work}");
            }
        }
    }
    // Nobody, and nothing to divide: a settlement that books nothing.
    assert_eq!(amounts(0, &[]), []);
}
