//! The file an embedded chain lives in: append-only, each record synced before its block is
//! accepted. At start it is read from front to back.
//!
//! ```text
//! file:   magic (8) | genesis hash (32) | address seed (32) | record ...
//! record: length (4, little-endian) | checksum (4) | kind (1) | body
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use chimera_pow::{PowHash, sha256d};

use super::check::BLOCK_BYTES_MAX;
use super::params::DevChainError;
use crate::wire::Reader;

const FILE_NAME: &str = "chain.dat";
const MAGIC: [u8; 8] = *b"CHIMDEV1";
const FILE_HEADER_BYTES: usize = 8 + 32 + 32;
const RECORD_HEADER_BYTES: usize = 8;
const KIND_BLOCK: u8 = 0;
const KIND_INVALIDATED: u8 = 1;
const KIND_RECONSIDERED: u8 = 2;

/// One thing that happened to the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// A block was accepted.
    Block(Box<[u8]>),
    /// A block and all after it were declared invalid.
    Invalidated([u8; 32]),
    /// That was undone.
    Reconsidered([u8; 32]),
}

#[derive(Debug)]
pub(super) struct BlockLog {
    file: File,
    path: PathBuf,
    /// End of the last good record.
    length: u64,
    /// Set when the file's end is unknown: nothing is appended any more.
    broken: bool,
}

/// A file as found at start.
pub(super) struct Opened {
    pub(super) log: BlockLog,
    pub(super) seed: [u8; 32],
    /// Each with the offset it starts at.
    pub(super) records: Vec<(u64, Record)>,
}

impl BlockLog {
    /// Opens or makes the file in a directory. The seed is used for a new file only.
    pub(super) fn open(
        directory: &Path,
        genesis: PowHash,
        new_seed: [u8; 32],
    ) -> Result<Opened, DevChainError> {
        let path = directory.join(FILE_NAME);
        let io = |error: std::io::Error| io_error(&path, &error);
        std::fs::create_dir_all(directory).map_err(io)?;
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        let mut file = options.open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DevChainError::InUse { path }),
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() < FILE_HEADER_BYTES {
            // New, or the making of it was cut short: there was never a block in it.
            bytes = [&MAGIC[..], &genesis.0, &new_seed].concat();
            file.set_len(0).map_err(io)?;
            file.rewind().map_err(io)?;
            file.write_all(&bytes).map_err(io)?;
            file.sync_all().map_err(io)?;
            sync_directory(directory).map_err(io)?;
        }
        let seed = check_header(&path, &bytes, genesis)?;
        let (records, good) = read_records(&path, &bytes)?;
        let length = good as u64;
        if good < bytes.len() {
            let cut_bytes = bytes.len() - good;
            tracing::warn!(path = %path.display(), cut_bytes, "chain file ends in a torn record: cut");
            file.set_len(length).map_err(io)?;
            file.sync_all().map_err(io)?;
        }
        let log = Self { file, path, length, broken: false };
        Ok(Opened { log, seed, records })
    }

    /// Appends a record; when this returns it is on the disk.
    pub(super) fn append(&mut self, record: &Record) -> std::io::Result<()> {
        if self.broken {
            return Err(std::io::Error::other(
                "an earlier write failed; restart to check the file",
            ));
        }
        let (kind, body): (u8, &[u8]) = match record {
            Record::Block(bytes) => (KIND_BLOCK, bytes),
            Record::Invalidated(hash) => (KIND_INVALIDATED, hash),
            Record::Reconsidered(hash) => (KIND_RECONSIDERED, hash),
        };
        let payload = [&[kind], body].concat();
        let length = u32::try_from(payload.len()).expect("a block is at most 4 MB");
        let bytes = [&length.to_le_bytes()[..], &checksum(&payload), &payload].concat();
        if let Err(error) = self.write(&bytes) {
            // A torn record must not stay in the middle of the file, nor one that may not be
            // durable be followed by others.
            self.broken =
                self.file.set_len(self.length).and_then(|()| self.file.sync_all()).is_err();
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(bytes)?;
        self.file.sync_data()
    }

    pub(super) fn io_error(&self, error: &std::io::Error) -> DevChainError {
        io_error(&self.path, error)
    }

    pub(super) fn corrupt(&self, offset: u64, cause: String) -> DevChainError {
        DevChainError::Corrupt { path: self.path.clone(), offset, cause }
    }
}

