//! The number a hash must not exceed.

use std::fmt;

use ruint::aliases::U256;

use crate::PowHash;

/// A 256-bit threshold: a hash meets it when, read as a little-endian number, it is not
/// above it. Larger is easier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(U256);

impl Target {
    /// The easiest target: every hash meets it.
    pub const MAX: Self = Self(U256::MAX);

    /// Difficulty 1: `0xffff * 2^208` (Bitcoin's "pdiff").
    pub const DIFFICULTY_ONE: Self = Self(U256::from_limbs([0, 0, 0, 0xffff_0000]));

    pub(crate) const fn from_uint(value: U256) -> Self {
        Self(value)
    }

    pub(crate) const fn uint(self) -> U256 {
        self.0
    }

    /// From the 32 bytes of a little-endian number.
    pub const fn from_le_bytes(bytes: [u8; 32]) -> Self {
        Self(U256::from_le_bytes(bytes))
    }

    /// From the 32 bytes of a big-endian number, as in getblocktemplate's `target`.
    pub const fn from_be_bytes(bytes: [u8; 32]) -> Self {
        Self(U256::from_be_bytes(bytes))
    }

    /// The 32 bytes, most significant first.
    pub const fn to_be_bytes(self) -> [u8; 32] {
        self.0.to_be_bytes()
    }

    /// Whether the hash is at or below this target: exact, on all 256 bits.
    #[inline]
    pub fn is_met_by(self, hash: &PowHash) -> bool {
        U256::from_le_bytes(hash.0) <= self.0
    }

    /// This target with the slack share targets get: cpuminer-opt works with
    /// `2^224 / difficulty` and low bits all ones instead of `0xffff * 2^208 / difficulty`,
    /// one part in 65,535 easier. Network targets get none.
    pub fn with_share_tolerance(self) -> Self {
        let widened = self.0.saturating_add(self.0 / U256::from(65_535));
        let low_ones = U256::from(u128::MAX);
        // Below 2^160 the low bits would be more than a rounding error.
        Self(if widened.bit_len() > 160 { widened | low_ones } else { widened })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:064x}", self.0)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}
