//! What Bitcoin Core checks of a block's body, with a library no pool code shares.

use bitcoin::hashes::Hash as _;
use bitcoin::opcodes::all::OP_RETURN;
use bitcoin::script::Builder;
use bitcoin::{Block, Script, Transaction};

use super::refusal::{Refusal, first_broken};
use super::rules::DevRules;
use super::spend::{check_final, check_form};

/// BIP 141.
pub(super) const WEIGHT_MAX: u64 = 4_000_000;
/// Before it: bytes.
pub(super) const BYTES_MAX: usize = 1_000_000;

/// Core's `CheckBlock`, without the work: what needs no chain.
pub(super) fn check_block(block: &Block) -> Result<(), Refusal> {
    let ids: Vec<[u8; 32]> =
        block.txdata.iter().map(|tx| tx.compute_txid().to_byte_array()).collect();
    let mutated = super::merkle_check::root(&ids).1;
    // A block of nothing has no root; Core compares with zeroes.
    let root = block.check_merkle_root()
        || ids.is_empty() && block.header.merkle_root.to_byte_array() == [0; 32];
    first_broken(&[
        (root, Refusal::BadMerkleRoot),
        (!mutated, Refusal::DuplicateTransactions),
        (!ids.is_empty() && stripped_bytes(block) <= BYTES_MAX, Refusal::BadLength),
    ])?;
    let is_coinbase = |tx: &Transaction| tx.is_coinbase();
    first_broken(&[
        (block.txdata.first().is_some_and(is_coinbase), Refusal::CoinbaseMissing),
        (!block.txdata.iter().skip(1).any(is_coinbase), Refusal::CoinbaseMultiple),
    ])?;
    block.txdata.iter().try_for_each(check_form)
}

fn stripped_bytes(block: &Block) -> usize {
    let count = bitcoin::VarInt::from(block.txdata.len()).size();
    80 + count + block.txdata.iter().map(Transaction::base_size).sum::<usize>()
}

/// Core's `ContextualCheckBlock`: what needs the height and the times before.
pub(super) fn check_in_place(
    rules: DevRules,
    block: &Block,
    height: u64,
    median_time: u32,
) -> Result<(), Refusal> {
    for transaction in &block.txdata {
        check_final(transaction, height, median_time)?;
    }
    let coinbase = block.txdata.first().ok_or(Refusal::CoinbaseMissing)?;
    let script = &coinbase.input[0].script_sig;
    let expected = Builder::new().push_int(height.cast_signed()).into_script();
    first_broken(&[(script.as_bytes().starts_with(expected.as_bytes()), Refusal::CoinbaseHeight)])?;
    // The library reads heights as it likes; the two must agree on those it can read.
    if height > 16 && block.header.version.to_consensus() >= 2 {
        let read = block.bip34_block_height();
        first_broken(&[(read == Ok(height), Refusal::CoinbaseHeight)])?;
    }
    check_witness(rules, block, coinbase)?;
    first_broken(&[(block.weight().to_wu() <= WEIGHT_MAX, Refusal::BadWeight)])
}

/// Core's `CheckWitnessMalleation`.
fn check_witness(rules: DevRules, block: &Block, coinbase: &Transaction) -> Result<(), Refusal> {
    let committed = coinbase.output.iter().any(|output| is_commitment(&output.script_pubkey));
    if rules.segwit() && committed {
        let witness = &coinbase.input[0].witness;
        let nonce = witness.len() == 1 && witness[0].len() == 32;
        return first_broken(&[
            (nonce, Refusal::WitnessNonceSize),
            (block.check_witness_commitment(), Refusal::WitnessMerkleMatch),
        ]);
    }
    let has_witness = |tx: &Transaction| tx.input.iter().any(|input| !input.witness.is_empty());
    first_broken(&[(!block.txdata.iter().any(has_witness), Refusal::UnexpectedWitness)])
}

fn is_commitment(script: &Script) -> bool {
    let start = [OP_RETURN.to_u8(), 0x24, 0xaa, 0x21, 0xa9, 0xed];
    script.len() >= 38 && script.as_bytes().starts_with(&start)
}
