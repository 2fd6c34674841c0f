//! An exact part of an amount: whole base units, and a fraction that is never dropped.

use crate::PPM;

/// Weights and what they are measured by stay below this many bits: a window's work (2^63)
/// times a decay factor (2^32).
const WEIGHT_BITS: u32 = 95;

/// `amount * weight / unit * kept`, to the last digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Whole base units.
    pub whole: u128,
    /// Numerator of the fraction of a unit; its denominator is `unit * 10^6`.
    pub part: u128,
}

impl Quota {
    /// The quota of a weight; `kept_ppm` parts per million of it are kept, 10^6 at most.
    /// `None` when it passes 128 bits on the way: more than 2^107 base units.
    ///
    /// # Panics
    /// When `unit` is 0, or a weight is 2^95 or more: in a component, a trap.
    pub fn of(amount: u64, weight: u128, unit: u128, kept_ppm: u32) -> Option<Self> {
        assert!(unit > 0 && unit.max(weight) >> WEIGHT_BITS == 0, "{weight} of {unit}");
        let (quotient, rest) = divided(amount, weight, unit)?;
        let kept = u128::from(kept_ppm.min(PPM));
        let (of_rest, rest) = divide(rest * kept, unit);
        let millionths = quotient.checked_mul(kept)?.checked_add(of_rest)?;
        let (whole, below) = divide(millionths, PPM.into());
        Some(Self { whole, part: below * unit + rest })
    }
}

/// `amount * weight / unit` and its remainder.
fn divided(amount: u64, weight: u128, unit: u128) -> Option<(u128, u128)> {
    if weight >> 64 == 0 {
        return Some(divide(u128::from(amount) * weight, unit));
    }
    // Long division in two digits of 32 bits: each step stays below 2^127 + 2^127.
    let (mut quotient, mut rest) = (0_u128, 0);
    for digit in [amount >> 32, amount & u64::from(u32::MAX)] {
        let (part, left) = divide((rest << 32) + u128::from(digit) * weight, unit);
        quotient = quotient.checked_mul(1 << 32)?.checked_add(part)?;
        rest = left;
    }
    Some((quotient, rest))
}

/// Quotient and remainder. WebAssembly divides 64 bits: the cheap cases are the usual ones
/// (a block is a power of two of work), and a hundred thousand accounts must fit the fuel.
fn divide(dividend: u128, divisor: u128) -> (u128, u128) {
    if divisor.is_power_of_two() {
        return (dividend >> divisor.trailing_zeros(), dividend & (divisor - 1));
    }
    if let (Ok(dividend), Ok(divisor)) = (u64::try_from(dividend), u64::try_from(divisor)) {
        return ((dividend / divisor).into(), (dividend % divisor).into());
    }
    let quotient = dividend / divisor;
    (quotient, dividend - quotient * divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_exact_at_the_edges() {
        const MAX: u64 = u64::MAX;
        let top = (1 << WEIGHT_BITS) - 1;
        // amount, weight, unit, kept, whole, part
        for (amount, weight, unit, kept, whole, part) in [
            (0, 5, 7, PPM, 0, 0),
            (10, 1, 3, PPM, 3, 1_000_000),
            (10, 1, 3, 500_000, 1, 2_000_000),
            (10, 1, 3, 0, 0, 0),
            (1, 1, 1 << 63, 1, 0, 1),
            (MAX, 1 << 62, 1 << 62, PPM, u128::from(MAX), 0),
            (MAX, top, top, PPM, u128::from(MAX), 0),
            (MAX, top, top, 1, 18_446_744_073_709, 551_615 * top),
            (3, top, 1, PPM, 3 * top, 0),
        ] {
            let quota = Quota::of(amount, weight, unit, kept);
            assert_eq!(quota, Some(Quota { whole, part }), "{amount} * {weight} / {unit}");
        }
        assert_eq!(Quota::of(MAX, 1 << 94, 1, PPM), None);
    }

    #[test]
    fn the_long_division_is_the_short_one() {
        for amount in [1, 1 << 31, 1 << 32, u64::MAX / 3, u64::MAX] {
            for (weight, unit) in
                [(7_u128, 9), (1 << 60, (1 << 61) + 1), (u64::MAX.into(), 1 << 64)]
            {
                // Both scaled alike: the same quotient, found the other way.
                let long = Quota::of(amount, weight << 30, unit << 30, PPM).unwrap();
                let short = Quota::of(amount, weight, unit, PPM).unwrap();
                assert_eq!((long.whole, long.part), (short.whole, short.part << 30));
            }
        }
    }
}
