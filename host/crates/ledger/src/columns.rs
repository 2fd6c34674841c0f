//! From names to the columns a component sees, and what makes their order stable.

use crate::{AccountName, Accounts, SaltedKey};

/// What one account did in a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contribution {
    /// Who.
    pub account: AccountName,
    /// Who, to strangers.
    pub salted: SaltedKey,
    /// How much, in the unit of account (see [`crate::SCORE_PER_BLOCK`]).
    pub work: u64,
    /// What is added to the scheme's fee for it, parts per million; negative is a bonus.
    pub fee_ppm: i32,
}

/// Whose the rows of columns are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The account of each row.
    pub accounts: Vec<AccountName>,
    /// The same, to strangers.
    pub salted: Vec<SaltedKey>,
}

impl Accounts {
    /// Columns with one row per contribution, and whose each row is.
    ///
    /// Rows are sorted by salted key. Should the 63 bits of two be the same, the later row
    /// takes the next free key: keys are strictly increasing and depend on nothing but the
    /// set of accounts in the window.
    pub fn of(mut contributions: Vec<Contribution>) -> (Self, Names) {
        contributions.sort_by_key(|row| row.salted);
        let key = keys_of(contributions.iter().map(|row| row.salted.key()));
        let mut columns = Self { key, work: Vec::new(), fee_ppm: Vec::new() };
        let mut names = Names::default();
        for row in contributions {
            columns.work.push(row.work);
            columns.fee_ppm.push(row.fee_ppm);
            names.accounts.push(row.account);
            names.salted.push(row.salted);
        }
        (columns, names)
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.key.len()
    }
}

/// Ascending 63-bit keys, made strictly increasing.
pub(crate) fn keys_of(ascending: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut next = 0;
    ascending
        .map(|key| {
            let key = key.max(next);
            next = key.saturating_add(1);
            key
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Salt;

    fn row(name: &str, work: u64) -> Contribution {
        let account = AccountName::new(name).unwrap();
        let salted = SaltedKey::of(&account, &Salt::from_bytes([1; 16]));
        Contribution { account, salted, work, fee_ppm: 7 }
    }

    #[test]
    fn rows_come_in_key_order_whatever_the_order_of_arrival() {
        let forth = Accounts::of(vec![row("a", 1), row("b", 2), row("c", 3)]);
        let back = Accounts::of(vec![row("c", 3), row("b", 2), row("a", 1)]);
        assert_eq!(forth, back);
        let (columns, names) = forth;
        assert!(columns.key.is_sorted_by(|a, b| a < b));
        for (key, salted) in columns.key.iter().zip(&names.salted) {
            assert_eq!(*key, salted.key());
        }
        assert_eq!(columns.fee_ppm, [7, 7, 7]);
    }

    #[test]
    fn a_key_in_use_moves_to_the_next_free_one() {
        let top = u64::MAX >> 1;
        assert_eq!(keys_of([1, 1, 1, 2, 9].into_iter()), [1, 2, 3, 4, 9]);
        assert_eq!(keys_of([top, top, top].into_iter()), [top, top + 1, top + 2]);
    }
}
