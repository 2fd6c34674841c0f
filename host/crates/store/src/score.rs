//! From work to the unit of account, and back to where a window ends. Exact: products
//! are taken in 256 bits and rounded down once.

use chimera_ledger::SCORE_PER_BLOCK;
use ruint::aliases::U256;

/// `floor(a * b / c)`, saturating; `c` is not zero.
pub(crate) fn mul_div(a: u128, b: u128, c: u128) -> u128 {
    let quotient = U256::from(a) * U256::from(b) / U256::from(c);
    u128::try_from(quotient).unwrap_or(u128::MAX)
}

/// What work done while a block took `network_work` counts: `floor(work * 2^52 / network_work)`.
pub(crate) fn score(work: u128, network_work: u128) -> u128 {
    mul_div(work, SCORE_PER_BLOCK.into(), network_work)
}

/// How much work a window holds, in expected blocks: an exact fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// At most 2^73 (2047 blocks of score in 1024 buckets).
    pub(crate) numerator: u128,
    /// At most 2^62.
    pub(crate) denominator: u128,
}

impl Extent {
    /// The work at `network_work` a block that fits when `used` score is taken already.
    pub(crate) fn room(self, used: u128, network_work: u128) -> u128 {
        // (n / d - used / 2^52) * network_work, over one denominator.
        let block = u128::from(SCORE_PER_BLOCK);
        let free = (self.numerator * block).saturating_sub(used * self.denominator);
        mul_div(free, network_work, self.denominator * block)
    }

    /// The same in the unit of account, rounded down.
    pub(crate) fn score(self) -> u128 {
        mul_div(self.numerator, SCORE_PER_BLOCK.into(), self.denominator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_scores_its_part_of_a_block() {
        let block = u128::from(SCORE_PER_BLOCK);
        assert_eq!(score(1_000, 1_000), block);
        assert_eq!(score(1, 3), block / 3);
        assert_eq!(mul_div(u128::MAX, u128::MAX, u128::MAX), u128::MAX);
        assert_eq!(mul_div(u128::MAX, 2, 1), u128::MAX, "saturates");
    }

    #[test]
    fn room_is_exact_on_fresh_windows_of_any_size() {
        let window = |milli| Extent { numerator: milli, denominator: 1_000 };
        for network_work in [1_u128, 3, 1_000, 999_999_999_999, 1 << 96] {
            assert_eq!(window(2_000).room(0, network_work), 2 * network_work);
            assert_eq!(window(1).room(0, network_work), network_work / 1_000);
        }
        let block = u128::from(SCORE_PER_BLOCK);
        assert_eq!(window(2_000).room(block, 1_000), 1_000);
        assert_eq!(window(2_000).room(2 * block, 1_000), 0);
        assert_eq!(window(2_000).room(3 * block, 1_000), 0, "more than full is full");
        assert_eq!(window(2_000).score(), 2 * block);
    }
}
