//! The difficulty of the next block, from how long the last ones took.
//!
//! Hashes done in the window, divided by the time they took, are the hash rate; the next
//! block should take that rate one spacing. The estimate of `n` blocks is off by about
//! `1/sqrt(n)`, so the window is a compromise between calm and speed.

use chimera_pow::{CompactBits, Target, Work};
use ruint::aliases::U256;

use super::params::DevParams;

/// Blocks looked at.
pub(super) const WINDOW_BLOCKS: usize = 12;

/// One block may change the work by at most this factor: a start at the easiest target is
/// over in a few blocks, one odd time changes little.
const STEP_MAX: u128 = 4;

/// A longer solve time counts as this many spacings: after a night without miners the
/// difficulty is not all gone in the morning.
const PAUSE_SPACINGS_MAX: u32 = 6;

/// A block as the rule sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) time: u32,
    pub(super) bits: CompactBits,
}

/// The bits the next block must have. `recent` are the last blocks, oldest first; of the
/// oldest only the time counts, as the start of the window. It is never empty.
pub(super) fn next_bits(params: &DevParams, recent: &[Sample]) -> CompactBits {
    let last = recent.last().map_or(params.easiest, |sample| sample.bits);
    let Some((first, solved)) = recent.split_first().filter(|(_, solved)| !solved.is_empty())
    else {
        return last;
    };
    let mut work: u128 = 0;
    let mut elapsed_s: u128 = 0;
    // Times may run backwards; what counts is how far the latest moved.
    let mut latest = first.time;
    for sample in solved {
        work = work.saturating_add(hashes(sample.bits));
        let solve_s = sample.time.saturating_sub(latest);
        elapsed_s += u128::from(solve_s.min(PAUSE_SPACINGS_MAX * params.spacing_s));
        latest = latest.max(sample.time);
    }
    let wanted = work.saturating_mul(params.spacing_s.into()) / elapsed_s.max(1);
    let last_work = hashes(last);
    let next = wanted.clamp(last_work / STEP_MAX, last_work.saturating_mul(STEP_MAX));
    let easiest = params.easiest.target().expect("the parameters are checked");
    target_of(next).min(easiest).compact()
}

fn hashes(bits: CompactBits) -> u128 {
    bits.target().map_or(Work::ZERO, Target::work).hashes()
}

fn target_of(hashes: u128) -> Target {
    Target::from_be_bytes((U256::MAX / U256::from(hashes.max(1))).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Solve times of a miner with a steady rate: exponential, from a seed.
    struct Miner {
        seed: u64,
        rate: f64,
    }

    impl Miner {
        fn solve_s(&mut self, bits: CompactBits) -> f64 {
            // A 64-bit linear congruential generator (Knuth, MMIX); its top 53 bits.
            self.seed = self
                .seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let uniform = ((self.seed >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
            -uniform.ln() * hashes(bits) as f64 / self.rate
        }
    }

    /// Mines `count` blocks and returns the mean solve time of the last half.
    fn mine(
        params: &DevParams,
        chain: &mut Vec<Sample>,
        clock: &mut f64,
        miner: &mut Miner,
        count: usize,
    ) -> f64 {
        let mut middle = *clock;
        for nth in 0..count {
            if nth == count / 2 {
                middle = *clock;
            }
            let from = chain.len().saturating_sub(WINDOW_BLOCKS + 1);
            let bits = next_bits(params, &chain[from..]);
            *clock += miner.solve_s(bits);
            chain.push(Sample { time: *clock as u32, bits });
        }
        (*clock - middle) / (count - count / 2) as f64
    }

    #[test]
    fn blocks_come_at_the_spacing_whatever_the_hash_rate() {
        let params = DevParams::default();
        for (seed, rate) in [(1, 1e5), (2, 1e7), (3, 1e9), (4, 1e12)] {
            let mut clock = 1e9;
            let mut chain = vec![Sample { time: 1_000_000_000, bits: params.easiest }];
            let mut miner = Miner { seed, rate };
            let mean = mine(&params, &mut chain, &mut clock, &mut miner, 1000);
            assert!((8.5..12.5).contains(&mean), "{rate} hashes/s: {mean} s per block");
        }
    }

    #[test]
    fn the_spacing_returns_after_the_hash_rate_changed() {
        let params = DevParams::default();
        let mut clock = 1e9;
        let mut chain = vec![Sample { time: 1_000_000_000, bits: params.easiest }];
        let mut miner = Miner { seed: 7, rate: 1e8 };
        for rate in [1e8, 1e9, 2e7] {
            miner.rate = rate;
            mine(&params, &mut chain, &mut clock, &mut miner, 60);
            let mean = mine(&params, &mut chain, &mut clock, &mut miner, 400);
            assert!((8.0..13.0).contains(&mean), "{rate} hashes/s: {mean} s per block");
        }
    }

    #[test]
    fn one_step_is_at_most_fourfold_and_never_below_the_easiest() {
        let params = DevParams::default();
        let bits = CompactBits(0x1d00_ffff);
        let sample = |time| Sample { time, bits };
        let at_once = next_bits(&params, &[sample(5), sample(5), sample(5)]);
        assert_eq!(hashes(at_once) / hashes(bits), 4);
        let backwards = next_bits(&params, &[sample(5), sample(3), sample(1)]);
        assert_eq!(at_once, backwards, "a time before another counts as no time");
        let a_year_later = next_bits(&params, &[sample(0), sample(31_000_000)]);
        assert_eq!(hashes(bits) / hashes(a_year_later), 4);
        let easiest = Sample { time: 0, bits: params.easiest };
        let slow = Sample { time: 10_000, ..easiest };
        assert_eq!(next_bits(&params, &[easiest, slow]), params.easiest);
        assert_eq!(next_bits(&params, &[easiest]), params.easiest);
    }
}
