//! `2^-x` in integers: the factor by which work of some age counts.
//!
//! A factor has 32 binary places: 2^32 is all of it, and work older than 33 half-lives counts
//! nothing. The exponent is cut into half-lives, which shift, and 32 binary places, each of
//! which multiplies by `2^(-2^-k)`: repeated square roots of one half, taken in integers.

use chimera_plugin_sdk::BLOCK_WORK;

const PLACES: u32 = 32;
/// What the roots and their products are counted in: 2^63 is one.
const ONE_BITS: u32 = 63;

/// The roots.
pub(crate) struct Decay {
    /// `2^(-2^-k)` for k from 1, rounded down to 63 binary places.
    roots: [u128; PLACES as usize],
}

impl Decay {
    /// Takes the roots.
    pub(crate) fn new() -> Self {
        let mut roots = [0; PLACES as usize];
        let mut square = 1_u128 << (ONE_BITS - 1);
        for root in &mut roots {
            *root = (square << ONE_BITS).isqrt();
            square = *root;
        }
        Self { roots }
    }

    /// The factor of work that is `age` of `slices` slices of a `round` of work old.
    pub(crate) fn factor(&self, age: u64, slices: u64, round: u64, half_life_milli: u64) -> u64 {
        // Half-lives with 32 binary places: 10 + 63 + 10 + 32 bits.
        let work = (u128::from(age) * u128::from(round) * 1000) << PLACES;
        let half_life = u128::from(slices) * u128::from(half_life_milli) * u128::from(BLOCK_WORK);
        self.power(work / half_life)
    }

    /// `2^32 * 2^-(exponent / 2^32)`, rounded down.
    fn power(&self, exponent: u128) -> u64 {
        let halves = exponent >> PLACES;
        let mut power = 1_u128 << ONE_BITS;
        for (place, root) in self.roots.iter().enumerate() {
            if exponent >> (PLACES as usize - 1 - place) & 1 == 1 {
                power = (power * root) >> ONE_BITS;
            }
        }
        let factor = u64::try_from(power).expect("at most one") >> (ONE_BITS - PLACES);
        u32::try_from(halves).ok().and_then(|halves| factor.checked_shr(halves)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: u64 = 1 << PLACES;

    #[test]
    fn factors_are_the_curve_to_the_last_binary_place() {
        let decay = Decay::new();
        for hundredths in 0..4_000_u32 {
            let x = f64::from(hundredths) / 100.0;
            let exponent = u128::from(hundredths) * u128::from(ONE) / 100;
            let (exact, factor) = ((-x).exp2() * ONE as f64, decay.power(exponent) as f64);
            assert!((factor - exact).abs() <= 2.0, "2^-{x}: {factor}, not {exact}");
        }
    }

    #[test]
    fn a_half_life_halves_and_the_old_counts_nothing() {
        let decay = Decay::new();
        // age, slices, round, half-life, factor
        for (age, slices, round, half_life, factor) in [
            (0, 1024, BLOCK_WORK, 500, ONE),
            (512, 1024, BLOCK_WORK, 500, ONE / 2),
            (1023, 1024, 512 * BLOCK_WORK, 1_000_000, 3_012_888_213),
            (512, 1024, 4 * BLOCK_WORK, 500, ONE / 16),
            (1, 1024, (1 << 63) - 1, 500, ONE / 16),
            (1023, 1024, (1 << 63) - 1, 1, 0),
            (1, 1, 33 * BLOCK_WORK, 1_000, 0),
            (1, 1, 32 * BLOCK_WORK, 1_000, 1),
        ] {
            let found = decay.factor(age, slices, round, half_life);
            assert!(found.abs_diff(factor) <= 2, "{age} of {slices} of {round}: {found}");
        }
    }
}
