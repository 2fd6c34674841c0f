//! Durability: the share log, blocks, payout generations, and the books, in SQLite. The
//! only crate that names sqlx.
//!
//! One connection writes, a few read; the file is in WAL mode with `synchronous=FULL`, so
//! what a call acknowledged survives a power cut. Shares are appended by one statement; the
//! totals people look at follow a moment later. Every transaction has a name, which
//! errors carry, and every write is idempotent: repeating a call whose outcome was
//! unclear changes nothing ([`Booking::AlreadyBooked`]).
//!
//! The books are double entry: a transfer takes from one account and gives to another,
//! and each account keeps the exact sums of both sides, so all balances add up to zero
//! and [`Store::verify_books`] can recompute every one of them.
#![forbid(unsafe_code)]

mod bans;
mod blocks;
mod books;
mod codec;
mod cut;
mod error;
mod gather;
mod generations;
mod kv;
mod legs;
mod number;
mod record_chain;
mod records;
mod rounds;
mod rows;
mod scheme_states;
mod score;
mod settlements;
mod shares;
mod statistics;
mod store;
mod swaps;
mod takeovers;
mod totals;
mod walk;
mod window;
mod workers;
mod writer;

#[cfg(test)]
mod faults;
#[cfg(test)]
mod record_faults;

pub use bans::{BanRow, BanSource};
pub use blocks::{Block, BlockChange, BlockRow};
pub use books::{Balance, Books};
pub use codec::ShareRecord;
pub use error::StoreError;
pub use generations::{Generation, GenerationId, Life, NewGeneration};
pub use kv::{KvFailure, KvQuota};
pub use legs::Leg;
pub use number::WORK_MAX;
pub use record_chain::RecordChain;
pub use records::{NewRecord, Recorded};
pub use rounds::{Round, Rounds};
pub use settlements::{Settlement, SettlementRow};
pub use shares::SLICE_MS;
pub use statistics::{
    CreditLine, Credits, MinerAccount, MinerSummary, Span, Statistics, WorkerSummary,
};
pub use store::{Booking, Durability, Store, StoreOptions, newest_schema, used_by};
pub use swaps::{NewSwap, Quarantined, Swap, SwapId, SwapStep};
pub use takeovers::{Rollback, TakenOver, Takeover, Unpaid};
pub use window::{Window, WindowQuery};
pub use workers::{WORKER_NAME_BYTES_MAX, Worker};
