//! Exact integer arithmetic for base units. Nothing here rounds up, and nothing is lost.

/// A whole, in parts per million.
pub const PPM: u32 = 1_000_000;

/// `floor(a * b / divisor)` without overflow in between.
///
/// # Panics
/// When `divisor` is 0 or the result passes 64 bits: in a component, a trap.
pub fn mul_div_floor(a: u64, b: u64, divisor: u64) -> u64 {
    let quotient = u128::from(a) * u128::from(b) / u128::from(divisor);
    u64::try_from(quotient).expect("the result fits 64 bits: a <= divisor or b <= divisor")
}

/// `parts` millionths of `amount`, rounded down. More than a million counts as the whole.
pub fn ppm_floor(amount: u64, parts: u32) -> u64 {
    mul_div_floor(amount, u64::from(parts.min(PPM)), u64::from(PPM))
}

/// Splits `total` by weight so that the parts sum to `total` exactly: everybody gets the
/// rounded-down part, then one unit each to the largest remainders, ties by smaller key.
///
/// All zero if no weight is above zero.
///
/// # Panics
/// When the columns differ in length.
pub fn split_exact(total: u64, weights: &[u64], keys: &[u64]) -> Vec<u64> {
    assert_eq!(weights.len(), keys.len(), "one key per weight");
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let mut left = total;
    let mut parts = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    for (row, weight) in weights.iter().enumerate() {
        let product = u128::from(total) * u128::from(*weight);
        let part = (product / sum) as u64;
        left -= part;
        parts.push(part);
        remainders.push((std::cmp::Reverse(product % sum), keys[row], row));
    }
    let extra = usize::try_from(left).expect("fewer units left than rows");
    if extra > 0 {
        remainders.select_nth_unstable(extra - 1);
        for (_, _, row) in &remainders[..extra] {
            parts[*row] += 1;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mul_div_floor_is_exact_at_the_edges() {
        for (a, b, divisor, expected) in [
            (0, 5, 3, 0),
            (7, 3, 2, 10),
            (u64::MAX, u64::MAX, u64::MAX, u64::MAX),
            (u64::MAX, 1, 2, u64::MAX / 2),
            (10, 999_999, 1_000_000, 9),
        ] {
            assert_eq!(mul_div_floor(a, b, divisor), expected, "{a} * {b} / {divisor}");
        }
    }

    #[test]
    fn t15_the_parts_of_a_split_sum_to_the_total() {
        // total, weights, keys, parts
        for (total, weights, keys, parts) in [
            (100, vec![1, 1, 1], vec![1, 2, 3], vec![34, 33, 33]),
            (100, vec![1, 1, 1], vec![3, 2, 1], vec![33, 33, 34]),
            (2, vec![1, 1, 1], vec![5, 6, 7], vec![1, 1, 0]),
            (10, vec![0, 7, 0], vec![1, 2, 3], vec![0, 10, 0]),
            (10, vec![0, 0], vec![1, 2], vec![0, 0]),
            (0, vec![3, 4], vec![1, 2], vec![0, 0]),
            (7, vec![], vec![], vec![]),
            (11, vec![3, 5], vec![1, 2], vec![4, 7]),
        ] {
            assert_eq!(split_exact(total, &weights, &keys), parts, "{total} by {weights:?}");
        }
    }

    #[test]
    fn t15_no_seed_splits_unevenly() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..500 {
            let rows = next() as usize % 40 + 1;
            let weights: Vec<u64> = (0..rows).map(|_| next() >> 8).collect();
            let keys: Vec<u64> = (0..rows as u64).collect();
            let total = next();
            let parts = split_exact(total, &weights, &keys);
            assert_eq!(parts.iter().map(|part| u128::from(*part)).sum::<u128>(), total.into());
            let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
            for (part, weight) in parts.iter().zip(&weights) {
                let exact = u128::from(total) * u128::from(*weight) / sum;
                assert!((exact..=exact + 1).contains(&u128::from(*part)));
            }
        }
    }
}
