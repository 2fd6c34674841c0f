//! Times in buckets of one to two percent width: a fixed table, so recording costs a few
//! nanoseconds and memory does not grow with the run.

use serde_json::{Value, json};

/// Buckets per doubling are 64: a bucket is at most 1.6 % wide.
const SUB_BITS: u32 = 6;
const SUB: usize = 1 << SUB_BITS;
/// All doublings of 64 bits.
const BUCKETS: usize = (64 - SUB_BITS as usize + 1) * SUB;

/// How often which time came, in nanoseconds.
#[derive(Clone)]
pub struct Histogram {
    counts: Box<[u64]>,
    count: u64,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS].into_boxed_slice(), count: 0, max_ns: 0 }
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Histogram({} times, max {} ns)", self.count, self.max_ns)
    }
}

impl Histogram {
    /// Counts one time.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.counts[bucket(ns)] += 1;
        self.count += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// Takes in what another one counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// How many times were counted.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The longest, exactly; zero when nothing was counted.
    pub const fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The time that so many of a million do not exceed: the upper end of its bucket, never
    /// above the longest. `None` when nothing was counted.
    pub fn at(&self, per_million: u64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let rank = u128::from(self.count) * u128::from(per_million);
        let rank = rank.div_ceil(1_000_000).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= rank {
                return Some(upper_end(index).min(self.max_ns));
            }
        }
        Some(self.max_ns)
    }

    /// The usual percentiles, in milliseconds.
    pub fn to_json(&self) -> Value {
        let ms = |per_million| self.at(per_million).map(millis);
        json!({
            "count": self.count,
            "p50": ms(500_000),
            "p90": ms(900_000),
            "p99": ms(990_000),
            "p999": ms(999_000),
            "max": (self.count > 0).then(|| millis(self.max_ns)),
        })
    }
}

/// Nanoseconds as milliseconds, to the microsecond.
pub(super) fn millis(ns: u64) -> f64 {
    ((ns + 500) / 1000) as f64 / 1000.0
}

#[inline]
fn bucket(ns: u64) -> usize {
    let doubling = (u64::BITS - ns.leading_zeros()).saturating_sub(SUB_BITS + 1);
    let sub = (ns >> doubling) as usize;
    // Below two tables' width a bucket is one nanosecond; from there `sub` has its top bit set.
    doubling as usize * SUB + sub
}

fn upper_end(index: usize) -> u64 {
    let doubling = (index / SUB).saturating_sub(1);
    let sub = (index - doubling * SUB) as u128;
    u64::try_from(((sub + 1) << doubling) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_falls_into_a_bucket_that_holds_it() {
        let mut edges: Vec<u64> = (0..64).flat_map(|bit| [1_u64 << bit, (1 << bit) - 1]).collect();
        edges.extend([u64::MAX, 999, 1_000_001, 123_456_789]);
        for ns in edges {
            let index = bucket(ns);
            assert!(index < BUCKETS, "{ns}");
            assert!(upper_end(index) >= ns, "{ns} is in a bucket up to {}", upper_end(index));
            assert!(index == 0 || upper_end(index - 1) < ns, "{ns} is not in an earlier one");
            assert!((upper_end(index) - ns) as f64 <= ns as f64 / 64.0 + 1.0, "{ns} is close");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_list() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.at(500_000), None);
        for ms in 1..=1000 {
            histogram.record(ms * 1_000_000);
        }
        for (per_million, ms) in [(500_000, 500.0), (990_000, 990.0), (999_000, 999.0)] {
            let found = histogram.at(per_million).expect("counted") as f64 / 1e6;
            assert!(found >= ms && found < ms * 1.017, "{found} for {ms}");
        }
        assert_eq!(histogram.at(1_000_000), Some(1_000_000_000));
        assert_eq!(histogram.max_ns(), 1_000_000_000);
    }

    #[test]
    fn merging_is_counting_together() {
        let (mut one, mut other, mut both) =
            (Histogram::default(), Histogram::default(), Histogram::default());
        for ns in [5, 70, 900, 12_345] {
            one.record(ns);
            both.record(ns);
        }
        for ns in [6, 1_000_000] {
            other.record(ns);
            both.record(ns);
        }
        one.merge(&other);
        assert_eq!(one.to_json(), both.to_json());
    }
}
