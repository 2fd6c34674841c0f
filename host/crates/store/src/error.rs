//! What can go wrong with stored things: who, what, and the numbers.

use std::path::PathBuf;

use chimera_ledger::{BadAccountName, IllegalMove};
use chimera_work::WorkerId;

/// Why the store did not do what it was asked. Nothing of a failed transaction remains.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database refused; see [`StoreError::is_full`] and [`StoreError::is_retryable`].
    #[error("could not {transaction}: {source}")]
    Database {
        /// Name of the transaction.
        transaction: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The lock file beside the database cannot be used.
    #[error("cannot use {path}: {source}")]
    LockFile {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another pool uses this database.
    #[error("{path} is locked: another pool is running on this database")]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// The database was written by a later version of this program.
    #[error(
        "the database has schema version {found}, this program knows up to {known}; use the program that wrote it"
    )]
    NewerSchema {
        /// Version of the database.
        found: i64,
        /// Newest version this program knows.
        known: i64,
    },
    /// The database was written by an earlier version of this program, and only to be read.
    #[error(
        "the database has schema version {found}, this program reads {known}; start the pool once to bring it up to date"
    )]
    OlderSchema {
        /// Version of the database.
        found: i64,
        /// The version this program reads.
        known: i64,
    },
    /// The schema could not be brought up to date.
    #[error("cannot bring the database up to date: {0}")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// A batch does not start where the log ends.
    #[error("shares from {found} on were to be appended; the log goes on at {expected}")]
    SequenceGap {
        /// The next free place.
        expected: u64,
        /// Where the batch starts.
        found: u64,
    },
    /// The log holds other shares at this place.
    #[error("the log already holds other shares at {first_seq}")]
    SequenceConflict {
        /// Where the batch starts.
        first_seq: u64,
    },
    /// No such worker.
    #[error("worker {} is unknown", .0.0)]
    UnknownWorker(WorkerId),
    /// No such block.
    #[error("block {0} is unknown")]
    UnknownBlock(String),
    /// The block is on record with other facts.
    #[error("block {0} is on record at another height or for another worker")]
    BlockConflict(String),
    /// No such payout generation, or its component is missing.
    #[error("generation {0} is unknown")]
    UnknownGeneration(u32),
    /// No payout scheme was ever in force.
    #[error("no payout generation is on record")]
    NoGeneration,
    /// Another generation took over meanwhile, or the state it was to take over has changed.
    #[error("the generation in force in slot {slot} has changed meanwhile")]
    GenerationMoved {
        /// The slot.
        slot: String,
    },
    /// A scheme that was rolled back settles nothing more.
    #[error("generation {0} was rolled back and settles nothing more")]
    RolledBack(u32),
    /// No such swap, or it has ended.
    #[error("swap {0} is not under way")]
    UnknownSwap(u64),
    /// A generation cannot take over before its predecessor, or after the log's end.
    #[error(
        "a generation cannot begin at share {from_seq}: it must be from {earliest} to {latest}"
    )]
    GenerationOrder {
        /// Where it should begin.
        from_seq: u64,
        /// Where its predecessor began.
        earliest: u64,
        /// The end of the log.
        latest: u64,
    },
    /// No such settlement.
    #[error("settlement {0} is unknown")]
    UnknownSettlement(String),
    /// The block's life has no such move.
    #[error("block {block}: {source}")]
    IllegalMove {
        /// The block.
        block: String,
        /// From where to where.
        source: IllegalMove,
    },
    /// Only `settle` and `reverse` may say so, together with the transfers.
    #[error("block {0} is settled or reversed with its transfers, not by a change of state")]
    MoneyMove(String),
    /// The block was divided under another key.
    #[error("block {0} is settled already, under another key")]
    SettledElsewhere(String),
    /// A mature block comes with its reward, read from the chain.
    #[error("block {0} cannot mature without a reward")]
    RewardMissing(String),
    /// The transfers do not move what the chain pays.
    #[error(
        "settlement {settlement} moves {moved} out of the chain's account, the chain pays {reward}"
    )]
    RewardMismatch {
        /// The settlement's key.
        settlement: String,
        /// Net amount the transfers take from `chain:reward`.
        moved: i128,
        /// The block's reward; 0 for an interval.
        reward: u64,
    },
    /// Another settlement changed the carry since this one was computed.
    #[error("settlement {settlement} counts on a carry of {expected}, the books hold {found}")]
    CarryMoved {
        /// The settlement's key.
        settlement: String,
        /// What it counts on.
        expected: u64,
        /// What is there.
        found: i128,
    },
    /// An interval would pay shares twice, or skip some.
    #[error(
        "settlement {settlement} covers shares {from_seq} to {to_seq}; due is from {due_from} to {due_to} at most"
    )]
    IntervalOverlap {
        /// The settlement's key.
        settlement: String,
        /// Where it starts (exclusive).
        from_seq: u64,
        /// Where it ends (inclusive).
        to_seq: u64,
        /// Where the last one ended.
        due_from: u64,
        /// The log's end, or where the next generation took over.
        due_to: u64,
    },
    /// What an account keeps is not what its transfers add up to.
    #[error(
        "{account} keeps debits of {debits} and credits of {credits}; its transfers add up to {debits_found} and {credits_found}"
    )]
    BooksDisagree {
        /// The account.
        account: String,
        /// Debits it keeps.
        debits: u128,
        /// Credits it keeps.
        credits: u128,
        /// Sum of the transfers that take from it.
        debits_found: u128,
        /// Sum of the transfers that give to it.
        credits_found: u128,
    },
    /// A number beyond what is stored.
    #[error("{what} of {value} is above {max}")]
    TooLarge {
        /// Which number.
        what: &'static str,
        /// What came.
        value: u128,
        /// The most that is stored.
        max: u128,
    },
    /// A block's work cannot be nothing.
    #[error("a share without network work")]
    NoNetworkWork,
    /// Not a miner's name.
    #[error(transparent)]
    BadAccountName(#[from] BadAccountName),
    /// Not a worker's name.
    #[error(
        "a worker name of {bytes} bytes or with control characters; at most {max} bytes are allowed"
    )]
    BadWorkerName {
        /// Bytes that came.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The chain of settlement records is broken.
    #[error("settlement {number} ({key}): {why}")]
    RecordsDisagree {
        /// The settlement's number.
        number: u64,
        /// Its key.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// An old state of a scheme was let go of.
    #[error(
        "settlement {0}: the scheme's state it began with is no longer kept, so it cannot be \
         recomputed; its sums and proofs can still be had"
    )]
    StateNotKept(String),
    /// There is no database to read.
    #[error("there is no ledger at {0}")]
    Missing(PathBuf),
    /// What a call failed with that was served together with others.
    #[error(transparent)]
    Shared(std::sync::Arc<StoreError>),
    /// What is stored cannot have been written by this program.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
}

