//! A batch of shares as bytes. What shares have in common (all but who, when and the hash) is
//! written once per batch: 42 bytes a share, and a million are summed in a blink.
//!
//! ```text
//! version 2, 1 byte | count u32 | count of terms u32 | terms of 56 bytes | records of 42 bytes
//!     | first 8 bytes of SHA-256d of all before
//! terms:  work u128 | network work u128 | difficulty f64 | height u64 | time ms / 65536 u64
//! record: worker u32 | place of its terms u32 | time ms % 65536 u16 | hash 32
//! ```
//! Integers and the difficulty are little-endian. Terms are in the order in which they are
//! first used. Version 1, written before, has no terms and records of 92 bytes:
//!
//! ```text
//! version 1, 1 byte | count u32 | records | first 8 bytes of SHA-256d of all before
//! record: worker u32 | work u128 | network work u128 | difficulty f64 | height u64 | time ms u64 | hash 32
//! ```

use std::collections::HashMap;

use chimera_pow::{Difficulty, PowHash, Work, sha256d};
use chimera_work::{Share, WorkerId};

use crate::StoreError;

const VERSION: u8 = 2;
const HEAD_BYTES: usize = 9;
const TERMS_BYTES: usize = 56;
const RECORD_BYTES: usize = 42;
const CHECKSUM_BYTES: usize = 8;
/// Time that is written in every record.
const LOW_TIME_BITS: u32 = 16;

const FIRST_VERSION: u8 = 1;
const FIRST_RECORD_BYTES: usize = 92;

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
}

/// What many shares of a batch have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Terms {
    work: u128,
    network_work: u128,
    difficulty_bits: u64,
    height: u64,
    high_time: u64,
}

impl Terms {
    fn of(share: &ShareRecord) -> Self {
        Self {
            work: share.work.hashes(),
            network_work: share.network_work.hashes(),
            difficulty_bits: share.difficulty.get().to_bits(),
            height: share.height,
            high_time: share.time_ms >> LOW_TIME_BITS,
        }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.work.to_le_bytes());
        bytes.extend(self.network_work.to_le_bytes());
        bytes.extend(self.difficulty_bits.to_le_bytes());
        bytes.extend(self.height.to_le_bytes());
        bytes.extend(self.high_time.to_le_bytes());
    }

    /// A share with these terms, found by nobody at the start of its time.
    fn read(terms: &[u8; TERMS_BYTES]) -> Option<ShareRecord> {
        let mut rest = terms.as_slice();
        let mut share = read_terms(&mut rest)?;
        share.time_ms = u64::from_le_bytes(take(&mut rest)?).checked_shl(LOW_TIME_BITS)?;
        Some(share)
    }
}

/// The bytes of a batch.
pub(crate) fn encode(shares: &[ShareRecord]) -> Result<Vec<u8>, StoreError> {
    let count = u32::try_from(shares.len()).map_err(|_| StoreError::TooLarge {
        what: "batch",
        value: shares.len() as u128,
        max: u32::MAX.into(),
    })?;
    let mut terms = Vec::new();
    let mut places: HashMap<Terms, u32> = HashMap::new();
    let mut records = Vec::with_capacity(shares.len() * RECORD_BYTES);
    let mut last = None;
    for share in shares {
        let its = Terms::of(share);
        // Nearly always those of the share before.
        let place = match last {
            Some((terms, place)) if terms == its => place,
            _ => *places.entry(its).or_insert_with(|| {
                terms.push(its);
                terms.len() as u32 - 1
            }),
        };
        last = Some((its, place));
        records.extend(share.worker.0.to_le_bytes());
        records.extend(place.to_le_bytes());
        records.extend((share.time_ms as u16).to_le_bytes());
        records.extend(share.hash.0);
    }
    let mut bytes =
        Vec::with_capacity(HEAD_BYTES + terms.len() * TERMS_BYTES + records.len() + CHECKSUM_BYTES);
    bytes.push(VERSION);
    bytes.extend(count.to_le_bytes());
    bytes.extend((terms.len() as u32).to_le_bytes());
    terms.iter().for_each(|terms| terms.write(&mut bytes));
    bytes.extend(records);
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
    let shares = match take(&mut rest) {
        Some([VERSION]) => read_all(first_seq, rest),
        Some([FIRST_VERSION]) => read_all_first(first_seq, rest),
        _ => return Err(damaged("unknown version")),
    };
    shares.ok_or_else(|| damaged("impossible shares"))
}

type Numbered = Vec<(u64, ShareRecord)>;

