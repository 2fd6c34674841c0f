//! Transactions that wait for a block, in an order they can be mined in.

use std::collections::{HashMap, HashSet};

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::hashes::Hash as _;
use bitcoin::{Block, OutPoint, Transaction, Txid, WitnessMerkleNode, Wtxid};
use serde_json::{Value, json};

use super::bitcoin_check::WEIGHT_MAX;
use super::ledger::{Ledger, SIGOPS_MAX, outputs};
use super::refusal::{Refusal, first_broken};
use super::rules::DevRules;
use super::spend::{Coin, check_final, check_form, check_inputs};

/// What a template keeps free for the header and the coinbase (Core's `-blockreservedweight`).
const RESERVED_WEIGHT: u64 = 8_000;
/// The same in signature operations.
const RESERVED_SIGOPS: usize = 400;

/// The place in the chain new transactions are meant for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    pub(super) height: u64,
    pub(super) median_time: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Pooled {
    pub(super) transaction: Transaction,
    pub(super) txid: Txid,
    pub(super) fee: u64,
    pub(super) weight: u64,
    sigops: usize,
}

#[derive(Debug, Default)]
pub(super) struct Mempool {
    pooled: Vec<Pooled>,
    known: HashSet<Txid>,
    /// Outputs of others here and of the chain that are spent here.
    spent: HashSet<OutPoint>,
    created: HashMap<OutPoint, Coin>,
    /// Counts changes, for `longpollid`.
    changes: u64,
    /// What the template has of it, until it changes.
    selected: Option<Selected>,
}

/// What goes into the next block.
#[derive(Debug, Clone)]
pub(super) struct Selected {
    pub(super) transactions: Vec<Transaction>,
    /// As in a template.
    pub(super) json: Value,
    pub(super) fees: u64,
    /// The script of the commitment output (BIP 141).
    pub(super) commitment: Vec<u8>,
}

impl Mempool {
    pub(super) fn pooled(&self) -> &[Pooled] {
        &self.pooled
    }

    pub(super) const fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn holds(&self, txid: &Txid) -> bool {
        self.known.contains(txid)
    }

    pub(super) fn spends(&self, point: &OutPoint) -> bool {
        self.spent.contains(point)
    }

    /// Coins made here that nobody here spends.
    pub(super) fn unspent(&self) -> impl Iterator<Item = (&OutPoint, &Coin)> {
        self.created.iter().filter(|(point, _)| !self.spent.contains(point))
    }

    /// Adds a transaction that could be mined next.
    pub(super) fn add(
        &mut self,
        ledger: &Ledger,
        next: Next,
        transaction: Transaction,
    ) -> Result<Txid, Refusal> {
        check_form(&transaction)?;
        first_broken(&[(!transaction.is_coinbase(), Refusal::NullInput)])?;
        check_final(&transaction, next.height, next.median_time)?;
        let coin = |point: &OutPoint| {
            let free = !self.spent.contains(point);
            ledger.coins().get(point).or_else(|| self.created.get(point)).filter(|_| free)
        };
        let fee = check_inputs(&transaction, next.height, coin)?;
        let output = |point: &OutPoint| coin(point).map(|coin| coin.output.clone());
        let sigops = transaction.total_sigop_cost(output);
        let weight = transaction.weight().to_wu();
        let fits = weight <= WEIGHT_MAX - RESERVED_WEIGHT;
        first_broken(&[(fits, Refusal::BadWeight)])?;

        let txid = transaction.compute_txid();
        self.spent.extend(transaction.input.iter().map(|input| input.previous_output));
        self.created.extend(outputs(&transaction, next.height, false));
        self.known.insert(txid);
        self.pooled.push(Pooled { transaction, txid, fee, weight, sigops });
        self.changes += 1;
        self.selected = None;
        Ok(txid)
    }

    /// After the tip moved: those given back by disconnected blocks first, then the others;
    /// what is mined or spent meanwhile falls out.
    pub(super) fn rebase(&mut self, ledger: &Ledger, next: Next, returned: Vec<Transaction>) {
        let waiting = std::mem::take(&mut self.pooled).into_iter().map(|one| one.transaction);
        let all: Vec<Transaction> = returned.into_iter().chain(waiting).collect();
        *self = Self { changes: self.changes + 1, ..Self::default() };
        for transaction in all {
            // A refusal is the news that it cannot be mined any more.
            let _ = self.add(ledger, next, transaction);
        }
    }

    /// What the next block takes: in order, as much as fits.
    pub(super) fn select(&mut self, rules: DevRules) -> &Selected {
        if self.selected.is_none() {
            self.selected = Some(self.selection(rules));
        }
        self.selected.as_ref().expect("just made")
    }

    fn selection(&self, rules: DevRules) -> Selected {
        let mut weight_left = WEIGHT_MAX - RESERVED_WEIGHT;
        let mut sigops_left = SIGOPS_MAX - RESERVED_SIGOPS;
        let mut places: HashMap<Txid, usize> = HashMap::new();
        let mut fees = 0;
        let (mut transactions, mut rows) = (Vec::new(), Vec::new());
        for one in &self.pooled {
            let parents = one.transaction.input.iter().map(|input| input.previous_output.txid);
            let waits = parents.clone().any(|it| self.holds(&it) && !places.contains_key(&it));
            if waits || one.weight > weight_left || one.sigops > sigops_left {
                continue;
            }
            weight_left -= one.weight;
            sigops_left -= one.sigops;
            fees += one.fee;
            let mut depends: Vec<usize> =
                parents.filter_map(|it| places.get(&it).copied()).collect();
            depends.sort_unstable();
            depends.dedup();
            transactions.push(one.transaction.clone());
            places.insert(one.txid, transactions.len());
            rows.push(row(rules, one, &depends));
        }
        let commitment = commitment(&transactions);
        Selected { transactions, json: rows.into(), fees, commitment }
    }
}

/// A transaction as templates tell it.
fn row(rules: DevRules, one: &Pooled, depends: &[usize]) -> Value {
    // Before segwit Core counts a signature operation once, not four times.
    let sigops = if rules.segwit() { one.sigops } else { one.sigops / 4 };
    json!({
        "data": serialize_hex(&one.transaction),
        "txid": one.txid.to_string(),
        "hash": one.transaction.compute_wtxid().to_string(),
        "depends": depends,
        "fee": one.fee,
        "sigops": sigops,
        "weight": one.weight,
    })
}

/// The commitment of BIP 141 to these and a coinbase with a reserved value of zeroes.
pub(super) fn commitment(transactions: &[Transaction]) -> Vec<u8> {
    let coinbase = Wtxid::all_zeros().to_raw_hash();
    let others = transactions.iter().map(|tx| tx.compute_wtxid().to_raw_hash());
    let hashes = std::iter::once(coinbase).chain(others);
    let root: WitnessMerkleNode =
        bitcoin::merkle_tree::calculate_root(hashes).expect("there is a coinbase").into();
    let commitment = Block::compute_witness_commitment(&root, &[0; 32]);
    [&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed], &commitment.to_byte_array()[..]].concat()
}