/// SQLite's result code for a full disk or a database at its size limit.
const SQLITE_FULL: i32 = 13;
/// Another connection writes.
const SQLITE_BUSY: i32 = 5;
/// Another statement of this process writes.
const SQLITE_LOCKED: i32 = 6;
/// The disk failed.
const SQLITE_IOERR: i32 = 10;

impl StoreError {
    /// Whether the disk, or the room the database may take, is full.
    pub fn is_full(&self) -> bool {
        self.code() == Some(SQLITE_FULL)
    }

    /// Whether the same call may succeed later: a full or failing disk, a busy database.
    pub fn is_retryable(&self) -> bool {
        if let Self::Shared(error) = self {
            return error.is_retryable();
        }
        let code = self.code();
        let waits = [SQLITE_FULL, SQLITE_BUSY, SQLITE_LOCKED, SQLITE_IOERR];
        code.is_some_and(|code| waits.contains(&code))
            || matches!(self, Self::Database { source: sqlx::Error::PoolTimedOut, .. })
    }

    /// SQLite's primary result code: the low byte of the extended one.
    fn code(&self) -> Option<i32> {
        if let Self::Shared(error) = self {
            return error.code();
        }
        let Self::Database { source: sqlx::Error::Database(error), .. } = self else { return None };
        let extended: i32 = error.code()?.parse().ok()?;
        Some(extended & 0xff)
    }

    /// Gives a database error the name of the transaction it happened in.
    pub(crate) fn during(self, transaction: &'static str) -> Self {
        match self {
            Self::Database { source, .. } => Self::Database { transaction, source },
            other => other,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(source: sqlx::Error) -> Self {
        Self::Database { transaction: "use the database", source }
    }
}
