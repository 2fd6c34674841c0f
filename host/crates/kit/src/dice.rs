//! Random numbers that are the same every time: a seed names a whole run.

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and good enough for test data.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`; the bias of the remainder does not matter here.
    pub(crate) const fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.next() % n }
    }

    /// From 0 to below 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of these.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    /// How many events happen where so many are expected.
    pub(crate) fn poisson(&mut self, expected: f64) -> u32 {
        // Knuth's product underflows for large means; there the sum of halves is the same.
        if expected > 200.0 {
            return self.poisson(expected / 2.0) + self.poisson(expected / 2.0);
        }
        let limit = (-expected).exp();
        let (mut count, mut product) = (0, self.fraction());
        while product > limit {
            count += 1;
            product *= self.fraction();
        }
        count
    }
}
