//! Exact division: the largest-remainder method (Hamilton's), which misses no unit and
//! gives equal weights amounts that differ by one unit at most.

/// Divides `pot` in proportion to `weights`. Each part is the exact quota rounded down,
/// plus one unit for the largest remainders until the pot is empty; among equal
/// remainders the smallest key comes first. A weight of zero gets zero.
///
/// `None` when there is a pot but no weight. `keys` are distinct, one per weight.
pub(crate) fn apportion(pot: u64, weights: &[u64], keys: &[u64]) -> Option<Vec<u64>> {
    debug_assert_eq!(weights.len(), keys.len());
    let total: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
    if total == 0 {
        return (pot == 0).then(|| vec![0; weights.len()]);
    }
    let mut parts = Vec::with_capacity(weights.len());
    let mut remainders = Vec::new();
    let mut left = pot;
    for (row, &weight) in weights.iter().enumerate() {
        let product = u128::from(pot) * u128::from(weight);
        let part = u64::try_from(product / total).expect("a quota is not above the pot");
        parts.push(part);
        left -= part;
        let remainder = product % total;
        if remainder > 0 {
            remainders.push((remainder, row));
        }
    }
    // The remainders add up to left * total and each is below total: there are more of
    // them than units left, and only the order of the best matters.
    let left = usize::try_from(left).expect("fewer units are left than there are rows");
    if left > 0 {
        remainders.select_nth_unstable_by(left - 1, |a, b| {
            b.0.cmp(&a.0).then_with(|| keys[a.1].cmp(&keys[b.1]))
        });
        for &(_, row) in &remainders[..left] {
            parts[row] += 1;
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::apportion;

    #[test]
    fn largest_remainders_first_then_smallest_keys() {
        for (pot, weights, keys, parts) in [
            (10, &[1, 1, 1][..], &[3, 1, 2][..], &[3, 4, 3][..]),
            (11, &[1, 1, 1], &[3, 1, 2], &[3, 4, 4]),
            (10, &[2, 3, 4], &[1, 2, 3], &[2, 3, 5]),
            (1, &[0, 5, 0], &[1, 2, 3], &[0, 1, 0]),
            (0, &[1, 2], &[1, 2], &[0, 0]),
            (0, &[], &[], &[]),
            (u64::MAX, &[u64::MAX, u64::MAX], &[1, 2], &[1 << 63, (1 << 63) - 1]),
        ] {
            assert_eq!(apportion(pot, weights, keys).as_deref(), Some(parts), "{pot} {weights:?}");
        }
    }

    #[test]
    fn a_pot_needs_somebody() {
        assert_eq!(apportion(1, &[], &[]), None);
        assert_eq!(apportion(1, &[0, 0], &[1, 2]), None);
    }
}
