//! Difficulty: what the field calls a target on the wire and in configuration.

use std::fmt;

use ruint::Uint;

use crate::Target;

/// Wide enough for difficulty one shifted by the smallest usable difficulty's exponent.
type Wide = Uint<384, 6>;

/// How many times harder than [`Target::DIFFICULTY_ONE`]: a positive, finite number,
/// usually fractional for Blake2s on CPUs (about 1e-6).
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Difficulty(f64);

/// A number that is no difficulty.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is no difficulty: it must be a finite number above zero")]
pub struct BadDifficulty(pub f64);

impl Difficulty {
    /// Difficulty 1, what miners assume before they are told.
    pub const ONE: Self = Self(1.0);

    /// Checks a number.
    ///
    /// # Errors
    /// When it is zero, negative, infinite or not a number.
    pub fn new(value: f64) -> Result<Self, BadDifficulty> {
        if value.is_finite() && value > 0.0 { Ok(Self(value)) } else { Err(BadDifficulty(value)) }
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// From the integer form components use, in units of 2^-32. `None` for zero.
    #[expect(clippy::float_arithmetic, reason = "a power of two: exact")]
    pub fn from_units(units: u64) -> Option<Self> {
        (units > 0).then(|| Self(units as f64 / 4_294_967_296.0))
    }

    /// In units of 2^-32, rounded down but never to zero, saturating at the top.
    #[expect(clippy::float_arithmetic, reason = "a power of two: exact")]
    pub fn to_units(self) -> u64 {
        ((self.0 * 4_294_967_296.0) as u64).max(1)
    }

    /// The larger of two.
    pub fn max(self, other: Self) -> Self {
        if other.0 > self.0 { other } else { self }
    }

    /// The smaller of two.
    pub fn min(self, other: Self) -> Self {
        if other.0 < self.0 { other } else { self }
    }

    /// Moves the difficulty into `[low, high]`.
    pub fn clamp(self, low: Self, high: Self) -> Self {
        self.min(high).max(low)
    }

    /// What is sent to miners: from 1 upward a whole number (some firmware mis-parses
    /// fractions there), below 1 every digit.
    pub fn for_the_wire(self) -> Self {
        if self.0 >= 1.0 { Self(self.0.floor()) } else { self }
    }

    /// `floor(difficulty-one target / difficulty)`, exact for every `f64`.
    ///
    /// Difficulties so small that the target passes 256 bits give the easiest target.
    pub fn target(self) -> Target {
        // An f64 is mantissa * 2^exponent; both integers, so the division is exact.
        let bits = self.0.to_bits();
        let raw_exponent = (bits >> 52 & 0x7ff) as i32;
        let fraction = bits & ((1 << 52) - 1);
        let (mantissa, exponent) = if raw_exponent == 0 {
            (fraction, -1074)
        } else {
            (fraction | 1 << 52, raw_exponent - 1075)
        };
        let one = Wide::from(Target::DIFFICULTY_ONE.uint());
        let quotient = if exponent >= 0 {
            // Above 2^224 nothing is left of the target; the hardest that exists is 1.
            if exponent > 200 {
                Wide::ZERO
            } else {
                one / (Wide::from(mantissa) << exponent as usize)
            }
        } else {
            let shift = exponent.unsigned_abs() as usize;
            if shift > 150 {
                return Target::MAX;
            }
            (one << shift) / Wide::from(mantissa)
        };
        if quotient.bit_len() > 256 {
            return Target::MAX;
        }
        let limbs = quotient.as_limbs();
        let value = ruint::aliases::U256::from_limbs([limbs[0], limbs[1], limbs[2], limbs[3]]);
        Target::from_uint(value.max(ruint::aliases::U256::from(1)))
    }
}

impl Target {
    /// The difficulty of this target, to the precision of an `f64`.
    #[expect(clippy::float_arithmetic, reason = "scaling by a power of two")]
    pub fn difficulty(self) -> Difficulty {
        let target = Wide::from(self.uint().max(ruint::aliases::U256::from(1)));
        let scaled = (Wide::from(Self::DIFFICULTY_ONE.uint()) << 128_usize) / target;
        // Keep 64 significant bits: more than an f64 holds.
        let drop = scaled.bit_len().saturating_sub(64);
        let top = (scaled >> drop).to::<u64>() as f64;
        let exponent = i32::try_from(drop).expect("at most 384 bits") - 128;
        Difficulty((top * 2f64.powi(exponent)).max(f64::MIN_POSITIVE))
    }
}

impl fmt::Display for Difficulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
