//! The outputs that are not spent, as of the tip: blocks are connected and, in a
//! reorganisation, disconnected. Only the Bitcoin rules have one; for others it stays empty.

use std::collections::HashMap;

use bitcoin::{Block, OutPoint, Transaction, consensus};

use super::dev_block::{Body, Candidate};
use super::params::DevParams;
use super::refusal::{Refusal, first_broken};
use super::spend::{Coin, check_inputs};
use super::tree::Entry;

/// BIP 141.
pub(super) const SIGOPS_MAX: usize = 80_000;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    coins: HashMap<OutPoint, Coin>,
    undo: HashMap<[u8; 32], Undo>,
}

#[derive(Debug, Default)]
struct Undo {
    created: Vec<OutPoint>,
    spent: Vec<(OutPoint, Coin)>,
}

impl Ledger {
    pub(super) const fn coins(&self) -> &HashMap<OutPoint, Coin> {
        &self.coins
    }

    /// Core's `ConnectBlock` for the block after the tip. On an error nothing has changed.
    pub(super) fn connect(&mut self, params: &DevParams, entry: &Entry) -> Result<(), Refusal> {
        if !params.rules.is_bitcoin() {
            return Ok(());
        }
        let block = decode(entry);
        let mut undo = Undo::default();
        let checked = self.apply(params, &block, entry.height, &mut undo);
        match checked {
            Ok(()) => drop(self.undo.insert(entry.block.id.0, undo)),
            Err(_) => self.revert(undo),
        }
        checked
    }

    /// What connecting a block after the tip would say; `None` if it is fine.
    pub(super) fn would_connect(
        &mut self,
        params: &DevParams,
        candidate: &Candidate,
        height: u64,
    ) -> Option<String> {
        let Body::Bitcoin(block) = &candidate.body else { return None };
        let mut undo = Undo::default();
        let applied = self.apply(params, block, height, &mut undo);
        self.revert(undo);
        applied.err().map(|refusal| refusal.reason().into_owned())
    }

    /// Undoes the tip and returns its transactions, which are unconfirmed again.
    pub(super) fn disconnect(&mut self, params: &DevParams, entry: &Entry) -> Vec<Transaction> {
        let Some(undo) = self.undo.remove(&entry.block.id.0) else { return Vec::new() };
        debug_assert!(params.rules.is_bitcoin(), "others have no undo data");
        self.revert(undo);
        decode(entry).txdata.into_iter().skip(1).collect()
    }

    fn apply(
        &mut self,
        params: &DevParams,
        block: &Block,
        height: u64,
        undo: &mut Undo,
    ) -> Result<(), Refusal> {
        let (mut fees, mut sigops) = (0_u64, 0);
        for transaction in &block.txdata {
            sigops += self.sigops(transaction);
            if !transaction.is_coinbase() {
                fees += check_inputs(transaction, height, |point| self.coins.get(point))?;
            }
            self.spend_and_create(transaction, height, undo);
        }
        let paid = block.txdata[0].output.iter().map(|output| output.value.to_sat()).sum::<u64>();
        first_broken(&[
            (sigops <= SIGOPS_MAX, Refusal::BadSigops),
            (paid <= params.subsidy_at(height) + fees, Refusal::CoinbaseAmount),
        ])
    }

    fn sigops(&self, transaction: &Transaction) -> usize {
        transaction.total_sigop_cost(|point| self.coins.get(point).map(|coin| coin.output.clone()))
    }

    fn spend_and_create(&mut self, transaction: &Transaction, height: u64, undo: &mut Undo) {
        for input in &transaction.input {
            if let Some(coin) = self.coins.remove(&input.previous_output) {
                undo.spent.push((input.previous_output, coin));
            }
        }
        let coinbase = transaction.is_coinbase();
        for (point, coin) in outputs(transaction, height, coinbase) {
            undo.created.push(point);
            self.coins.insert(point, coin);
        }
    }

    fn revert(&mut self, undo: Undo) {
        // Spent first: what was created and spent in one block is then removed again.
        self.coins.extend(undo.spent);
        for point in undo.created {
            self.coins.remove(&point);
        }
    }
}

/// The coins a transaction makes; what can never be spent is none.
pub(super) fn outputs(
    transaction: &Transaction,
    height: u64,
    coinbase: bool,
) -> Vec<(OutPoint, Coin)> {
    let txid = transaction.compute_txid();
    let numbered = (0_u32..).zip(&transaction.output);
    numbered
        .filter(|(_, output)| !output.script_pubkey.is_op_return())
        .map(|(vout, output)| {
            let coin = Coin { output: output.clone(), height, coinbase };
            (OutPoint { txid, vout }, coin)
        })
        .collect()
}

fn decode(entry: &Entry) -> Block {
    consensus::deserialize(&entry.block.bytes).expect("it was read before it was added")
}