fn check_header(path: &Path, bytes: &[u8], genesis: PowHash) -> Result<[u8; 32], DevChainError> {
    let path = path.to_owned();
    let mut reader = Reader::new(bytes);
    let (magic, found, seed) = (reader.array::<8>(), reader.array::<32>(), reader.array::<32>());
    if magic != Some(MAGIC) {
        let cause = "it is no chain file of this version".to_owned();
        return Err(DevChainError::Corrupt { path, offset: 0, cause });
    }
    match (found, seed) {
        (Some(found), Some(seed)) if found == genesis.0 => Ok(seed),
        (found, _) => {
            let found = found.map_or_else(String::new, |hash| PowHash(hash).to_string());
            Err(DevChainError::OtherChain { path, found, expected: genesis.to_string() })
        }
    }
}

/// Reads all records and where the last good one ends.
fn read_records(path: &Path, bytes: &[u8]) -> Result<(Vec<(u64, Record)>, usize), DevChainError> {
    let mut records = Vec::new();
    let mut at = FILE_HEADER_BYTES;
    while at < bytes.len() {
        let mut reader = Reader::new(&bytes[at..]);
        let Some(record) = read_record(&mut reader) else {
            // Each record is synced before the next is written, so a crash tears the last
            // one only. Damage further from the end is something else.
            if bytes.len() - at <= RECORD_HEADER_BYTES + 1 + BLOCK_BYTES_MAX
                && !holds_a_record_later(&bytes[at..])
            {
                break;
            }
            let cause = "a record in the middle is unreadable".to_owned();
            return Err(DevChainError::Corrupt { path: path.to_owned(), offset: at as u64, cause });
        };
        records.push((at as u64, record));
        at = bytes.len() - reader.rest().len();
    }
    Ok((records, at))
}

/// Whether a good record stands anywhere behind a bad one.
fn holds_a_record_later(bytes: &[u8]) -> bool {
    (1..bytes.len()).any(|from| read_record(&mut Reader::new(&bytes[from..])).is_some())
}

fn read_record(reader: &mut Reader<'_>) -> Option<Record> {
    let length = usize::try_from(reader.u32()?).ok()?;
    let sum = reader.array::<4>()?;
    let payload = reader.take(length)?;
    if checksum(payload) != sum {
        return None;
    }
    match payload.split_first()? {
        (&KIND_BLOCK, block) => Some(Record::Block(block.into())),
        (&KIND_INVALIDATED, hash) => Some(Record::Invalidated(hash.try_into().ok()?)),
        (&KIND_RECONSIDERED, hash) => Some(Record::Reconsidered(hash.try_into().ok()?)),
        _ => None,
    }
}

fn checksum(payload: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256d(payload);
    [a, b, c, d]
}

fn io_error(path: &Path, error: &std::io::Error) -> DevChainError {
    DevChainError::Io { path: path.to_owned(), cause: error.to_string() }
}

/// A new file is durable only when its directory's entry is.
fn sync_directory(directory: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use chimera_pow::CompactBits;
    use serde_json::json;

    use super::*;
    use crate::devchain::{DevChain, DevParams, State, genesis};

    #[test]
    fn a_block_that_cannot_be_stored_is_not_accepted() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(FILE_NAME);
        std::fs::write(&path, b"").expect("written");
        // Open for reading only: every write fails, and so does cutting the file.
        let file = File::open(&path).expect("a file");
        let log = BlockLog { file, path, length: 0, broken: false };
        let easiest = CompactBits(0x207f_ffff);
        let params = DevParams { easiest, ..DevParams::default() };
        let state = State { log: Some(log), ..State::new(genesis::mine(&params)) };
        let chain = DevChain::assembled(params, [0; 32], state);

        let now = 1_800_000_000;
        let address = chain.rpc("getnewaddress", &json!([]), now).expect("an address");
        for attempt in 1..=2 {
            let fault = chain
                .rpc("generatetoaddress", &json!([1, address]), now)
                .expect_err("nothing can be stored");
            assert_eq!(fault.code, -20, "attempt {attempt}: {fault}");
            assert_eq!(chain.tip().borrow().height, 0);
        }
    }
}
