//! The rules of the embedded chain, in Bitcoin Core's order: the block alone, its header
//! among the others, its body at its height. What its inputs spend is checked when it joins
//! the chain (`ledger.rs`), as in Core.

use chimera_pow::PowHash;

use super::State;
use super::dev_block::{Body, Candidate, DevBlock};
use super::params::DevParams;
use super::refusal::{Refusal, first_broken};
use super::rules::DevRules;
use super::{bitcoin_check, verge};

/// A block of the plain rules is a header and one coinbase, under 500 bytes; this bounds a
/// strange payout.
pub(super) const PLAIN_BYTES_MAX: usize = 10_000;

/// The largest block of any rules: 4 MB, all of it witness.
pub(super) const BLOCK_BYTES_MAX: usize = 4_000_000;

/// Core's MAX_FUTURE_BLOCK_TIME, in seconds.
const TIME_AHEAD_S: u64 = 2 * 60 * 60;

/// What is asked of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// Without a clock its time may be in the future: it was not when it was accepted.
    pub(super) now: Option<u64>,
    /// A proposal (BIP 23) has no proof of work yet.
    pub(super) work: bool,
}

/// Checks a block and returns its height.
pub(super) fn check(
    params: &DevParams,
    state: &State,
    candidate: &Candidate,
    asked: Asked,
) -> Result<u64, Refusal> {
    let block = &candidate.block;
    check_unknown(state, block.id)?;
    check_work(params, block, asked.work)?;
    check_alone(params, candidate)?;
    let height = check_header(params, state, block, asked.now)?;
    check_body(params, state, candidate, height)?;
    Ok(height)
}

fn check_unknown(state: &State, id: PowHash) -> Result<(), Refusal> {
    let tree = &state.tree;
    if state.refused.contains(&id.0) {
        return Err(Refusal::DuplicateInvalid);
    }
    if tree.get(id.0).is_none() {
        return Ok(());
    }
    Err(match (tree.is_invalid(id.0), tree.is_on_chain(id.0)) {
        (true, _) => Refusal::DuplicateInvalid,
        (false, true) => Refusal::Duplicate,
        (false, false) => Refusal::DuplicateInconclusive,
    })
}

/// Its own bits first: junk is refused for one hash, before anything is looked up.
pub(super) fn check_work(params: &DevParams, block: &DevBlock, work: bool) -> Result<(), Refusal> {
    if params.rules.is_verge() {
        verge::check_algorithm(block.version())?;
    }
    let easiest = params.easiest.target().expect("the parameters are checked");
    let claimed = block.bits().target().ok().filter(|target| *target <= easiest);
    let pow = params.algorithm.hash(&block.header);
    let met = claimed.is_some_and(|target| !work || target.is_met_by(&pow));
    first_broken(&[(met, Refusal::HighHash)])
}

/// What needs no chain.
pub(super) fn check_alone(params: &DevParams, candidate: &Candidate) -> Result<(), Refusal> {
    match &candidate.body {
        // MAX_BLOCK_SERIALIZED_SIZE.
        Body::Verge(_) if candidate.block.bytes.len() > BLOCK_BYTES_MAX => Err(Refusal::BadLength),
        Body::Verge(all) => verge::check_body(candidate.block.merkle_root(), all),
        Body::Bitcoin(block) => {
            if params.rules == DevRules::Plain {
                check_plain(block, candidate.block.bytes.len())?;
            }
            bitcoin_check::check_block(block)
        }
    }
}

fn check_plain(block: &bitcoin::Block, bytes: usize) -> Result<(), Refusal> {
    match &block.txdata[..] {
        [coinbase] if coinbase.is_coinbase() => {
            first_broken(&[(bytes <= PLAIN_BYTES_MAX, Refusal::BadLength)])
        }
        [coinbase, _, ..] if coinbase.is_coinbase() => Err(Refusal::TransactionsUnsupported),
        _ => Err(Refusal::CoinbaseMissing),
    }
}

fn check_header(
    params: &DevParams,
    state: &State,
    block: &DevBlock,
    now: Option<u64>,
) -> Result<u64, Refusal> {
    let (tree, previous) = (&state.tree, block.previous());
    let invalid = tree.is_invalid(previous) || state.refused.contains(&previous);
    let Some(parent) = tree.get(previous) else {
        return Err(if invalid { Refusal::BadPrevious } else { Refusal::PreviousNotFound });
    };
    let latest = now.map_or(u64::MAX, |now| now.saturating_add(TIME_AHEAD_S));
    let version = block.version().cast_signed();
    first_broken(&[
        (!invalid, Refusal::BadPrevious),
        (block.bits() == tree.bits_after(previous, params), Refusal::BadBits),
        (block.time() > tree.median_time(previous), Refusal::TimeTooOld),
        (u64::from(block.time()) <= latest, Refusal::TimeTooNew),
        // BIP 34, 66 and 65 made 4 the least.
        (!params.rules.is_bitcoin() || version >= 4, Refusal::BadVersion(version)),
    ])?;
    Ok(parent.height + 1)
}

fn check_body(
    params: &DevParams,
    state: &State,
    candidate: &Candidate,
    height: u64,
) -> Result<(), Refusal> {
    let subsidy = params.subsidy_at(height);
    match &candidate.body {
        Body::Bitcoin(block) => {
            let median = state.tree.median_time(candidate.block.previous());
            bitcoin_check::check_in_place(params.rules, block, height, median)?;
            // Where there are fees, the ledger knows them.
            let paid = block.txdata[0].output.iter().map(|output| output.value.to_sat());
            let due = params.rules.is_bitcoin() || paid.fold(0, u64::saturating_add) <= subsidy;
            first_broken(&[(due, Refusal::CoinbaseAmount)])
        }
        Body::Verge(all) => {
            verge::check_times(candidate.block.time(), all)?;
            let paid = all[0].transaction.outputs.iter().map(|output| output.value);
            first_broken(&[
                (!state.mining_disabled, Refusal::BadAlgorithm),
                // The simulator pays nothing that could be spent.
                (all.len() == 1, Refusal::MissingOrSpent),
                (paid.fold(0, u64::saturating_add) <= subsidy, Refusal::CoinbaseAmount),
            ])
        }
    }
}
