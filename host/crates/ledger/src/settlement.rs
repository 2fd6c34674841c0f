//! What a payout scheme is asked and what it answers: the host's side of `wit/payout.wit`.
//!
//! A [`Request`] is built by the host from the share log; a [`Proposal`] is a component's
//! untrusted answer. Only the conservation check turns a proposal into a distribution.

/// Whether a scheme splits blocks or credits work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemeKind {
    /// Splits a block the pool found; conservation is exact.
    Distribute,
    /// Credits work before blocks exist; bounded by the work's expected value.
    Accrue,
}

/// Which shares a settlement looks at, counted back from the share before the block's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowSize {
    /// Only the finder.
    None,
    /// Thousandths of one expected block of work.
    NetworkWorkMilli(u64),
    /// Shares of the last so many milliseconds.
    DurationMs(u64),
    /// All shares since the pool's previous block.
    SinceLastBlock,
}

/// What a scheme says of itself, once per generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Splits blocks or credits work.
    pub kind: SchemeKind,
    /// The window it wants.
    pub window: WindowSize,
    /// Equal-work slices, newest first; 1 if age does not matter.
    pub buckets: u16,
    /// Upper bound of the carry, in base units.
    pub carry_max: u64,
}

/// What happened that somebody is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A block of the pool matured.
    Block {
        /// Its height.
        height: u64,
        /// All the pool received for it, in base units.
        reward: u64,
        /// The fee part of `reward`.
        tx_fees: u64,
        /// The work the window could hold.
        window_work: u64,
        /// When it was found, ms since the Unix epoch.
        found_at_ms: u64,
        /// The finder's row.
        finder: Option<u32>,
    },
    /// An interval of work ended (accruing schemes).
    Interval {
        /// Its start, ms since the Unix epoch.
        started_at_ms: u64,
        /// Its end, ms since the Unix epoch.
        ended_at_ms: u64,
        /// The work of one expected block in the unit of account.
        network_work: u64,
        /// What one block is expected to pay, in base units.
        expected_reward: u64,
    },
}

/// One row per account with work in the window, sorted by `key`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Tie-break keys, strictly increasing.
    pub key: Vec<u64>,
    /// Work in the unit of account; the sum is below 2^63.
    pub work: Vec<u64>,
    /// Operator-set fee, parts per million.
    pub fee_ppm: Vec<u32>,
}

/// Work by age, sparse, sorted by (bucket, account).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slices {
    /// Row in [`Accounts`].
    pub account: Vec<u32>,
    /// 0 is the newest.
    pub bucket: Vec<u16>,
    /// Work in the unit of account.
    pub work: Vec<u64>,
}

/// One settlement, as a scheme is asked to propose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What happened.
    pub event: Event,
    /// Who worked.
    pub accounts: Accounts,
    /// When they worked; empty unless the plan asked for buckets.
    pub slices: Slices,
    /// Rounding remainder of the previous settlement, in base units.
    pub carry: u64,
    /// The scheme's own state, opaque to the host.
    pub state: Vec<u8>,
}

/// Who gets how much, one entry per row of [`Accounts`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allocation {
    /// Relative; the host apportions exactly.
    Weights(Vec<u64>),
    /// Absolute, in base units; the host checks the sum.
    Amounts(Vec<u64>),
}

/// A component's answer: untrusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Who gets how much.
    pub allocation: Allocation,
    /// The pool's part, in base units.
    pub pool_fee: u64,
    /// Remainder left for the next settlement, in base units.
    pub carry: u64,
    /// The scheme's next state.
    pub state: Vec<u8>,
    /// Facts for people.
    pub notes: Vec<String>,
}
