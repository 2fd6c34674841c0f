//! Why a proposal is refused: every way money could be invented or lost.

/// A proposal that would not balance, and who made it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{plugin} proposed {breach}")]
pub struct Imbalance {
    /// The component.
    pub plugin: String,
    /// What is wrong.
    pub breach: Breach,
}

/// What is wrong with a proposal, with the numbers. Amounts are base units.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// The answer has not one entry per row.
    #[error("{proposed} entries for {rows} accounts")]
    Rows {
        /// Entries in the answer.
        proposed: usize,
        /// Rows in the request.
        rows: usize,
    },
    /// The request itself is uneven, or its event is not one the plan is asked about.
    #[error("an answer to a malformed request: {0}")]
    Request(&'static str),
    /// More than the reward goes to the pool and the next settlement.
    #[error(
        "a fee of {fee} and a carry of {carry_out} for a reward of {reward} and a carry of {carry_in}"
    )]
    Overdrawn {
        /// Pool fee proposed.
        fee: u64,
        /// Carry proposed.
        carry_out: u64,
        /// The block's reward.
        reward: u64,
        /// Carry of the previous settlement.
        carry_in: u64,
    },
    /// Reward and carry together are more than an amount can be.
    #[error("a settlement of a reward of {reward} and a carry of {carry_in}: more than 2^64 - 1")]
    TooLarge {
        /// The block's reward.
        reward: u64,
        /// Carry of the previous settlement.
        carry_in: u64,
    },
    /// The fee is above the operator's cap.
    #[error(
        "a fee of {fee} for a reward of {reward}; the operator allows {fee_max_ppm} parts per million"
    )]
    Fee {
        /// Pool fee proposed.
        fee: u64,
        /// What the fee is measured by: the reward, or the worth of the interval's work.
        reward: u64,
        /// The cap.
        fee_max_ppm: u32,
    },
    /// The remainder is above what the scheme announced.
    #[error("a carry of {carry_out} where its plan allows {carry_max}")]
    Carry {
        /// Carry proposed.
        carry_out: u64,
        /// Carry announced; always 0 for accruing schemes.
        carry_max: u64,
    },
    /// There is something to divide, and nobody to receive it.
    #[error("nobody to receive {pot} of a reward of {reward}")]
    NobodyNamed {
        /// What was to be divided.
        pot: u64,
        /// The block's reward.
        reward: u64,
    },
    /// The amounts are not what there is to divide.
    #[error("amounts of {proposed} in all, for a reward of {reward} that leaves {pot} to divide")]
    Sum {
        /// Sum of the amounts.
        proposed: u128,
        /// Reward plus carry, less fee and new carry.
        pot: u64,
        /// The block's reward.
        reward: u64,
    },
    /// An account that did nothing is paid.
    #[error("{entry} for row {row}, which has no work and is not the finder")]
    Unearned {
        /// The row.
        row: usize,
        /// Its weight or amount.
        entry: u64,
    },
    /// Weights where there is no pot to divide.
    #[error("weights for an interval; accruing schemes answer with amounts")]
    WeightsForInterval,
    /// Work is paid above what it is expected to earn.
    #[error("{amount} for row {row}, whose work is worth {worth} at most")]
    AboveWorth {
        /// The row.
        row: usize,
        /// Its amount.
        amount: u64,
        /// The most it may get.
        worth: u128,
    },
    /// All work together is paid above what it is expected to earn.
    #[error("{proposed} with the fee, for work that is worth {worth} at most")]
    SumAboveWorth {
        /// Sum of the amounts, and the fee.
        proposed: u128,
        /// The most it may be.
        worth: u128,
    },
}
