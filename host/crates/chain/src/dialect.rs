//! How the chains of the Bitcoin family differ, as a table.

/// What a node names its blocks by, and whether a pool can compute it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockId {
    /// SHA-256d of the header, whatever the proof of work: Bitcoin and most that came from it.
    Sha256d,
    /// The proof-of-work hash itself.
    PowHash,
    /// A function unknown here (Verge: scrypt). The block goes by its proof-of-work hash and
    /// is looked up at its height, where `getblock` tells it as `pow_hash`.
    AtHeight,
}

/// What is special about the blocks of one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// The name used in configuration.
    pub name: &'static str,
    /// Version of the coinbase transaction.
    pub coinbase_version: u32,
    /// Transactions carry a time after their version; it may not be after the header's.
    pub coinbase_time: bool,
    /// A signature field follows the transactions; the node's wallet fills it.
    pub block_signature: bool,
    /// The reward must go to a bare public key of the node's wallet.
    pub pay_to_pubkey: bool,
    /// What the node names blocks by.
    pub block_id: BlockId,
    /// Version bits miners may roll.
    pub version_mask: u32,
    /// How far ahead of the template a header time may be, in seconds.
    pub time_ahead_s: u32,
}

impl Dialect {
    /// Bitcoin Core and what follows it.
    pub const BITCOIN: Self = Self {
        name: "bitcoin",
        // BIP 68 gave version 2 a meaning; Core's own coinbases use it.
        coinbase_version: 2,
        coinbase_time: false,
        block_signature: false,
        pay_to_pubkey: false,
        block_id: BlockId::Sha256d,
        // BIP 320: bits 13 to 28 are for general use.
        version_mask: 0x1fff_e000,
        // Core's MAX_FUTURE_BLOCK_TIME.
        time_ahead_s: 2 * 60 * 60,
    };

    /// Verge Core, whose Blake2s blocks are one of five kinds.
    pub const VERGE: Self = Self {
        name: "verge",
        coinbase_version: 1,
        coinbase_time: true,
        block_signature: true,
        pay_to_pubkey: true,
        block_id: BlockId::AtHeight,
        // Bits 11 to 14 name the algorithm: of BIP 320's mask, what is clear of them.
        version_mask: 0x1fff_8000,
        // GetMaxClockDrift from height 2,218,500: the header may be 10 minutes after the coinbase.
        time_ahead_s: 10 * 60,
    };

    /// The embedded chain.
    pub const DEVCHAIN: Self =
        Self { name: "devchain", block_id: BlockId::PowHash, ..Self::BITCOIN };

    /// Every dialect, in the order messages list them.
    pub const ALL: [Self; 3] = [Self::DEVCHAIN, Self::BITCOIN, Self::VERGE];

    /// The dialect of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name == name)
    }
}
