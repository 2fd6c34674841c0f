//! Why a block or transaction is not accepted, in Bitcoin Core's words (`validation.cpp`),
//! so that an adapter meets the same words here and there.

use std::borrow::Cow;

/// Why a block or transaction is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Duplicate,
    DuplicateInconclusive,
    DuplicateInvalid,
    HighHash,
    PreviousNotFound,
    BadPrevious,
    BadBits,
    TimeTooOld,
    TimeTooNew,
    BadVersion(i32),
    BadLength,
    CoinbaseMissing,
    CoinbaseMultiple,
    TransactionsUnsupported,
    BadMerkleRoot,
    /// Equal neighbours in the merkle tree (CVE-2012-2459).
    DuplicateTransactions,
    CoinbaseLength,
    CoinbaseHeight,
    NoInputs,
    NoOutputs,
    OutputNegative,
    OutputTooLarge,
    OutputTotalTooLarge,
    InputsDuplicate,
    NullInput,
    NotFinal,
    WitnessNonceSize,
    WitnessMerkleMatch,
    UnexpectedWitness,
    BadWeight,
    BadSigops,
    MissingOrSpent,
    PrematureSpend,
    InBelowOut,
    Script,
    CoinbaseAmount,
    /// Verge: the version names no algorithm.
    UnknownAlgorithm,
    /// Verge: too many of the last blocks used this algorithm.
    BadAlgorithm,
    /// Verge: the coinbase's time and the header's do not fit.
    TransactionTimeTooNew,
}

impl Refusal {
    /// The word `submitblock` answers (BIP 22, appendix, and Core's).
    pub(super) fn reason(self) -> Cow<'static, str> {
        match self {
            Self::BadVersion(version) => format!("bad-version(0x{version:08x})").into(),
            other => other.word().into(),
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::DuplicateInconclusive => "duplicate-inconclusive",
            Self::DuplicateInvalid => "duplicate-invalid",
            Self::HighHash => "high-hash",
            Self::PreviousNotFound => "prev-blk-not-found",
            Self::BadPrevious => "bad-prevblk",
            Self::BadBits => "bad-diffbits",
            Self::TimeTooOld => "time-too-old",
            Self::TimeTooNew => "time-too-new",
            Self::BadVersion(_) => "bad-version",
            Self::BadLength => "bad-blk-length",
            Self::CoinbaseMissing => "bad-cb-missing",
            Self::CoinbaseMultiple => "bad-cb-multiple",
            // No name of Core's: there every block may have transactions.
            Self::TransactionsUnsupported => "bad-txns-unsupported",
            Self::BadMerkleRoot => "bad-txnmrklroot",
            Self::DuplicateTransactions => "bad-txns-duplicate",
            Self::CoinbaseLength => "bad-cb-length",
            Self::CoinbaseHeight => "bad-cb-height",
            Self::NoInputs => "bad-txns-vin-empty",
            Self::NoOutputs => "bad-txns-vout-empty",
            Self::OutputNegative => "bad-txns-vout-negative",
            Self::OutputTooLarge => "bad-txns-vout-toolarge",
            Self::OutputTotalTooLarge => "bad-txns-txouttotal-toolarge",
            Self::InputsDuplicate => "bad-txns-inputs-duplicate",
            Self::NullInput => "bad-txns-prevout-null",
            Self::NotFinal => "bad-txns-nonfinal",
            Self::WitnessNonceSize => "bad-witness-nonce-size",
            Self::WitnessMerkleMatch => "bad-witness-merkle-match",
            Self::UnexpectedWitness => "unexpected-witness",
            Self::BadWeight => "bad-blk-weight",
            Self::BadSigops => "bad-blk-sigops",
            Self::MissingOrSpent => "bad-txns-inputs-missingorspent",
            Self::PrematureSpend => "bad-txns-premature-spend-of-coinbase",
            Self::InBelowOut => "bad-txns-in-belowout",
            Self::Script => "mandatory-script-verify-flag-failed",
            Self::CoinbaseAmount => "bad-cb-amount",
            Self::UnknownAlgorithm => "unknown-algo",
            Self::BadAlgorithm => "bad-blk-algorithm",
            Self::TransactionTimeTooNew => "transaction-time-too-new",
        }
    }

    /// Whether Core holds it against the block's name: refusals for what a block says at its
    /// place. Those before it is looked up, and those of a body another could replace, it
    /// forgets.
    pub(super) const fn condemns(self) -> bool {
        matches!(
            self,
            Self::BadPrevious
                | Self::BadBits
                | Self::TimeTooOld
                | Self::BadVersion(_)
                | Self::CoinbaseHeight
                | Self::NotFinal
                | Self::BadWeight
        )
    }
}

/// The first rule that is not kept.
pub(super) fn first_broken(rules: &[(bool, Refusal)]) -> Result<(), Refusal> {
    match rules.iter().find(|(kept, _)| !kept) {
        Some((_, refusal)) => Err(*refusal),
        None => Ok(()),
    }
}
