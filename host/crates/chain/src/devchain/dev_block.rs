//! A block of the embedded chain, taken apart.

use bitcoin::consensus;
use chimera_pow::{CompactBits, HEADER_BYTES, Header, PowHash, sha256d};

use super::params::DevParams;
use super::rules::DevRules;
use super::verge::{TimedTransaction, scrypt_id};
use crate::transaction::Transaction;
use crate::wire::Reader;

/// What is kept of a block: its bytes, and what they are found by.
#[derive(Debug, Clone)]
pub(super) struct DevBlock {
    pub(super) header: Header,
    /// What it is named by.
    pub(super) id: PowHash,
    pub(super) bytes: Box<[u8]>,
}

/// What follows the header, as the rules read it.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// Read by a library that no pool code shares.
    Bitcoin(bitcoin::Block),
    /// Verge's transactions carry a time, which that library cannot read.
    Verge(Vec<TimedTransaction>),
}

/// A block as handed in.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) block: DevBlock,
    pub(super) body: Body,
}

impl Candidate {
    /// `None` if the bytes are not exactly one block.
    pub(super) fn parse(bytes: &[u8], params: &DevParams) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let body = match params.rules {
            DevRules::Verge => Body::Verge(TimedTransaction::read_body(rest)?),
            _ => Body::Bitcoin(consensus::deserialize(bytes).ok()?),
        };
        let id = match params.rules {
            DevRules::Plain => params.algorithm.hash(header),
            DevRules::Bitcoin | DevRules::BitcoinNoSegwit => PowHash(sha256d(header)),
            DevRules::Verge => scrypt_id(header),
        };
        Some(Self { block: DevBlock { header: *header, id, bytes: bytes.into() }, body })
    }
}

impl DevBlock {
    pub(super) fn transactions(&self, rules: DevRules) -> Vec<Transaction> {
        let mut reader = Reader::new(&self.bytes[HEADER_BYTES..]);
        let count = reader.compact_size().unwrap_or(0);
        (0..count).map_while(|_| Transaction::read(&mut reader, rules.is_verge())).collect()
    }

    pub(super) fn version(&self) -> u32 {
        self.word(0)
    }

    pub(super) fn previous(&self) -> [u8; 32] {
        self.hash_at(4)
    }

    pub(super) fn merkle_root(&self) -> [u8; 32] {
        self.hash_at(36)
    }

    pub(super) fn time(&self) -> u32 {
        self.word(68)
    }

    pub(super) fn bits(&self) -> CompactBits {
        CompactBits(self.word(72))
    }

    pub(super) fn nonce(&self) -> u32 {
        self.word(76)
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes([0, 1, 2, 3].map(|n| self.header[at + n]))
    }

    fn hash_at(&self, at: usize) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(&self.header[at..at + 32]);
        hash
    }
}

/// A header from its parts.
pub(super) fn header(
    version: u32,
    previous: &[u8; 32],
    merkle_root: &[u8; 32],
    time: u32,
    bits: CompactBits,
    nonce: u32,
) -> Header {
    let mut header = [0; HEADER_BYTES];
    header[0..4].copy_from_slice(&version.to_le_bytes());
    header[4..36].copy_from_slice(previous);
    header[36..68].copy_from_slice(merkle_root);
    header[68..72].copy_from_slice(&time.to_le_bytes());
    header[72..76].copy_from_slice(&bits.0.to_le_bytes());
    set_nonce(&mut header, nonce);
    header
}

pub(super) fn set_nonce(header: &mut Header, nonce: u32) {
    header[76..80].copy_from_slice(&nonce.to_le_bytes());
}
