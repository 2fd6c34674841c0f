//! The last step of every scheme that distributes blocks: work becomes an allocation.

use crate::{Accounts, Allocation, Outcome, money};

/// Splits `pot` over the accounts by work; `pool_fee` is already the pool's. Fees of
/// single accounts come off their parts and go to the pool too. If nobody worked, the pot
/// is the pool's, so that nothing is left over without an owner.
///
/// Without fees of single accounts the answer is the work itself, for the host to apportion.
pub fn distribute(accounts: Accounts, pot: u64, pool_fee: u64) -> Outcome {
    if accounts.work.iter().all(|work| *work == 0) {
        return pool_takes_all(accounts.key.len(), pot + pool_fee);
    }
    if accounts.fee_ppm.iter().all(|fee| *fee == 0) {
        return outcome(Allocation::Weights(accounts.work), pool_fee);
    }
    let mut amounts = money::split_exact(pot, &accounts.work, &accounts.key);
    let mut pool_fee = pool_fee;
    for (amount, parts) in amounts.iter_mut().zip(&accounts.fee_ppm) {
        let fee = money::ppm_floor(*amount, *parts);
        *amount -= fee;
        pool_fee += fee;
    }
    outcome(Allocation::Amounts(amounts), pool_fee)
}

/// Nobody but the pool can be paid.
pub fn pool_takes_all(rows: usize, amount: u64) -> Outcome {
    let mut outcome = outcome(Allocation::Weights(vec![0; rows]), amount);
    outcome.notes.push("no work to pay: all to the pool".to_owned());
    outcome
}

fn outcome(allocation: Allocation, pool_fee: u64) -> Outcome {
    Outcome { allocation, pool_fee, carry: 0, state: Vec::new(), notes: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(rows: &[(u64, u32)]) -> Accounts {
        Accounts {
            key: (0..rows.len() as u64).collect(),
            work: rows.iter().map(|row| row.0).collect(),
            fee_ppm: rows.iter().map(|row| row.1).collect(),
        }
    }

    #[test]
    fn t15_parts_and_fees_of_single_accounts_sum_to_the_pot() {
        // rows of (work, fee), pot, amounts, pool fee (5 of it given)
        for (rows, pot, amounts, fee) in [
            (vec![(1, 0), (1, 500_000)], 101, vec![51, 25], 30),
            (vec![(3, 1_000_000), (1, 0)], 100, vec![0, 25], 80),
            (vec![(1, 1), (1, 0)], 10, vec![5, 5], 5),
        ] {
            let outcome = distribute(accounts(&rows), pot, 5);
            let Allocation::Amounts(got) = outcome.allocation else { panic!("amounts") };
            assert_eq!((got, outcome.pool_fee), (amounts, fee), "{rows:?}");
        }
    }

    #[test]
    fn without_single_fees_the_host_apportions() {
        let outcome = distribute(accounts(&[(7, 0), (2, 0)]), 100, 5);
        assert!(matches!(outcome.allocation, Allocation::Weights(weights) if weights == [7, 2]));
        assert_eq!(outcome.pool_fee, 5);
    }

    #[test]
    fn work_of_nobody_is_paid_to_the_pool() {
        for rows in [vec![], vec![(0, 10)]] {
            let outcome = distribute(accounts(&rows), 100, 5);
            assert_eq!(outcome.pool_fee, 105);
            assert_eq!(outcome.notes.len(), 1);
        }
    }
}
