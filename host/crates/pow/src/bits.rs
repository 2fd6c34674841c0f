//! The network target as it stands in a header: Bitcoin's "compact" form.

use std::fmt;

use ruint::aliases::U256;

use crate::Target;

/// A floating-point notation for targets: one byte of exponent (in bytes), three of
/// mantissa, as Bitcoin Core's `arith_uint256::SetCompact` reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CompactBits(pub u32);

/// Bits that encode no usable target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadBits {
    /// The sign bit is set.
    #[error("compact bits {0} are negative")]
    Negative(CompactBits),
    /// The target is zero: no hash meets it.
    #[error("compact bits {0} are zero")]
    Zero(CompactBits),
    /// The target does not fit into 256 bits.
    #[error("compact bits {0} overflow 256 bits")]
    Overflow(CompactBits),
}

impl fmt::Display for CompactBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl CompactBits {
    /// The target these bits stand for.
    ///
    /// # Errors
    /// When the encoding is negative, zero or above 256 bits.
    pub fn target(self) -> Result<Target, BadBits> {
        let exponent = self.0 >> 24;
        let mantissa = U256::from(self.0 & 0x007f_ffff);
        let value = if exponent <= 3 {
            mantissa >> (8 * (3 - exponent) as usize)
        } else {
            let shift = 8 * (exponent as usize - 3);
            if mantissa.bit_len() + shift > 256 && !mantissa.is_zero() {
                return Err(BadBits::Overflow(self));
            }
            mantissa << shift
        };
        if value.is_zero() {
            return Err(BadBits::Zero(self));
        }
        if self.0 & 0x0080_0000 != 0 {
            return Err(BadBits::Negative(self));
        }
        Ok(Target::from_uint(value))
    }
}

impl Target {
    /// The compact form; mantissa bits that do not fit are dropped (the target gets harder,
    /// never easier).
    pub fn compact(self) -> CompactBits {
        let value = self.uint();
        let bytes = value.bit_len().div_ceil(8);
        let mantissa = if bytes <= 3 {
            value.to::<u64>() << (8 * (3 - bytes))
        } else {
            (value >> (8 * (bytes - 3))).to::<u64>()
        };
        // The mantissa's top bit is a sign: a target that would set it moves one byte up.
        let (mantissa, bytes) = if mantissa & 0x0080_0000 != 0 {
            (mantissa >> 8, bytes + 1)
        } else {
            (mantissa, bytes)
        };
        let mantissa = u32::try_from(mantissa).expect("a mantissa has 23 bits");
        let exponent = u32::try_from(bytes).expect("256 bits are 32 bytes");
        CompactBits(exponent << 24 | mantissa)
    }
}
