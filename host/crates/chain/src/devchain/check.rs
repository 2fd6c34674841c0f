//! The rules of the embedded chain. Names and order of the reasons are Bitcoin Core's
//! (`validation.cpp`), so that an adapter meets the same words here and there.

use super::dev_block::DevBlock;
use super::params::DevParams;
use super::tree::BlockTree;
use crate::coinbase::{SCRIPT_SIG_BYTES, height_push};

/// A block here is a header and one coinbase, under 500 bytes; this bounds a strange payout.
pub(super) const BLOCK_BYTES_MAX: usize = 10_000;

/// Core's MAX_FUTURE_BLOCK_TIME, in seconds.
const TIME_AHEAD_S: u64 = 2 * 60 * 60;

/// Why a block is not accepted.
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
    BadLength,
    CoinbaseMissing,
    TransactionsUnsupported,
    BadMerkleRoot,
    CoinbaseLength,
    CoinbaseHeight,
    NoOutputs,
    UnexpectedWitness,
    CoinbaseAmount,
}

impl Refusal {
    /// The word `submitblock` answers (BIP 22, appendix, and Core's).
    pub(super) const fn reason(self) -> &'static str {
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
            Self::BadLength => "bad-blk-length",
            Self::CoinbaseMissing => "bad-cb-missing",
            // No name of Core's: there every block may have transactions.
            Self::TransactionsUnsupported => "bad-txns-unsupported",
            Self::BadMerkleRoot => "bad-txnmrklroot",
            Self::CoinbaseLength => "bad-cb-length",
            Self::CoinbaseHeight => "bad-cb-height",
            Self::NoOutputs => "bad-txns-vout-empty",
            Self::UnexpectedWitness => "unexpected-witness",
            Self::CoinbaseAmount => "bad-cb-amount",
        }
    }
}

/// Checks a block and returns its height. Without a clock its time may be in the future:
/// it was not when the block was accepted.
pub(super) fn check(
    params: &DevParams,
    tree: &BlockTree,
    block: &DevBlock,
    now: Option<u64>,
) -> Result<u64, Refusal> {
    let hash = block.hash(params);
    if tree.get(hash.0).is_some() {
        return Err(match (tree.is_invalid(hash.0), tree.is_on_chain(hash.0)) {
            (true, _) => Refusal::DuplicateInvalid,
            (false, true) => Refusal::Duplicate,
            (false, false) => Refusal::DuplicateInconclusive,
        });
    }
    // Its own bits first: junk is refused for one hash, before anything is looked up.
    let easiest = params.easiest.target().expect("the parameters are checked");
    let claimed = block.bits().target().ok().filter(|target| *target <= easiest);
    if !claimed.is_some_and(|target| target.is_met_by(&hash)) {
        return Err(Refusal::HighHash);
    }
    let previous = block.previous();
    let Some(parent) = tree.get(previous) else {
        return Err(Refusal::PreviousNotFound);
    };
    let height = parent.height + 1;
    let latest = now.map_or(u64::MAX, |now| now.saturating_add(TIME_AHEAD_S));
    let rules = [
        (!tree.is_invalid(previous), Refusal::BadPrevious),
        (block.bits() == tree.bits_after(previous, params), Refusal::BadBits),
        (block.time() > tree.median_time(previous), Refusal::TimeTooOld),
        (u64::from(block.time()) <= latest, Refusal::TimeTooNew),
        (block.bytes.len() <= BLOCK_BYTES_MAX, Refusal::BadLength),
    ];
    first_broken(&rules)?;
    check_coinbase(params, block, height)?;
    Ok(height)
}

fn check_coinbase(params: &DevParams, block: &DevBlock, height: u64) -> Result<(), Refusal> {
    let coinbase = match &block.transactions[..] {
        [coinbase] if coinbase.is_coinbase() => coinbase,
        [coinbase, _, ..] if coinbase.is_coinbase() => {
            return Err(Refusal::TransactionsUnsupported);
        }
        _ => return Err(Refusal::CoinbaseMissing),
    };
    let script = &coinbase.inputs[0].script;
    let values = coinbase.outputs.iter().map(|output| output.value);
    let paid = values.fold(0, u64::saturating_add);
    let rules = [
        (coinbase.txid() == block.merkle_root(), Refusal::BadMerkleRoot),
        (SCRIPT_SIG_BYTES.contains(&script.len()), Refusal::CoinbaseLength),
        (!coinbase.outputs.is_empty(), Refusal::NoOutputs),
        (script.starts_with(&height_push(height)), Refusal::CoinbaseHeight),
        // No block here commits to witnesses, so none may carry one (BIP 141).
        (!coinbase.witness, Refusal::UnexpectedWitness),
        (paid <= params.subsidy_at(height), Refusal::CoinbaseAmount),
    ];
    first_broken(&rules)
}

fn first_broken(rules: &[(bool, Refusal)]) -> Result<(), Refusal> {
    match rules.iter().find(|(kept, _)| !kept) {
        Some((_, refusal)) => Err(*refusal),
        None => Ok(()),
    }
}
