//! Simulated miners: shares come at random, as in life, from a seed.

/// What one tick of a session looks like to a strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// Shares accepted.
    pub accepted: u32,
    /// The sum of their difficulties, in units of 2^-32.
    pub accepted_difficulty: u64,
    /// How long the tick was.
    pub window_ms: u32,
}

/// A Poisson miner.
#[derive(Debug, Clone)]
pub struct Miner {
    /// Difficulty-one shares per minute it can find.
    pub rate: f64,
    seed: u64,
}

impl Miner {
    /// A miner that finds so many shares of difficulty one per minute. Seeds may be small and
    /// consecutive.
    pub fn new(rate: f64, seed: u64) -> Self {
        let mut miner = Self { rate, seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 };
        for _ in 0..8 {
            miner.uniform();
        }
        miner
    }

    /// Shares per minute it is expected to find at a difficulty in units of 2^-32.
    pub fn shares_per_minute(&self, difficulty: u64) -> f64 {
        self.rate * (1_u64 << 32) as f64 / difficulty as f64
    }

    /// Works for one tick at a difficulty.
    pub fn mine(&mut self, difficulty: u64, window_ms: u32) -> Tick {
        let accepted =
            self.poisson(self.shares_per_minute(difficulty) * f64::from(window_ms) / 6e4);
        let accepted_difficulty = u64::from(accepted).saturating_mul(difficulty);
        Tick { accepted, accepted_difficulty, window_ms }
    }

    /// Gaps between shares are exponential; above a thousand shares, whose exact number says
    /// no more, a normal approximation.
    fn poisson(&mut self, mean: f64) -> u32 {
        if mean > 1000.0 {
            let normal = (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0;
            return (mean + normal * mean.sqrt()) as u32;
        }
        let mut shares = 0;
        let mut time = -self.uniform().ln();
        while time < mean {
            shares += 1;
            time -= self.uniform().ln();
        }
        shares
    }

    /// Above 0, below 1.
    fn uniform(&mut self) -> f64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        ((self.seed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }
}
