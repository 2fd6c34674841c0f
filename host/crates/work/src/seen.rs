//! The shares a session has been credited in this round.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use chimera_pow::PowHash;

/// Shares remembered per session and round. At one share per second this is 18 hours;
/// a session beyond it is far below its difficulty and is told so.
const SHARES_MAX: usize = 65_536;
/// Kept between rounds so that a usual session never allocates.
const CAPACITY_KEPT: usize = 4_096;

/// Hashes of accepted headers. The key is their lowest 64 bits, which a proof of work leaves
/// to chance: one full round in eight billion takes a share for another. Twice as many bits
/// would be twice the memory, and a share's way is mostly waiting for that.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashSet<u64, BuildHasherDefault<OwnBits>>);

/// The keys are hashes already, each a proof of work: hashing them again would only cost.
#[derive(Debug, Default)]
struct OwnBits(u64);

impl Hasher for OwnBits {
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u64")
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What remembering a share found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Novelty {
    New,
    Known,
    Full,
}

impl Seen {
    pub(crate) fn remember(&mut self, hash: &PowHash) -> Novelty {
        let key = key(hash);
        if self.0.len() >= SHARES_MAX {
            return if self.0.contains(&key) { Novelty::Known } else { Novelty::Full };
        }
        if self.0.insert(key) { Novelty::New } else { Novelty::Known }
    }

    /// A solved header is remembered in any case: what that takes bounds how many there are.
    pub(crate) fn remember_block(&mut self, hash: &PowHash) {
        self.0.insert(key(hash));
    }

    pub(crate) fn contains(&self, hash: &PowHash) -> bool {
        self.0.contains(&key(hash))
    }

    /// What is remembered, in no order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().copied()
    }

    /// Remembers what another process did.
    pub(crate) fn restore(&mut self, key: u64) {
        if self.0.len() < SHARES_MAX {
            self.0.insert(key);
        }
    }

    /// Whether most of what can be remembered is.
    pub(crate) fn is_crowded(&self) -> bool {
        self.0.len() >= SHARES_MAX / 8 * 7
    }

    pub(crate) fn forget(&mut self) {
        self.0.clear();
        self.0.shrink_to(CAPACITY_KEPT);
    }
}

fn key(hash: &PowHash) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = hash.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
