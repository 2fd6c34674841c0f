//! A template: what can be won now, as a chain adapter describes it.

use chimera_pow::{Algorithm, CompactBits, Target};

/// One puzzle of a round. Templates with the same `previous` belong to the same round;
/// a new `previous` makes all earlier work stale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The adapter's name for it, unique while the adapter lives: how a solution finds
    /// its transactions again.
    pub id: u64,
    /// Height of the block that can be won.
    pub height: u64,
    /// Proof-of-work function of the header.
    pub algorithm: Algorithm,
    /// Header version.
    pub version: u32,
    /// Version bits a miner may roll (BIP 310, BIP 320); 0 for none.
    pub version_mask: u32,
    /// Previous block's hash as it stands in the header.
    pub previous: [u8; 32],
    /// Network target, compact.
    pub bits: CompactBits,
    /// Network target.
    pub target: Target,
    /// Header time to start with, seconds since the Unix epoch.
    pub time: u32,
    /// Earliest header time the chain accepts.
    pub time_min: u32,
    /// Latest header time a miner may roll to.
    pub time_max: u32,
    /// What the merkle root is made of, with a hole for the extranonce.
    pub commitment: Commitment,
    /// What the block would pay the pool, in base units.
    pub reward: u64,
    /// The fee part of `reward`.
    pub tx_fees: u64,
}

/// The bytes around the nonce space, and the branch that leads from them to the merkle
/// root: SHA-256d(head, extranonce, tail), then one SHA-256d with each branch hash.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Commitment {
    /// Bytes before the hole.
    pub head: Vec<u8>,
    /// Bytes after the hole.
    pub tail: Vec<u8>,
    /// Merkle branch in internal byte order, leaf level first.
    pub branch: Vec<[u8; 32]>,
}
