//! Outputs anybody may spend, and the checks of one transaction.
//!
//! The script is P2WSH of OP_TRUE, or bare OP_TRUE where there are no witnesses: spending
//! them is valid on a real node too, and can be checked without a script interpreter.

use std::collections::HashSet;

use bitcoin::hashes::Hash as _;
use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, TxIn, TxOut, WScriptHash, Witness};

use super::refusal::{Refusal, first_broken};

/// OP_TRUE.
const TRUE: [u8; 1] = [0x51];

/// Core's COINBASE_MATURITY.
pub(super) const COINBASE_MATURITY: u64 = 100;

/// An output that is not spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Coin {
    pub(super) output: TxOut,
    /// Of the block it is in; the next height for one in the mempool.
    pub(super) height: u64,
    pub(super) coinbase: bool,
}

/// The script anybody may spend.
pub(super) fn anybody(segwit: bool) -> ScriptBuf {
    let bare = ScriptBuf::from_bytes(TRUE.to_vec());
    if segwit { ScriptBuf::new_p2wsh(&WScriptHash::hash(bare.as_bytes())) } else { bare }
}

/// What proves the right to spend it.
pub(super) fn proof(segwit: bool) -> Witness {
    if segwit { Witness::from_slice(&[TRUE]) } else { Witness::new() }
}

/// Core's `CheckTransaction`: what needs no chain.
pub(super) fn check_form(transaction: &Transaction) -> Result<(), Refusal> {
    let (inputs, outputs) = (&transaction.input, &transaction.output);
    let most = Amount::MAX_MONEY.to_sat();
    let values = || outputs.iter().map(|output| output.value.to_sat());
    first_broken(&[
        (!inputs.is_empty(), Refusal::NoInputs),
        (!outputs.is_empty(), Refusal::NoOutputs),
        // Core reads a signed number.
        (values().all(|value| value.cast_signed() >= 0), Refusal::OutputNegative),
        (values().all(|value| value <= most), Refusal::OutputTooLarge),
        (values().fold(0, u64::saturating_add) <= most, Refusal::OutputTotalTooLarge),
    ])?;
    let distinct: HashSet<OutPoint> = inputs.iter().map(|input| input.previous_output).collect();
    if distinct.len() != inputs.len() {
        return Err(Refusal::InputsDuplicate);
    }
    if transaction.is_coinbase() {
        let script_bytes = inputs[0].script_sig.len();
        return first_broken(&[((2..=100).contains(&script_bytes), Refusal::CoinbaseLength)]);
    }
    let null = inputs.iter().any(|input| input.previous_output.is_null());
    first_broken(&[(!null, Refusal::NullInput)])
}

/// Core's `IsFinalTx`, and no relative lock (BIP 68), which nothing here makes.
pub(super) fn check_final(
    transaction: &Transaction,
    height: u64,
    median_time: u32,
) -> Result<(), Refusal> {
    const TIMES_FROM: u64 = 500_000_000;
    const UNLOCKED: u32 = 1 << 31;
    let lock = u64::from(transaction.lock_time.to_consensus_u32());
    let past = if lock < TIMES_FROM { lock < height } else { lock < u64::from(median_time) };
    let sequences = || transaction.input.iter().map(|input| input.sequence.0);
    let absolute = past || sequences().all(|sequence| sequence == u32::MAX);
    let relative = transaction.is_coinbase()
        || transaction.version.0 < 2
        || sequences().all(|sequence| sequence & UNLOCKED != 0 || sequence & 0xffff == 0);
    first_broken(&[(absolute && relative, Refusal::NotFinal)])
}

/// Core's `CheckTxInputs` and the scripts; returns the fee. `coin` finds what is spent.
pub(super) fn check_inputs<'a>(
    transaction: &Transaction,
    height: u64,
    coin: impl Fn(&OutPoint) -> Option<&'a Coin>,
) -> Result<u64, Refusal> {
    let mut paid_in: u64 = 0;
    let mut spendable = true;
    for input in &transaction.input {
        let coin = coin(&input.previous_output).ok_or(Refusal::MissingOrSpent)?;
        if coin.coinbase && height < coin.height + COINBASE_MATURITY {
            return Err(Refusal::PrematureSpend);
        }
        paid_in = paid_in.saturating_add(coin.output.value.to_sat());
        spendable &= spends(input, &coin.output);
    }
    let paid_out: u64 = transaction.output.iter().map(|output| output.value.to_sat()).sum();
    let fee = paid_in.checked_sub(paid_out).ok_or(Refusal::InBelowOut)?;
    first_broken(&[(spendable, Refusal::Script)])?;
    Ok(fee)
}

/// Whether the input is a valid spend of the output; only of those anybody may spend.
fn spends(input: &TxIn, output: &TxOut) -> bool {
    let script = &output.script_pubkey;
    let witness = if *script == anybody(true) {
        proof(true)
    } else if *script == anybody(false) {
        proof(false)
    } else {
        return false;
    };
    input.script_sig.is_empty() && input.witness == witness
}
