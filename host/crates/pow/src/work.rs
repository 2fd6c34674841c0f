//! Work: how many hashes a target is expected to cost.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

use ruint::aliases::U256;

use crate::Target;

/// Expected hashes, `floor(2^256 / (target + 1))`, as Bitcoin's chain work counts them.
///
/// Sums saturate: 2^128 hashes are out of reach of any chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Work(u128);

impl Work {
    /// No work.
    pub const ZERO: Self = Self(0);

    /// From a count of expected hashes.
    pub const fn from_hashes(hashes: u128) -> Self {
        Self(hashes)
    }

    /// The count of expected hashes.
    pub const fn hashes(self) -> u128 {
        self.0
    }
}

impl Target {
    /// The work of one hash that meets this target.
    pub fn work(self) -> Work {
        let target = self.uint();
        if target == U256::MAX {
            return Work(1);
        }
        // 2^256 does not fit: floor(2^256 / (t+1)) = floor((2^256 - (t+1)) / (t+1)) + 1.
        let hashes = (!target / (target + U256::from(1))).saturating_add(U256::from(1));
        Work(u128::try_from(hashes).unwrap_or(u128::MAX))
    }
}

impl Add for Work {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Work {
    fn sum<I: Iterator<Item = Self>>(shares: I) -> Self {
        shares.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
