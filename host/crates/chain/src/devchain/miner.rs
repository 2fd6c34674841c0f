//! A miner of the simulator's own, that shares no code with the pool it tries.

use bitcoin::absolute::LockTime;
use bitcoin::consensus::serialize;
use bitcoin::hashes::Hash as _;
use bitcoin::script::Builder;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, VarInt, Witness};
use chimera_pow::{PowHash, Target, sha256d};

use super::dev_block::{header, set_nonce};
use super::mempool::commitment;
use super::rules::DevRules;
use super::tree::Placed;
use super::{DevChain, NotAccepted, State, merkle_check, verge};

/// BIP 9's top bits with no deployment signalled.
pub(super) const VERSION: u32 = 0x2000_0000;

/// What a block is to be.
#[derive(Debug)]
struct Draft {
    previous: [u8; 32],
    version: u32,
    time: u32,
    bits: chimera_pow::CompactBits,
    /// Front to back, the coinbase first.
    transactions: Vec<Vec<u8>>,
    ids: Vec<[u8; 32]>,
    timed: bool,
}

/// A block somebody mined.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mined {
    pub(super) id: PowHash,
    pub(super) placed: Placed,
}

impl DevChain {
    /// Mines one block on `parent`, or on the tip with the mempool's transactions; `None` when
    /// the tries are used up or the block is not wanted any more.
    pub(super) fn mine_one(
        &self,
        parent: Option<[u8; 32]>,
        script: &[u8],
        now: u64,
        tries: &mut u64,
    ) -> Result<Option<Mined>, NotAccepted> {
        let draft = self.draft(&mut self.state(), parent, script, now);
        let root = merkle_check::root(&draft.ids).0.expect("there is a coinbase");
        let Draft { version, previous, time, bits, .. } = draft;
        let mut header = header(version, &previous, &root, time, bits, 0);
        let target = bits.target().unwrap_or(Target::DIFFICULTY_ONE);
        let mut nonce: u32 = 0;
        loop {
            if *tries == 0 {
                return Ok(None);
            }
            *tries -= 1;
            set_nonce(&mut header, nonce);
            if target.is_met_by(&self.params().algorithm.hash(&header)) {
                break;
            }
            let Some(next) = nonce.checked_add(1) else { return Ok(None) };
            nonce = next;
        }
        let mut block = header.to_vec();
        block.extend(serialize(&VarInt::from(draft.transactions.len())));
        block.extend(draft.transactions.concat());
        block.extend(draft.timed.then_some(0));
        match self.submit(&block, now) {
            Ok((id, placed)) => Ok(Some(Mined { id, placed })),
            Err(NotAccepted::Disk(error)) => Err(NotAccepted::Disk(error)),
            Err(_) => Ok(None),
        }
    }

    fn draft(&self, state: &mut State, parent: Option<[u8; 32]>, script: &[u8], now: u64) -> Draft {
        let rules = self.params().rules;
        let previous = parent.unwrap_or_else(|| state.tree.tip().hash.0);
        let height = state.tree.get(previous).map_or(0, |entry| entry.height) + 1;
        let earliest = u64::from(state.tree.median_time(previous)) + 1;
        let time = u32::try_from(now.max(earliest)).unwrap_or(u32::MAX);
        let mut value = self.params().subsidy_at(height);
        let mut others: Vec<Transaction> = Vec::new();
        if rules.is_bitcoin() && parent.is_none() {
            let selected = state.mempool.select(rules);
            value += selected.fees;
            others.clone_from(&selected.transactions);
        }
        // Differs for every block ever seen: an orphan is never found a second time.
        let salt = (state.tree.len() as u64).to_le_bytes();
        let coinbase = coinbase(rules, height, salt, value, script, &others);
        let (id, bytes) = serialized(rules, &coinbase, time);
        let ids = others.iter().map(|tx| tx.compute_txid().to_byte_array());
        Draft {
            previous,
            version: if rules.is_verge() { verge::VERSION | verge::BLAKE } else { VERSION },
            time,
            bits: state.tree.bits_after(previous, self.params()),
            ids: std::iter::once(id).chain(ids).collect(),
            transactions: std::iter::once(bytes).chain(others.iter().map(serialize)).collect(),
            timed: rules.is_verge(),
        }
    }
}

fn coinbase(
    rules: DevRules,
    height: u64,
    salt: [u8; 8],
    value: u64,
    script: &[u8],
    others: &[Transaction],
) -> Transaction {
    let says = Builder::new().push_int(height.cast_signed()).push_slice(salt).into_script();
    let output = |value, script: Vec<u8>| TxOut {
        value: Amount::from_sat(value),
        script_pubkey: ScriptBuf::from_bytes(script),
    };
    let mut outputs = vec![output(value, script.to_vec())];
    let mut witness = Witness::new();
    if rules.segwit() {
        outputs.push(output(0, commitment(others)));
        witness = Witness::from_slice(&[[0; 32]]);
    }
    Transaction {
        version: Version(if rules.is_verge() { 1 } else { 2 }),
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::null(),
            script_sig: says,
            sequence: Sequence::MAX,
            witness,
        }],
        output: outputs,
    }
}

/// Its id and its bytes; Verge puts a time behind the version.
fn serialized(rules: DevRules, coinbase: &Transaction, time: u32) -> ([u8; 32], Vec<u8>) {
    let mut bytes = serialize(coinbase);
    if rules.is_verge() {
        bytes.splice(4..4, time.to_le_bytes());
        return (sha256d(&bytes), bytes);
    }
    (coinbase.compute_txid().to_byte_array(), bytes)
}
