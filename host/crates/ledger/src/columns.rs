//! From names to the columns a component sees, and what makes their order stable.

use crate::{AccountName, Accounts};

/// What one account did in a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contribution {
    /// Who.
    pub account: AccountName,
    /// How much, in the unit of account (see [`crate::SCORE_PER_BLOCK`]).
    pub work: u64,
    /// The account's fee, parts per million.
    pub fee_ppm: u32,
}

impl Accounts {
    /// Columns with one row per contribution, and the name of each row.
    ///
    /// Rows are sorted by (key, name). Should two names have one key, the later row takes
    /// the next free one: keys are strictly increasing and depend on nothing but the
    /// set of names in the window.
    pub fn of(mut contributions: Vec<Contribution>) -> (Self, Vec<AccountName>) {
        contributions.sort_by_cached_key(|row| (row.account.key(), row.account.clone()));
        let keys = contributions.iter().map(|row| row.account.key());
        let mut columns = Self { key: distinct(keys), work: Vec::new(), fee_ppm: Vec::new() };
        let mut names = Vec::with_capacity(contributions.len());
        for row in contributions {
            columns.work.push(row.work);
            columns.fee_ppm.push(row.fee_ppm);
            names.push(row.account);
        }
        (columns, names)
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.key.len()
    }
}

/// Ascending 63-bit keys, made strictly increasing.
fn distinct(ascending: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut next = 0;
    ascending
        .map(|key| {
            let key = key.max(next);
            next = key + 1;
            key
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, work: u64) -> Contribution {
        Contribution { account: AccountName::new(name).unwrap(), work, fee_ppm: 7 }
    }

    #[test]
    fn rows_come_in_key_order_whatever_the_order_of_arrival() {
        let forth = Accounts::of(vec![row("a", 1), row("b", 2), row("c", 3)]);
        let back = Accounts::of(vec![row("c", 3), row("b", 2), row("a", 1)]);
        assert_eq!(forth, back);
        let (columns, names) = forth;
        assert!(columns.key.is_sorted_by(|a, b| a < b));
        for (key, name) in columns.key.iter().zip(&names) {
            assert_eq!(*key, name.key());
        }
        assert_eq!(columns.fee_ppm, [7, 7, 7]);
    }

    #[test]
    fn a_key_in_use_moves_to_the_next_free_one() {
        let top = u64::MAX >> 1;
        assert_eq!(distinct([1, 1, 1, 2, 9].into_iter()), [1, 2, 3, 4, 9]);
        assert_eq!(distinct([top, top, top].into_iter()), [top, top + 1, top + 2]);
    }
}
