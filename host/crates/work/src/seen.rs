//! The shares a session has been credited in this round.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use chimera_pow::PowHash;

/// Shares remembered per session and round. At one share per second this is 18 hours;
/// a session beyond it is far below its difficulty and is told so.
const SHARES_MAX: usize = 65_536;
/// Kept between rounds so that a usual session never allocates.
const CAPACITY_KEPT: usize = 4_096;

/// Hashes of accepted headers. The key is half of the hash: its low 128 bits, which a
/// miner cannot choose without as much work.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashSet<u128, BuildHasherDefault<OwnBits>>);

/// The keys are hashes already, each a proof of work: hashing them again would only cost.
#[derive(Debug, Default)]
struct OwnBits(u64);

impl Hasher for OwnBits {
    fn write_u128(&mut self, key: u128) {
        self.0 = (key ^ (key >> 64)) as u64;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u128")
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
        let mut low = [0; 16];
        low.copy_from_slice(&hash.0[..16]);
        let key = u128::from_le_bytes(low);
        if self.0.len() >= SHARES_MAX {
            return if self.0.contains(&key) { Novelty::Known } else { Novelty::Full };
        }
        if self.0.insert(key) { Novelty::New } else { Novelty::Known }
    }

    pub(crate) fn contains(&self, hash: &PowHash) -> bool {
        let mut low = [0; 16];
        low.copy_from_slice(&hash.0[..16]);
        self.0.contains(&u128::from_le_bytes(low))
    }

    /// What is remembered, in no order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = u128> + '_ {
        self.0.iter().copied()
    }

    /// Remembers what another process did.
    pub(crate) fn restore(&mut self, key: u128) {
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
