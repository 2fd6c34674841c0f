//! What is special about Verge's blocks: names by scrypt, a time in every transaction, the
//! algorithm in the version, a signature made by the node's wallet.

use bitcoin::Script;
use chimera_pow::{Header, PowHash};

use super::refusal::{Refusal, first_broken};
use crate::transaction::Transaction;
use crate::wire::Reader;

/// Bits 11 to 14 of the version name the algorithm.
pub(super) const ALGORITHM_MASK: u32 = 0x7800;
/// Blake2s among them.
pub(super) const BLAKE: u32 = 0x2000;
/// What Verge's templates say apart from the algorithm.
pub(super) const VERSION: u32 = 2;

/// GetMaxClockDrift from height 2,218,500, in seconds.
const DRIFT_S: u64 = 600;

/// The words of `submitblock` when no key of the wallet fits the coinbase.
pub(super) const UNSIGNABLE: &str = "Block signatures couldn't be created";

/// A transaction and its time.
#[derive(Debug, Clone)]
pub(super) struct TimedTransaction {
    pub(super) time: u32,
    pub(super) transaction: Transaction,
}

impl TimedTransaction {
    /// The transactions and the signature behind a header; `None` if there is more or less.
    pub(super) fn read_body(bytes: &[u8]) -> Option<Vec<Self>> {
        let mut reader = Reader::new(bytes);
        let count = reader.compact_size()?;
        let mut transactions = Vec::new();
        for _ in 0..count {
            let mut ahead = reader.clone();
            ahead.take(4)?;
            let time = ahead.u32()?;
            let transaction = Transaction::read(&mut reader, true)?;
            transactions.push(Self { time, transaction });
        }
        // One zero byte when handed in by a miner: an empty signature.
        reader.bytes().filter(|signature| signature.is_empty())?;
        reader.rest().is_empty().then_some(transactions)
    }
}

/// CBlockHeader::GetHash: scrypt(1024, 1, 1) of the header, salted with the header.
pub(super) fn scrypt_id(header: &Header) -> PowHash {
    let params = scrypt::Params::new(10, 1, 1).expect("the parameters of Litecoin");
    let mut id = [0; 32];
    scrypt::scrypt(header, header, &params, &mut id).expect("32 bytes are an output");
    PowHash(id)
}

/// What the version says about the algorithm. Without a word about it the work would have to
/// be scrypt, which nobody does here.
pub(super) fn check_algorithm(version: u32) -> Result<(), Refusal> {
    match version & ALGORITHM_MASK {
        BLAKE => Ok(()),
        0 => Err(Refusal::HighHash),
        _ => Err(Refusal::UnknownAlgorithm),
    }
}

/// The rules of the coinbase's time and of those after it.
pub(super) fn check_times(header_time: u32, all: &[TimedTransaction]) -> Result<(), Refusal> {
    let coinbase = all.first().map_or(0, |first| u64::from(first.time));
    let header = u64::from(header_time);
    let none_later = all.iter().all(|one| one.time <= header_time);
    first_broken(&[
        (none_later, Refusal::TransactionTimeTooNew),
        (header <= coinbase + DRIFT_S, Refusal::TransactionTimeTooNew),
    ])
}

/// What needs no chain: the merkle root and the form of the transactions.
pub(super) fn check_body(root: [u8; 32], all: &[TimedTransaction]) -> Result<(), Refusal> {
    let ids: Vec<[u8; 32]> = all.iter().map(|one| one.transaction.txid()).collect();
    let (found, mutated) = super::merkle_check::root(&ids);
    first_broken(&[
        (found == Some(root), Refusal::BadMerkleRoot),
        (!mutated, Refusal::DuplicateTransactions),
    ])?;
    let Some((coinbase, others)) = all.split_first() else {
        return Err(Refusal::CoinbaseMissing);
    };
    let coinbase = &coinbase.transaction;
    first_broken(&[
        (coinbase.is_coinbase(), Refusal::CoinbaseMissing),
        (!others.iter().any(|one| one.transaction.is_coinbase()), Refusal::CoinbaseMultiple),
        (!coinbase.outputs.is_empty(), Refusal::NoOutputs),
    ])?;
    let script_bytes = coinbase.inputs[0].script.len();
    first_broken(&[((2..=100).contains(&script_bytes), Refusal::CoinbaseLength)])
}

/// Whether the wallet can sign the block: CheckBlockSignature wants every output of the
/// coinbase to be of a known kind, and one to pay a bare key the wallet has.
pub(super) fn is_signable(coinbase: &Transaction, has_key: impl Fn(&[u8]) -> bool) -> bool {
    let scripts = || coinbase.outputs.iter().map(|output| Script::from_bytes(&output.script));
    let pays_key =
        |script: &Script| script.is_p2pk() && has_key(&script.as_bytes()[1..script.len() - 1]);
    scripts().all(is_standard) && scripts().any(pays_key)
}

fn is_standard(script: &Script) -> bool {
    script.is_p2pk()
        || script.is_p2pkh()
        || script.is_p2sh()
        || script.is_multisig()
        || script.is_op_return()
        || script.is_witness_program()
}
