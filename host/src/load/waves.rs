//! How a new block spreads: from the first byte of its job on the first connection to the one
//! on the last.

use std::hash::{DefaultHasher, Hasher as _};

/// Around a new block: replies read within so long of its first byte are also counted apart.
pub(super) const NEAR_NS: u64 = 200_000_000;
/// A connection is rarely so many blocks behind.
const RECENT: usize = 8;

/// One new block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wave {
    pub(super) block: u64,
    pub(super) first_ns: u64,
    pub(super) last_ns: u64,
    /// Connections that have its job.
    pub(super) seen: u32,
    /// Connections that worked when it began.
    pub(super) expected: u32,
}

impl Wave {
    pub(super) const fn is_complete(&self) -> bool {
        self.seen >= self.expected
    }

    /// First to last.
    pub(super) const fn span_ns(&self) -> u64 {
        self.last_ns.saturating_sub(self.first_ns)
    }
}

/// The blocks of one event loop.
#[derive(Debug, Default)]
pub(super) struct Waves(pub(super) Vec<Wave>);

impl Waves {
    /// A connection that had another block was told of this one; whether it was the last.
    pub(super) fn note(&mut self, block: u64, at_ns: u64, working: u32) -> bool {
        let recent = self.0.len().saturating_sub(RECENT);
        let known = self.0[recent..].iter_mut().rev().find(|wave| wave.block == block);
        let wave = match known {
            Some(wave) => {
                wave.seen += 1;
                wave.last_ns = wave.last_ns.max(at_ns);
                wave
            }
            None => {
                let (first_ns, last_ns) = (at_ns, at_ns);
                self.0.push(Wave { block, first_ns, last_ns, seen: 1, expected: working });
                self.0.last_mut().expect("just pushed")
            }
        };
        wave.seen == wave.expected
    }

    /// Until when replies are near a new block.
    pub(super) fn near_until_ns(&self) -> u64 {
        self.0.last().map_or(0, |wave| wave.first_ns.saturating_add(NEAR_NS))
    }

    /// Takes in what another loop saw of the same blocks.
    pub(super) fn merge(&mut self, other: Self) {
        for theirs in other.0 {
            match self.0.iter_mut().find(|mine| mine.block == theirs.block) {
                Some(mine) => {
                    mine.first_ns = mine.first_ns.min(theirs.first_ns);
                    mine.last_ns = mine.last_ns.max(theirs.last_ns);
                    mine.seen += theirs.seen;
                    mine.expected += theirs.expected;
                }
                None => self.0.push(theirs),
            }
        }
    }
}

/// A block, by the previous hash in its job.
pub(super) fn block(prevhash: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(prevhash);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_spread_when_all_that_worked_have_it() {
        let mut waves = Waves::default();
        assert!(!waves.note(1, 100, 3));
        assert!(!waves.note(1, 150, 3));
        assert!(!waves.note(2, 170, 3), "the next one may overtake");
        assert!(waves.note(1, 190, 3));
        let spans: Vec<u64> =
            waves.0.iter().filter(|wave| wave.is_complete()).map(Wave::span_ns).collect();
        assert_eq!(spans, [90]);
    }

    #[test]
    fn loops_add_up() {
        let (mut one, mut other) = (Waves::default(), Waves::default());
        one.note(1, 100, 1);
        other.note(1, 90, 2);
        other.note(1, 130, 2);
        one.merge(other);
        let expected = Wave { block: 1, first_ns: 90, last_ns: 130, seen: 3, expected: 3 };
        assert_eq!(one.0, [expected]);
    }
}