fn read_all(first_seq: u64, mut rest: &[u8]) -> Option<Numbered> {
    let count = u32::from_le_bytes(take(&mut rest)?) as usize;
    let terms = u32::from_le_bytes(take(&mut rest)?) as usize;
    let (terms, records) = rest.split_at_checked(terms.checked_mul(TERMS_BYTES)?)?;
    let (terms, []) = terms.as_chunks::<TERMS_BYTES>() else { return None };
    let (records, []) = records.as_chunks::<RECORD_BYTES>() else { return None };
    let terms: Vec<ShareRecord> = terms.iter().map(Terms::read).collect::<Option<_>>()?;
    let record = |(seq, record): (u64, &[u8; RECORD_BYTES])| {
        let mut rest = record.as_slice();
        let worker = WorkerId(u32::from_le_bytes(take(&mut rest)?));
        let terms = terms.get(u32::from_le_bytes(take(&mut rest)?) as usize)?;
        let time_ms = terms.time_ms | u64::from(u16::from_le_bytes(take(&mut rest)?));
        Some((seq, ShareRecord { worker, time_ms, hash: PowHash(take(&mut rest)?), ..*terms }))
    };
    (records.len() == count).then(|| (first_seq..).zip(records).map(record).collect())?
}

fn read_all_first(first_seq: u64, mut rest: &[u8]) -> Option<Numbered> {
    let count = u32::from_le_bytes(take(&mut rest)?) as usize;
    let (records, []) = rest.as_chunks::<FIRST_RECORD_BYTES>() else { return None };
    let record = |(seq, record): (u64, &[u8; FIRST_RECORD_BYTES])| {
        let mut rest = record.as_slice();
        let worker = WorkerId(u32::from_le_bytes(take(&mut rest)?));
        let share = read_terms(&mut rest)?;
        let time_ms = u64::from_le_bytes(take(&mut rest)?);
        Some((seq, ShareRecord { worker, time_ms, hash: PowHash(take(&mut rest)?), ..share }))
    };
    (records.len() == count).then(|| (first_seq..).zip(records).map(record).collect())?
}

/// Work, network work, difficulty and height; the rest is left open.
fn read_terms(rest: &mut &[u8]) -> Option<ShareRecord> {
    Some(ShareRecord {
        worker: WorkerId(0),
        work: Work::from_hashes(u128::from_le_bytes(take(rest)?)),
        network_work: Some(u128::from_le_bytes(take(rest)?))
            .filter(|&hashes| hashes > 0)
            .map(Work::from_hashes)?,
        difficulty: Difficulty::new(f64::from_le_bytes(take(rest)?)).ok()?,
        height: u64::from_le_bytes(take(rest)?),
        time_ms: 0,
        hash: PowHash([0; 32]),
    })
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
        let later = |by| ShareRecord { time_ms: 70_000 + by, ..share(2) };
        let easier = ShareRecord { work: Work::from_hashes(1), ..later(0) };
        for shares in [
            vec![],
            vec![share(1)],
            vec![share(1), share(u32::MAX)],
            vec![later(0), easier, later(0), later(u64::from(u16::MAX)), later(1 << 40)],
        ] {
            let bytes = encode(&shares).unwrap();
            let back: Vec<_> = decode(5, &bytes).unwrap();
            assert_eq!(back, (5..).zip(shares).collect::<Vec<_>>());
        }
    }

    #[test]
    fn shares_that_have_much_in_common_are_small() {
        let shares: Vec<_> = (0..1_000).map(share).collect();
        assert_eq!(encode(&shares).unwrap().len(), 9 + 56 + 1_000 * 42 + 8);
    }

    #[test]
    fn batches_of_the_first_version_are_still_read() {
        let shares = [share(1), share(u32::MAX)];
        let mut bytes = vec![1];
        bytes.extend(2_u32.to_le_bytes());
        for share in &shares {
            bytes.extend(share.worker.0.to_le_bytes());
            bytes.extend(share.work.hashes().to_le_bytes());
            bytes.extend(share.network_work.hashes().to_le_bytes());
            bytes.extend(share.difficulty.get().to_le_bytes());
            bytes.extend(share.height.to_le_bytes());
            bytes.extend(share.time_ms.to_le_bytes());
            bytes.extend(share.hash.0);
        }
        bytes.extend(checksum(&bytes));
        let back = decode(5, &bytes).unwrap();
        assert_eq!(back, (5..).zip(shares).collect::<Vec<_>>());
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

    #[test]
    fn what_adds_up_but_makes_no_sense_is_refused() {
        let good = encode(&[share(1)]).unwrap();
        // Counts, the place of the terms, and terms without network work.
        for (at, value) in [(1, 2), (5, 0), (5, 2), (69, 1), (36, 0)] {
            let mut body = good[..good.len() - CHECKSUM_BYTES].to_vec();
            assert_ne!(body[at], value, "byte {at} says something else now");
            body[at] = value;
            body.extend(checksum(&body));
            assert!(decode(1, &body).is_err(), "byte {at} is {value}");
        }
    }
}
