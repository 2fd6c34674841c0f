//! Work becomes money: accounts, transfers, settlements. No I/O, no clock, no float.
//!
//! `Proposal` (what a component answered) -> [`Distribution`] (checked) -> [`Transfer`]s
//! (double entry). A transfer takes from its `debit` account and gives to its `credit`
//! account, so all balances together are always zero.
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]

mod account;
mod amount;
mod apportion;
mod block_life;
mod breach;
mod canonical;
mod columns;
mod distribution;
mod hash;
mod hex_text;
mod merkle_sum;
mod recompute;
mod record;
mod salted;
mod settlement;
mod sums;
mod transfer;

pub use account::{ACCOUNT_NAME_BYTES_MAX, Account, AccountName, BadAccountName, UnknownAccount};
pub use amount::Amount;
pub use block_life::{BlockState, IllegalMove, UnknownBlockState};
pub use breach::{Breach, Imbalance};
pub use canonical::BadBytes;
pub use columns::{Contribution, Names};
pub use distribution::{Distribution, Limits, UnnamedRows};
pub use hash::{BadHash, Hash256};
pub use merkle_sum::{Inclusion, NotIncluded, TooMuchWork, WorkSum, WorkTree};
pub use recompute::Difference;
pub use record::{
    Body, Decided, DecidedBy, Decider, Decision, Header, Premises, RECORD_FORMAT, Record,
};
pub use salted::{BadSalt, Salt, SaltedKey};
pub use settlement::{
    Accounts, Allocation, Event, Plan, Proposal, Request, SchemeKind, Slices, WindowSize,
};
pub use transfer::{Reason, Transfer, UnknownReason, block_to_reserve};

/// The work of one expected block in the unit of account columns are sent in (see
/// `wit/0.1/types.wit`): a share scores `work * 2^52 / network work` of its time.
pub const SCORE_PER_BLOCK: u64 = 1 << 52;

/// The most blocks a window may span, so that its scores sum below 2^63.
pub const WINDOW_BLOCKS_MAX: u64 = 2_047;
