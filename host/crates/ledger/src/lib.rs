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
mod columns;
mod distribution;
mod settlement;
mod transfer;

pub use account::{
    ACCOUNT_NAME_BYTES_MAX, Account, AccountName, BadAccountName, UnknownAccount, account_key,
};
pub use amount::Amount;
pub use block_life::{BlockState, IllegalMove, UnknownBlockState};
pub use breach::{Breach, Imbalance};
pub use columns::Contribution;
pub use distribution::{Distribution, Limits, UnnamedRows};
pub use settlement::{
    Accounts, Allocation, Event, Plan, Proposal, Request, SchemeKind, Slices, WindowSize,
};
pub use transfer::{Reason, Transfer, UnknownReason, block_to_reserve};

/// The work of one expected block in the unit of account columns are sent in (see
/// `wit/types.wit`): a share scores `work * 2^52 / network work` of its time.
pub const SCORE_PER_BLOCK: u64 = 1 << 52;

/// The most blocks a window may span, so that its scores sum below 2^63.
pub const WINDOW_BLOCKS_MAX: u64 = 2_047;
