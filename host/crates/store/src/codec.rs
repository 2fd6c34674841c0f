//! A batch of shares as bytes: fixed width, so that a million are summed in a blink.
//!
//! ```text
//! version 1 byte | count u32 | count records of 92 bytes | first 8 bytes of SHA-256d of all before
//! record: worker u32 | work u128 | network work u128 | difficulty f64 | height u64 | time ms u64 | hash 32
//! ```
//! Integers and the difficulty are little-endian.

use chimera_pow::{Difficulty, PowHash, Work, sha256d};
use chimera_work::{Share, WorkerId};

use crate::StoreError;

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 5;
const RECORD_BYTES: usize = 92;
const CHECKSUM_BYTES: usize = 8;

/// An accepted share as the log keeps it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShareRecord {
    /// Who found it.
    pub worker: WorkerId,
    /// What it is credited.
    pub work: Work,
    /// What a block took when it was found; never zero.
    pub network_work: Work,
    /// The difficulty it was credited at.
    pub difficulty: Difficulty,
    /// Height of the block it could have won.
    pub height: u64,
    /// When it was judged, ms since the Unix epoch.
    pub time_ms: u64,
    /// Its proof of work.
    pub hash: PowHash,
}

impl ShareRecord {
    /// What is kept of a judged share.
    pub fn from_share(share: &Share, now_ms: u64) -> Self {
        Self {
            worker: share.worker(),
            work: share.work(),
            network_work: share.network_work(),
            difficulty: share.difficulty(),
            height: share.height(),
            time_ms: now_ms,
            hash: *share.hash(),
        }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.worker.0.to_le_bytes());
        bytes.extend(self.work.hashes().to_le_bytes());
        bytes.extend(self.network_work.hashes().to_le_bytes());
        bytes.extend(self.difficulty.get().to_le_bytes());
        bytes.extend(self.height.to_le_bytes());
        bytes.extend(self.time_ms.to_le_bytes());
        bytes.extend(self.hash.0);
    }

    fn read(record: &[u8; RECORD_BYTES]) -> Option<Self> {
        let mut rest = record.as_slice();
        Some(Self {
            worker: WorkerId(u32::from_le_bytes(take(&mut rest)?)),
            work: Work::from_hashes(u128::from_le_bytes(take(&mut rest)?)),
            network_work: Some(u128::from_le_bytes(take(&mut rest)?))
                .filter(|&hashes| hashes > 0)
                .map(Work::from_hashes)?,
            difficulty: Difficulty::new(f64::from_le_bytes(take(&mut rest)?)).ok()?,
            height: u64::from_le_bytes(take(&mut rest)?),
            time_ms: u64::from_le_bytes(take(&mut rest)?),
            hash: PowHash(take(&mut rest)?),
        })
    }
}

/// The bytes of a batch.
pub(crate) fn encode(shares: &[ShareRecord]) -> Result<Vec<u8>, StoreError> {
    let count = u32::try_from(shares.len()).map_err(|_| StoreError::TooLarge {
        what: "batch",
        value: shares.len() as u128,
        max: u32::MAX.into(),
    })?;
    let mut bytes = Vec::with_capacity(HEAD_BYTES + shares.len() * RECORD_BYTES + CHECKSUM_BYTES);
    bytes.push(VERSION);
    bytes.extend(count.to_le_bytes());
    shares.iter().for_each(|share| share.write(&mut bytes));
    let checksum = checksum(&bytes);
    bytes.extend(checksum);
    Ok(bytes)
}

/// The shares of the batch that starts at `first_seq`, each with its sequence number.
pub(crate) fn decode(first_seq: u64, bytes: &[u8]) -> Result<Vec<(u64, ShareRecord)>, StoreError> {
    let damaged = |what| StoreError::Corrupt(format!("share batch {first_seq}: {what}"));
    let (body, sum) =
        bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(|| damaged("cut short"))?;
    if checksum(body) != *sum {
        return Err(damaged("wrong checksum"));
    }
    let mut rest = body;
    if take(&mut rest) != Some([VERSION]) {
        return Err(damaged("unknown version"));
    }
    let count = u32::from_le_bytes(take(&mut rest).ok_or_else(|| damaged("cut short"))?);
    let (records, []) = rest.as_chunks::<RECORD_BYTES>() else {
        return Err(damaged("a record cut short"));
    };
    if records.len() as u64 != u64::from(count) {
        return Err(damaged("wrong count"));
    }
    let shares: Option<Vec<_>> = (first_seq..)
        .zip(records)
        .map(|(seq, record)| ShareRecord::read(record).map(|share| (seq, share)))
        .collect();
    shares.ok_or_else(|| damaged("an impossible share"))
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = sha256d(bytes);
    *digest.first_chunk().expect("a digest has 32 bytes")
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(worker: u32) -> ShareRecord {
        ShareRecord {
            worker: WorkerId(worker),
            work: Work::from_hashes(u128::MAX - 1),
            network_work: Work::from_hashes(1 << 90),
            difficulty: Difficulty::new(0.001).unwrap(),
            height: 7,
            time_ms: u64::MAX,
            hash: PowHash([9; 32]),
        }
    }

    #[test]
    fn a_batch_survives_its_bytes() {
        for shares in [vec![], vec![share(1)], vec![share(1), share(u32::MAX)]] {
            let bytes = encode(&shares).unwrap();
            let back: Vec<_> = decode(5, &bytes).unwrap();
            assert_eq!(back, (5..).zip(shares).collect::<Vec<_>>());
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = encode(&[share(1), share(2)]).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(decode(1, &damaged).is_err(), "byte {at}");
            assert!(decode(1, &bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
