//! A block of the embedded chain, taken apart.

use chimera_pow::{CompactBits, HEADER_BYTES, Header, PowHash};

use super::params::DevParams;
use crate::transaction::Transaction;
use crate::wire::Reader;

#[derive(Debug, Clone)]
pub(super) struct DevBlock {
    pub(super) header: Header,
    pub(super) transactions: Vec<Transaction>,
    pub(super) bytes: Box<[u8]>,
}

impl DevBlock {
    /// `None` if the bytes are not exactly one block.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let header = reader.array::<HEADER_BYTES>()?;
        let count = reader.compact_size()?;
        let mut transactions = Vec::new();
        for _ in 0..count {
            transactions.push(Transaction::read(&mut reader, false)?);
        }
        reader.rest().is_empty().then(|| Self { header, transactions, bytes: bytes.into() })
    }

    pub(super) fn hash(&self, params: &DevParams) -> PowHash {
        params.algorithm.hash(&self.header)
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
